from itertools import pairwise

import numpy as np
import pytest
import torch
from trained_networks import architecture, for_chips

from spikenas import hardware
from spikenas.architecture import InputSpec, Stage
from spikenas.exceptions import SpecError
from spikenas.export.formats import render
from spikenas.measurement.trace import trace_architecture
from spikenas.nn.network import build_network

nir = pytest.importorskip("nir", reason="needs the extra nir")

from spikenas.hardware.nir_file import read_nir  # noqa: E402  (imports h5py)

EVENTS = InputSpec(channels=2, height=16, width=16, kind="events")
CONV = (Stage(embed_dim=16, depth=2, mixer=("conv",), mlp_ratio=2.0),)
MLP = (Stage(embed_dim=16, depth=2, mixer=("none",), mlp_ratio=2.0),)
OURS = {
    "frames": for_chips(),
    "events": for_chips(input=EVENTS),
    "events in one step": for_chips(input=EVENTS, num_steps=1),
    "one token": for_chips(patch_size=8, stages=CONV[:1], residual="none"),
    "sums of spikes, lif": architecture(stages=CONV),
    "sums of membranes": architecture(
        stages=MLP, neuron="stmixer_lif", residual="membrane", head="neuron_linear"
    ),
}


def ones(*shape):
    return np.ones(shape, dtype=np.float32)


def conv(out, inputs, size=(8, 8), *, kernel=(3, 3), stride=1, padding=(1, 1), groups=1):
    weight = ones(out, inputs // groups, *kernel)
    return nir.Conv2d(size, weight, stride, padding, 1, groups, ones(out))


def lif(*shape, tau=2e-4):
    return nir.LIF(
        tau=tau * ones(*shape),
        r=ones(*shape),
        v_leak=0 * ones(*shape),
        v_threshold=ones(*shape),
        v_reset=0 * ones(*shape),
    )


def cuba_lif(*shape):
    zeros, some = 0 * ones(*shape), 2e-4 * ones(*shape)
    return nir.CubaLIF(some, some, ones(*shape), zeros, zeros, ones(*shape))


def iaf(*shape):
    return nir.IF(r=ones(*shape), v_threshold=ones(*shape), v_reset=0 * ones(*shape))


def pool(kernel, stride=None, padding=(0, 0), of=nir.SumPool2d):
    return of(np.array(kernel), np.array(stride or kernel), np.array(padding))


def flatten(*shape, start=0):
    return nir.Flatten({"input": np.array(shape)}, start, -1)


@pytest.fixture
def written(tmp_path):
    """Return the path of a chain of nodes, or of nodes with these edges."""

    def write(shape, nodes, edges=None):
        names = ["input", *nodes, "output"]
        chain = list(pairwise(names))
        ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([1]))}
        graph = nir.NIRGraph({**ends, **nodes}, edges or chain, type_check=False)
        nir.write(tmp_path / "net.nir", graph)
        return tmp_path / "net.nir"

    return write


@pytest.mark.parametrize("nir_dt", [None, 1e-4])
@pytest.mark.parametrize("a", OURS.values(), ids=OURS.keys())
def test_a_file_of_ours_has_the_verdict_of_its_network_on_every_chip(a, nir_dt, tmp_path):
    network = build_network(a).eval()
    path = tmp_path / "model.nir"
    path.write_bytes(render(["nir"], network, nir_dt=nir_dt)["model.nir"])

    workload, layers = read_nir(path)

    expected = trace_architecture(a)
    for chip in map(hardware.chip, hardware.chips()):
        found, wanted = (
            hardware.check(workload, chip, layers=layers),
            hardware.check(expected, chip),
        )
        assert found.fits == wanted.fits, chip.name
        assert broken(found) == broken(wanted), chip.name
        if chip.placement:
            assert found.placement.summary == wanted.placement.summary, chip.name


def broken(verdict):
    return [(each.rule, each.need) for each in verdict.violations]


def test_a_file_of_others_is_read_node_by_node(written):
    path = written(
        (2, 16, 12),
        {
            "conv": conv(8, 2, (16, 12), kernel=(3, 5), padding=(1, 2)),
            "lif": lif(8, 16, 12),
            "pool": pool((2, 2)),
            "depthwise": conv(8, 8, (8, 6), groups=8, padding="same"),
            "if": iaf(8, 8, 6),
            "flatten": flatten(8, 8, 6),
            "fc": nir.Affine(ones(10, 384), ones(10)),
            "out": cuba_lif(10),
        },
    )

    workload, graph = read_nir(path)

    operations = {operation.name: operation for operation in workload.operations}
    layers = {layer.name: layer for layer in graph.layers}
    assert list(operations) == ["conv", "lif", "pool", "depthwise", "if", "fc", "out"]
    assert operations["conv"].macs == 8 * 16 * 12 * 2 * 3 * 5
    assert operations["lif"].attributes["leak"] == pytest.approx(0.5)
    assert operations["if"].attributes["leak"] == 0.0
    assert (operations["out"].neurons, operations["out"].state) == (10, 20)
    assert workload.parameters == (240 + 8) + (72 + 8) + (3840 + 10)
    assert (layers["conv"].kernel, layers["conv"].padding) == ((3, 5), (1, 2))
    assert (layers["depthwise"].groups, layers["depthwise"].fan_in) == (8, 9)
    assert layers["depthwise"].output_shape == (8, 8, 6)
    assert layers["fc"].kernel == (8, 6)


def test_events_enter_a_file_of_others_so_speck_can_run_it(written):
    path = written((2, 16, 16), {"conv": conv(8, 2, (16, 16)), "if": iaf(8, 16, 16)})

    workload, layers = read_nir(path)

    assert hardware.check(workload, hardware.chip("speck2"), layers=layers).fits


