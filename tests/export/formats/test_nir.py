import warnings

import pytest
import torch
from exported import architecture, digits, for_chips, trained

from spikenas.architecture import InputSpec, Stage
from spikenas.exceptions import ArtefactError
from spikenas.export.formats import render
from spikenas.nn.neurons.neuron import Neuron

nir = pytest.importorskip("nir", reason="needs the extra nir")

from spikenas.export.formats.nir import logits as logits_of  # noqa: E402  (imports nir)

MLP = (Stage(embed_dim=16, depth=2, mixer=("none",), mlp_ratio=2.0),)
CONV = (Stage(embed_dim=16, depth=1, mixer=("conv",), mlp_ratio=2.0),)
PORTABLE = {
    "if, no residual, sum pool, spiking head": for_chips(),
    "lif, sums of spikes": architecture(stages=CONV),
    "plif, sums of spikes": architecture(stages=CONV, neuron="plif", tau=1.7),
    "stmixer_lif, sums of membranes": architecture(
        stages=MLP, neuron="stmixer_lif", residual="membrane", head="neuron_linear"
    ),
}
EVENTS = for_chips(input=InputSpec(channels=2, height=8, width=8, kind="events"))


def graph_of(network, tmp_path):
    path = tmp_path / "model.nir"
    path.write_bytes(render(["nir"], network)["model.nir"])
    return nir.read(path)


def spikes_of(network, images):
    """Return the logits, and what each neuron gave [T, B, ...] by its node; tokens as maps."""
    seen = {}
    hooks = [
        module.register_forward_hook(
            lambda m, i, out, name=name: seen.update({name.replace(".", "_"): out})
        )
        for name, module in network.named_modules()
        if isinstance(module, Neuron)
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    return logits, {name: s.mT if s.dim() == 4 else s for name, s in seen.items()}


@pytest.mark.parametrize("a", PORTABLE.values(), ids=PORTABLE.keys())
def test_norse_gives_the_same_spikes_step_by_step(a, tmp_path):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    network, images = trained(a), digits()[0][1600:1620]
    graph = graph_of(network, tmp_path)
    logits, expected = spikes_of(network, images)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nirtorch of its own future
        simulator = norse.from_nir(graph, dt=float(graph.metadata["step_seconds"]))
    total = torch.zeros_like(logits)
    for b, image in enumerate(images):  # norse takes them one by one
        state = None
        for t in range(a.num_steps):
            with torch.no_grad():
                out, state = simulator(image, state)
            total[b] += out
            for node, spikes in expected.items():
                assert torch.equal(state.cache[node].flatten(), spikes[t, b].flatten()), node

    mean = total / a.num_steps * float(graph.metadata["logits_scale"])
    torch.testing.assert_close(mean, logits, rtol=0, atol=1e-5)
    assert all(0 < spikes.mean() < 1 for spikes in expected.values())


@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_snntorch_gives_the_same_logits(neuron, tmp_path):
    importing = pytest.importorskip("snntorch.import_nir", reason="snntorch is not installed")
    a = architecture(stages=CONV, neuron=neuron)
    network, images = trained(a), digits()[0][1600:1605]
    graph = graph_of(network, tmp_path)

    found = []
    for image in images:
        simulator, out = importing.import_from_nir(graph), []
        for _ in range(a.num_steps):
            with torch.no_grad():
                out.append(simulator(image)[0])
        found.append(torch.stack(out).mean(0) * float(graph.metadata["logits_scale"]))

    with torch.no_grad():
        torch.testing.assert_close(torch.stack(found), network(images), rtol=0, atol=1e-5)


def test_events_enter_step_by_step(tmp_path):
    network = trained(EVENTS)
    events = torch.randint(0, 2, (4, 3, 2, 8, 8)).float()

    found = logits_of(graph_of(network, tmp_path), events)

    with torch.no_grad():
        torch.testing.assert_close(found, network(events), rtol=0, atol=1e-5)


def test_the_file_says_what_nir_has_no_field_for(tmp_path):
    told = graph_of(trained(for_chips()), tmp_path).metadata

    assert told["num_steps"] == 3
    assert told["step_seconds"] == 1e-4
    assert told["input"] == "frames"
    assert told["reset"] == "zero"
    assert told["architecture"] == for_chips().key


def test_a_graph_of_others_has_no_logits(tmp_path):
    graph = nir.NIRGraph.from_list(
        nir.Affine(weight=torch.eye(2).numpy(), bias=torch.ones(2).numpy())
    )

    with pytest.raises(ArtefactError, match="does not say"):
        logits_of(graph, torch.zeros(1, 2))
