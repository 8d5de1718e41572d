"""What a file of a format says of images and classes, read back by the format's own reader."""

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from trained_networks import for_chips, trained

from spikenas import export
from spikenas.architecture import InputSpec
from spikenas.exceptions import ArtefactError, UsageError
from spikenas.export.formats import render
from spikenas.nn.prediction import FromPixels
from spikenas.preprocessing import Preprocessing

GREY = Preprocessing(
    kind="frames",
    channels=1,
    channel_order="grey",
    height=8,
    width=8,
    resize="none",
    mean=(0.25,),
    std=(0.5,),
)
CLASSES = ("0", "1", "10", "11", "2", "Schlüssel", "猫", "7", "8", "9")


def onnx_metadata(path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map


def pt2_metadata(path):
    told = {"preprocessing": "", "classes": "", "input_range": ""}
    torch.export.load(path, extra_files=told)
    return told


def nir_metadata(path):
    nir = pytest.importorskip("nir", reason="needs the extra nir")
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in nir.read(path).metadata.items()
    }


READERS = {"onnx": onnx_metadata, "pt2": pt2_metadata, "nir": nir_metadata}


def write(to, name, *, architecture=None, **given):
    if name in ("onnx", "nir"):
        pytest.importorskip(name, reason=f"needs the extra {name}")
    network = trained(architecture or for_chips())
    weights = safetensors.torch.save(network.state_dict())
    folder = export.write(network.architecture, weights, {}, {}, to, beside=[name], **given)
    return folder / f"model.{name}"


@pytest.mark.parametrize("name", READERS)
def test_every_format_says_how_images_were_prepared_and_what_the_classes_are(name, tmp_path):
    path = write(tmp_path / "out", name, preprocessing=GREY, classes=CLASSES)

    told = READERS[name](path)

    assert Preprocessing.from_dict(json.loads(told["preprocessing"])) == GREY
    assert tuple(json.loads(told["classes"])) == CLASSES
    assert told["input_range"] == "normalised"
    record = json.loads((path.parent / "preprocessing.json").read_text())
    assert json.loads(told["preprocessing"]) == record["preprocessing"]


@pytest.mark.parametrize("name", READERS)
def test_a_format_says_nothing_of_images_that_nobody_knows(name, tmp_path):
    told = READERS[name](write(tmp_path / "out", name))

    assert not told.get("preprocessing")
    assert not told.get("classes")


def test_events_are_said_to_be_binned_into_the_steps_of_the_network(tmp_path):
    size = InputSpec(channels=2, height=8, width=8, kind="events")
    events = replace(
        GREY,
        kind="events",
        channels=2,
        channel_order="OFF, ON",
        mean=(0.0, 0.0),
        std=(1.0, 1.0),
        binning="count",
    )

    path = write(tmp_path / "out", "pt2", architecture=for_chips(input=size), preprocessing=events)

    told = json.loads(pt2_metadata(path)["preprocessing"])
    assert (told["binning"], told["num_steps"]) == ("count", 3)


def pixels():
    whole = torch.randint(
        0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )
    return whole, whole / 255


def onnx_logits(path, images):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def pt2_logits(path, images):
    return torch.export.load(path).module()(images)


def nir_logits(path, images):
    nir = pytest.importorskip("nir", reason="needs the extra nir")
    from spikenas.export.formats.nir import logits  # noqa: PLC0415  (imports nir)

    return logits(nir.read(path), images)


RUNNERS = {"onnx": onnx_logits, "pt2": pt2_logits, "nir": nir_logits}


@pytest.mark.parametrize("name", RUNNERS)
def test_a_graph_that_normalises_its_input_predicts_from_pixels_as_the_network_does(name, tmp_path):
    path = write(tmp_path / "out", name, preprocessing=GREY, normalise_input=True)
    whole, images = pixels()

    with torch.no_grad():
        found = RUNNERS[name](path, images)

    assert torch.equal(found.argmax(1), export.load(path.parent).predict(whole))
    assert READERS[name](path)["input_range"] == "0..1"


def test_a_graph_with_another_normalisation_is_never_written(tmp_path, monkeypatch):
    monkeypatch.setattr(FromPixels, "forward", lambda self, images: self.network(images))

    with pytest.raises(ArtefactError, match=r"model\.pt2 agrees to 1e-05 on"):
        write(tmp_path / "out", "pt2", preprocessing=GREY, normalise_input=True)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("beside", "input_spec", "how", "message"),
    [
        ((), None, GREY, r"add --format onnx, pt2 or nir"),
        (("pt2",), None, None, "mean and deviation of the images"),
        (
            ("pt2",),
            InputSpec(channels=2, height=8, width=8, kind="events"),
            None,
            "events are counts",
        ),
    ],
)
def test_normalisation_is_refused_where_no_graph_could_do_it(beside, input_spec, how, message):
    network = trained(for_chips(**({"input": input_spec} if input_spec else {})), batches=1)
    network.preprocessing = how

    with pytest.raises(UsageError, match=message):
        render(beside, network, normalise_input=True)
    network.preprocessing = None