def test_a_lif_that_loses_less_than_a_float_shows_has_no_leak(written):
    path = written(
        (2, 16, 16), {"conv": conv(8, 2, (16, 16)), "lif": lif(8, 16, 16, tau=1e-4 * 2**30)}
    )

    workload, layers = read_nir(path)

    assert hardware.check(workload, hardware.chip("speck2"), layers=layers).fits


def test_vectors_need_no_map(written):
    path = written(
        (64,),
        {
            "a": nir.Linear(ones(32, 64)),
            "b": lif(32),
            "c": nir.Affine(ones(4, 32), ones(4)),
            "d": lif(4),
        },
    )

    workload, layers = read_nir(path)

    assert [layer.fan_in for layer in layers.weighted] == [64, 32]
    assert hardware.check(workload, hardware.chip("xylo_audio3"), layers=layers).fits


def test_edges_that_meet_are_a_sum_that_its_readers_share(written):
    nodes = {
        "a": conv(8, 2),
        "if": iaf(8, 8, 8),
        "b": conv(8, 8),
        "if2": iaf(8, 8, 8),
        "c": conv(8, 8),
        "d": conv(8, 8),
    }
    edges = [("input", "a"), ("a", "if"), ("if", "b"), ("b", "if2"), ("c", "output")]
    meeting = [(source, target) for target in "cd" for source in ("if", "if2")]

    workload, _ = read_nir(written((2, 8, 8), nodes, [*edges, *meeting]))

    sums = [operation for operation in workload.operations if operation.kind == "add"]
    assert [[operand.source for operand in each.inputs] for each in sums] == [["if", "if2"]]


def test_a_flatten_that_counts_the_batch_is_a_vector_too(written):
    path = written(
        (2, 4, 4),
        {"flatten": flatten(2, 4, 4, start=1), "fc": nir.Linear(ones(10, 32)), "if": iaf(10)},
    )

    workload, _ = read_nir(path)

    assert workload.operations[0].inputs[0].shape == (32,)


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        (
            {
                "conv": conv(4, 2),
                "wait": nir.Delay(ones(4, 8, 8)),
                "li": nir.LI(*[ones(4, 8, 8)] * 3),
            },
            r"no chip is checked for 2 of 5 nodes: 'li' \(LI\), 'wait' \(Delay\); known: Input",
        ),
        ({"c": conv(4, 3)}, r"node 'c' \(Conv2d\): weight for 3 channels in 1 groups; 2 enter"),
        ({"c": conv(4, 2, (9, 8))}, "input_shape 9x8; 2x8x8 enters"),
        ({"c": conv(4, 2, kernel=(9, 9), padding=(0, 0))}, "9x9 on 2x8x8 leaves nothing"),
        ({"c": conv(4, 2, stride=2, padding="same")}, "'same' with a stride"),
        ({"fc": nir.Linear(ones(10, 128))}, "weight for 128 inputs; 2x8x8 enters; put a Flatten"),
        ({"n": lif(3, 8, 8)}, "node 'n' .LIF.: neurons of shape 3x8x8; 2x8x8 enters"),
        ({"n": lif(2, 8, 8, tau=0.0)}, "a time constant of 0 s; needed: above 0"),
        ({"p": pool((2, 2), padding=(1, 1))}, "node 'p' .SumPool2d.: a pool with padding"),
        ({"f": nir.Flatten({"input": np.array([2, 8, 8])}, 0, 1)}, "axes 0 to 1 of 2x8x8"),
        ({"f": flatten(2, 8, 8), "c": conv(4, 2)}, "node 'c' .Conv2d.: stands behind flat values"),
    ],
)
def test_what_no_chip_could_be_asked_is_refused_by_its_node(written, nodes, complaint):
    with pytest.raises(SpecError, match=complaint):
        read_nir(written((2, 8, 8), nodes))


@pytest.mark.parametrize(
    ("edges", "complaint"),
    [
        ([("input", "a"), ("a", "b"), ("b", "a")], "a loop of nodes: [ab] -> [ab] -> [ab]"),
        ([("input", "a"), ("b", "output")], "node 'b' .IF.: nothing feeds it"),
        ([("input", "a"), ("a", "b"), ("b", "away")], "'away', which is no node"),
        ([("input", "a"), ("a", "b"), ("a", "b")], "two edges come from 'a'"),
    ],
)
def test_edges_that_make_no_network_are_refused(written, edges, complaint):
    with pytest.raises(SpecError, match=complaint):
        read_nir(written((2, 8, 8), {"a": iaf(2, 8, 8), "b": iaf(2, 8, 8)}, edges))


def test_a_cut_or_foreign_file_is_refused_in_a_sentence(written, tmp_path):
    whole = written((2, 8, 8), {"a": iaf(2, 8, 8)}).read_bytes()
    path = tmp_path / "bad.nir"

    for content in (b"", b"not HDF5", *(whole[:size] for size in range(1, len(whole), 997))):
        path.write_bytes(content)
        with pytest.raises(SpecError, match=r"bad\.nir: .*NIR"):
            read_nir(path)


def test_hdf5_of_something_else_is_no_graph(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.nir", "w") as file:
        file["events"] = np.zeros(3)

    with pytest.raises(SpecError, match="is HDF5 but no NIR graph"):
        read_nir(tmp_path / "data.nir")


def test_damaged_metadata_of_ours_are_named(tmp_path):
    path = tmp_path / "model.nir"
    torch.manual_seed(0)
    path.write_bytes(render(["nir"], build_network(for_chips()).eval())["model.nir"])
    graph = nir.read(path)
    graph.metadata["num_steps"] = "three"
    nir.write(path, graph)

    with pytest.raises(SpecError, match="metadata num_steps = 'three'; needed: a number above 0"):
        read_nir(path)
