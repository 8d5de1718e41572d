"""The published systems: names, and parameters as the authors' code has them."""

import json
from pathlib import Path

import pytest
import torch

from spikenas.exceptions import ArchitectureError, UnknownNameError, UsageError
from spikenas.measurement import trace
from spikenas.nn.network import build_network
from spikenas.systems import PUBLISHED, published, published_names

COUNTED = {  # in the authors' code, by the name that the golden file gives it
    "spikformer-4-384-cifar10": "spikformer_cifar10_4_384",
    "spikformer-8-512-imagenet": "spikformer_imagenet_8_512",
    "stmixer-4-384-cifar10": "stmixer_cifar10_4_384_h16",
    "stmixer-8-512-imagenet": "stmixer_imagenet_8_512_h8",
    "qkformer-4-384-cifar10": "qkformer_cifar10_4_384",
    "qkformer-10-512-imagenet": "QKFormer_10_512",
    "qkformer-2-256-cifar10dvs": "qkformer_cifar10dvs",
    "msvit-4-384-cifar10": "msvit_cifar10_4_384_(cifar10 code)",
    "msvit-10-512-imagenet": "MSFormer_10_512",
    "sdt-2-512-cifar10": "sdt_cifar10_2_512",
    "sdt-8-512-imagenet": "sdt_imagenet_8_512",
    "spikformer-2-256-cifar10dvs": "spikformer_cifar10dvs_2_256",
}


@pytest.mark.parametrize("name", published_names())
def test_a_published_name_says_what_it_is(name: str) -> None:
    _, depth, width, dataset = name.split("-")

    architecture = published(name)

    assert sum(stage.depth for stage in architecture.stages) == int(depth)
    assert architecture.stages[-1].embed_dim == int(width)
    assert architecture.input.kind == ("events" if "dvs" in dataset else "frames")
    assert PUBLISHED[name].source


@pytest.mark.parametrize("name", published_names())
def test_a_published_system_has_the_parameters_of_the_table(name: str) -> None:
    with torch.device("meta"):
        network = build_network(published(name))

    assert sum(p.numel() for p in network.parameters()) == PUBLISHED[name].parameters
    assert trace(network).macs == PUBLISHED[name].macs


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
        ("sdt-2-512-cifar10", 8),
        ("sdt-3-384-cifar10", 12),
        ("qkformer-4-384-cifar100", 8),
        ("msvit-10-768-imagenet", 12),
        ("qkformer-2-256-cifar10dvs", 16),
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


def test_stas_has_no_released_code_and_is_made_by_halting() -> None:
    with pytest.raises(UnknownNameError, match="take halting = 'act' on a spikformer or sdt"):
        published("stas-4-384-cifar10")


def test_msvit_on_events_was_never_released() -> None:
    with pytest.raises(UsageError, match="released no code"):
        published("msvit-2-256-cifar10dvs", num_heads=8)


def test_a_depth_that_leaves_the_last_stage_empty_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="needed: a depth of 3 or more"):
        published("qkformer-2-384-cifar10")


@pytest.mark.parametrize(
    "name", ["spikformer-4-384-cifar", "spikformers", "", "spikformer-0-8-cifar10"]
)
def test_an_unknown_name_says_how_names_are_made(name: str) -> None:
    with pytest.raises(UnknownNameError, match="<system>-<depth>-<width>-<dataset>"):
        published(name)
