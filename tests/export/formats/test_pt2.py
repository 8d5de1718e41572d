import re
import zipfile

import pytest
import torch
from trained_networks import architecture, digits, trained

from spikenas.architecture import Halting, InputSpec, Stage
from spikenas.export.formats import render

DEEP = (Stage(embed_dim=16, depth=2, mixer=("ssa",), num_heads=2, mlp_ratio=1.0),)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The program of a small network that learns its leaks."""
    return written(trained(architecture(neuron="plif")), tmp_path_factory.mktemp("pt2"))


def written(network, folder):
    path = folder / "model.pt2"
    path.write_bytes(render(["pt2"], network)["model.pt2"])
    return path


def test_the_program_gives_the_same_logits_for_any_batch(path):
    network, (images, _) = trained(architecture(neuron="plif")), digits()

    program = torch.export.load(path).module()

    for batch in (1, 7):
        with torch.no_grad():
            torch.testing.assert_close(
                program(images[:batch]), network(images[:batch]), rtol=0, atol=1e-5
            )


def test_the_program_holds_plain_operations_only(path):
    program = torch.export.load(path)

    called = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
    assert all(name.startswith(("aten.", "<built-in function")) for name in called), called


def test_a_program_tells_nothing_of_this_machine(path):
    with zipfile.ZipFile(path) as file:
        told = [re.findall(rb"[\w./-]+\.py\b", file.read(name)) for name in file.namelist()]

    assert not any(told)


@pytest.mark.slow
def test_halting_networks_that_see_events_are_written_with_masks(tmp_path):
    events = InputSpec(channels=2, height=8, width=8, kind="events")
    network = trained(
        architecture(input=events, halting=Halting(threshold=1.0), num_steps=2, stages=DEEP)
    )
    frames = torch.randint(0, 2, (4, 2, 2, 8, 8)).float()

    program = torch.export.load(written(network, tmp_path)).module()

    with torch.no_grad():
        torch.testing.assert_close(program(frames), network(frames), rtol=0, atol=1e-5)


@pytest.mark.parametrize("neuron", ["if", "lif", "plif", "stmixer_lif"])
def test_a_neuron_under_export_is_the_neuron(neuron):
    network = trained(architecture(neuron=neuron, stages=DEEP[:1]), batches=2)
    layer = network.stem.layers[0].neuron
    currents = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        program = torch.export.export(layer, (currents,), strict=False).module()
        spikes = program(currents)

    assert torch.equal(spikes, layer(currents))
    assert 0 < spikes.mean() < 1
