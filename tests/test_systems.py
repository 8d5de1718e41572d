"""The published systems: names, and parameters as the authors' code has them."""

import importlib.util
import json
from pathlib import Path

import pytest

from spikenas.exceptions import ArchitectureError, UnknownNameError, UsageError
from spikenas.systems import PUBLISHED, published, published_names

COUNTED = {  # in the authors' code, by the name that the golden file gives it
    "spikformer-4-384-cifar10": "spikformer_cifar10_4_384",
    "spikformer-8-512-imagenet": "spikformer_imagenet_8_512",
    "stmixer-4-384-cifar10": "stmixer_cifar10_4_384_h16",
    "stmixer-8-512-imagenet": "stmixer_imagenet_8_512_h8",
}


@pytest.mark.parametrize("name", published_names())
def test_a_published_name_says_what_it_is(name: str) -> None:
    system, depth, width, dataset = name.split("-")

    architecture = published(name)

    assert (architecture.stages[0].depth, architecture.stages[0].embed_dim) == (
        int(depth),
        int(width),
    )
    assert architecture.input.height == (224 if dataset == "imagenet" else 32)
    assert set(architecture.stages[0].mixer) == {"ssa" if system == "spikformer" else "stm"}
    assert PUBLISHED[name].source


@pytest.mark.parametrize("name", published_names())
def test_a_published_system_has_the_parameters_of_the_table(name: str) -> None:
    if importlib.util.find_spec("spikenas.nn.network") is None:
        pytest.skip("no networks yet")
    torch = pytest.importorskip("torch")
    from spikenas.nn.network import build_network  # noqa: PLC0415  (torch only where it is used)

    with torch.device("meta"):
        network = build_network(published(name))

    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[name].parameters


@pytest.mark.golden
@pytest.mark.parametrize("name", COUNTED)
def test_the_table_agrees_with_the_authors_code(name: str, shared: Path) -> None:
    counted = json.loads((shared / "golden/params.json").read_text())[COUNTED[name]]

    assert PUBLISHED[name].parameters == counted["params_used"]


@pytest.mark.parametrize(
    ("name", "num_heads"),
    [
        ("spikformer-4-384-cifar10", 12),
        ("spikformer-4-256-cifar100", 8),
        ("spikformer-8-384-imagenet", 6),
        ("spikformer-8-768-imagenet", 12),
        ("stmixer-4-384-cifar10", 16),
        ("stmixer-8-512-imagenet", 8),
    ],
)
def test_heads_are_the_published_ones(name: str, num_heads: int) -> None:
    assert published(name).stages[0].num_heads == num_heads


@pytest.mark.parametrize(
    ("name", "num_steps"),
    [
        ("spikformer-4-384-cifar10", 4),
        ("spikformer-8-384-imagenet", 4),
        ("stmixer-4-384-cifar10", 4),
        ("stmixer-8-768-imagenet", 1),
    ],
)
def test_steps_are_the_published_ones(name: str, num_steps: int) -> None:
    assert published(name).num_steps == num_steps


def test_any_depth_and_width_can_be_named() -> None:
    architecture = published("spikformer-3-320-imagenet", num_heads=5)

    assert architecture.stages[0].num_heads == 5
    assert architecture.stages[0].depth == 3


def test_a_width_without_published_heads_asks_for_them_and_names_divisors() -> None:
    with pytest.raises(UsageError, match=r"give num_heads=, one of 1, 2, 4, 5, 8, 10, 16, 20"):
        published("spikformer-3-320-imagenet")


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="num_heads = 7 does not divide embed_dim = 384"):
        published("spikformer-4-384-cifar10", num_heads=7)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("qkformer-4-384-cifar10", "deformed_shortcut"),
        ("msvit-4-384-cifar10", "multi_scale"),
        ("sdt-2-512-cifar10", "spike_driven"),
        ("stas-4-384-cifar10", "i_sps"),
    ],
)
def test_a_system_to_come_says_which_operator_it_waits_for(name: str, missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        published(name)


@pytest.mark.parametrize(
    "name", ["spikformer-4-384-cifar", "spikformers", "", "spikformer-0-8-cifar10"]
)
def test_an_unknown_name_says_how_names_are_made(name: str) -> None:
    with pytest.raises(UnknownNameError, match="<system>-<depth>-<width>-<dataset>"):
        published(name)
