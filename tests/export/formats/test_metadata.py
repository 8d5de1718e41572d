"""What a file of a format says of images and classes, read back by the format's own reader."""

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from exported import for_chips, trained

from spikenas import export
from spikenas.architecture import InputSpec
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
        std=(1 / 255, 1 / 255),
        binning="count",
    )

    path = write(tmp_path / "out", "pt2", architecture=for_chips(input=size), preprocessing=events)

    told = json.loads(pt2_metadata(path)["preprocessing"])
    assert (told["binning"], told["num_steps"]) == ("count", 3)
