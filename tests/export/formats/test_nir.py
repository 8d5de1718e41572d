import warnings

import pytest
import torch
from trained_networks import architecture, digits, for_chips, trained

from spikenas.architecture import InputSpec, Stage
from spikenas.exceptions import ArtefactError, UsageError
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
AT_DEFAULTS = {
    "if as a lif, sum pool": (for_chips(), 1e-4),
    "if as a lif, sums of spikes": (architecture(stages=CONV, neuron="if"), 1e-4),
    "lif": (architecture(stages=CONV), None),
    "lif, sum pool": (for_chips(neuron="lif"), None),
    "plif": (architecture(stages=CONV, neuron="plif"), None),
}
EVENTS = for_chips(input=InputSpec(channels=2, height=8, width=8, kind="events"))


def graph_of(network, tmp_path, **how):
    path = tmp_path / "model.nir"
    path.write_bytes(render(["nir"], network, **how)["model.nir"])
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


@pytest.mark.parametrize(
    ("a", "nir_dt"),
    [*((a, None) for a in PORTABLE.values()), (for_chips(), 1e-4), (for_chips(), 2e-3)],
    ids=[*PORTABLE, "if as a lif", "if as a lif, steps of 2 ms"],
)
def test_norse_gives_the_same_spikes_step_by_step(a, nir_dt, tmp_path):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed")
    network, images = trained(a), digits()[0][1600:1620]
    graph = graph_of(network, tmp_path, nir_dt=nir_dt)
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


@pytest.mark.parametrize(("a", "nir_dt"), AT_DEFAULTS.values(), ids=AT_DEFAULTS.keys())
def test_snntorch_at_its_defaults_gives_the_same_logits(a, nir_dt, tmp_path):
    importing = pytest.importorskip("snntorch.import_nir", reason="snntorch is not installed")
    network, images = trained(a), digits()[0][1600:1605]
    graph = graph_of(network, tmp_path, nir_dt=nir_dt)

    found = []
    for image in images:
        simulator, out = importing.import_from_nir(graph), []
        for _ in range(a.num_steps):
            with torch.no_grad():
                out.append(simulator(image)[0])
        found.append(torch.stack(out).mean(0) * float(graph.metadata["logits_scale"]))

    with torch.no_grad():
        torch.testing.assert_close(torch.stack(found), network(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("a", "nir_dt"), AT_DEFAULTS.values(), ids=AT_DEFAULTS.keys())
def test_spikingjelly_at_its_defaults_gives_the_same_logits(a, nir_dt, tmp_path):
    importing = pytest.importorskip(
        "spikingjelly.activation_based.nir_exchange", reason="spikingjelly is not installed"
    )
    network, images = trained(a), digits()[0][1600:1620]
    graph = graph_of(network, tmp_path, nir_dt=nir_dt)

    simulator, state, out = importing.import_from_nir(graph), None, []
    for _ in range(a.num_steps):
        with torch.no_grad():
            spikes, state = simulator(images, state)
        out.append(spikes)

    with torch.no_grad():
        found = torch.stack(out).mean(0) * float(graph.metadata["logits_scale"])
        torch.testing.assert_close(found, network(images), rtol=0, atol=1e-5)


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


def test_a_file_for_simulators_says_how_long_a_step_is_and_how_little_an_if_loses(tmp_path):
    graph = graph_of(trained(for_chips()), tmp_path, nir_dt=2e-3)

    assert graph.metadata["step_seconds"] == 2e-3
    assert graph.metadata["if_leak"] == 2.0**-30
    assert "if_gain" not in graph.metadata
    taus = [float(n.tau.flat[0]) for n in graph.nodes.values() if isinstance(n, nir.LIF)]
    assert taus == pytest.approx([2e-3 * 2**30] * len(taus))
    assert taus


@pytest.mark.parametrize(
    ("names", "nir_dt", "message"),
    [
        (["pt2"], 1e-4, "add --format nir"),
        (["nir"], 0.0, "1e-9 to 1000"),
        (["nir"], float("nan"), "1e-9 to 1000"),
    ],
)
def test_a_step_that_no_file_could_have_is_refused(names, nir_dt, message):
    with pytest.raises(UsageError, match=message):
        render(names, trained(for_chips()), nir_dt=nir_dt)


def test_a_graph_of_others_has_no_logits(tmp_path):
    graph = nir.NIRGraph.from_list(
        nir.Affine(weight=torch.eye(2).numpy(), bias=torch.ones(2).numpy())
    )

    with pytest.raises(ArtefactError, match="does not say"):
        logits_of(graph, torch.zeros(1, 2))
