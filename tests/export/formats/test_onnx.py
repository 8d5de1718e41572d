import re

import pytest
import torch
from trained_networks import architecture, digits, trained

from spikenas.architecture import Halting, InputSpec, Stage
from spikenas.exceptions import ArtefactError, InfeasibleError
from spikenas.export.formats import render

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

from spikenas.export.formats.onnx import judge  # noqa: E402  (imports onnxruntime)


@pytest.fixture(scope="module")
def model():
    return render(["onnx"], trained(architecture()))["model.onnx"]


def run(model, images):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def logits(network, images):
    with torch.no_grad():
        return network(images)


def test_onnx_runtime_gives_the_same_logits_for_any_batch(model):
    network, (images, _) = trained(architecture()), digits()

    for batch in (1, 40):
        found = run(model, images[:batch])

        torch.testing.assert_close(found, logits(network, images[:batch]), rtol=0, atol=1e-5)


def test_the_graph_says_what_it_takes(model):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    assert session.get_inputs()[0].shape == ["batch", 1, 8, 8]
    assert session.get_outputs()[0].shape == ["batch", 10]
    told = session.get_modelmeta().custom_metadata_map
    assert told["num_steps"] == "3"
    assert told["architecture"] == architecture().key


def test_the_graph_tells_nothing_of_this_machine(model):
    assert not re.findall(rb"[\w./-]+\.py\b", model)


@pytest.mark.slow
def test_halting_networks_that_see_events_are_written_with_masks():
    network = trained(
        architecture(
            input=InputSpec(channels=2, height=8, width=8, kind="events"),
            halting=Halting(threshold=0.9),
            num_steps=2,
            stages=(Stage(embed_dim=16, depth=2, mixer=("ssa",), num_heads=2, mlp_ratio=1.0),),
        )
    )
    events = torch.randint(0, 2, (4, 2, 2, 8, 8)).float()

    found = run(render(["onnx"], network)["model.onnx"], events)

    torch.testing.assert_close(found, logits(network, events), rtol=0, atol=1e-5)


def test_a_wrong_graph_is_an_error_but_ties_of_halting_have_a_cure():
    a, right, wrong = architecture(), torch.zeros(5, 10), torch.ones(5, 10)
    stages = (Stage(embed_dim=16, depth=2, mixer=("ssa",), num_heads=2, mlp_ratio=1.0),)
    halting = architecture(halting=Halting(), stages=stages)

    with pytest.raises(ArtefactError, match="0 of 5"):
        judge(a, wrong, right)
    with pytest.raises(InfeasibleError, match=r"lie on threshold = 1 itself.*export to pt2"):
        judge(halting, wrong, right)
