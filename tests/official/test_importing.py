"""Checkpoints as released, of every system and variant, and everything that they may lack."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import official_checkpoints
import pytest
import torch
from torch import Tensor

from spikenas.architecture import Architecture
from spikenas.exceptions import ArchitectureError, UnknownNameError, UsageError
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.official import import_official
from spikenas.systems import SYSTEMS, published
from spikenas.systems.checkpoint import Shapes, match

State = dict[str, Tensor]

CASES: dict[str, dict[str, Any]] = {
    "spikformer-cifar": {"image_size": 16},
    "spikformer-imagenet": {"image_size": 32},
    "spikformer-dvs": {"image_size": 32},
    "qkformer-cifar": {"image_size": 8},
    "qkformer-imagenet": {"image_size": 32},
    "qkformer-dvs": {"image_size": 32, "dataset": "dvs128", "depth": 3},
    "qkformer-dvs-thin-mlp": {"image_size": 32, "dataset": "cifar10dvs", "depth": 2},
    "msvit-cifar": {"image_size": 8, "dataset": "cifar10"},
    "msvit-cifar-elementwise": {"image_size": 8, "dataset": "cifar100"},
    "msvit-imagenet": {"image_size": 32},
    "sdt-cifar": {"image_size": 16},
    "sdt-imagenet": {"image_size": 32},
    "sdt-dvs": {"image_size": 64},
    "sdt-dvs-gesture": {"image_size": 128},
    "stmixer-cifar": {"image_size": 16},
    "stmixer-imagenet": {"image_size": 32, "num_steps": 1},
    "stmixer-dvs": {"image_size": 32},
}


def _case(name: str) -> tuple[str, Any, Architecture]:
    system, variant = name.split("-")[:2]
    return system, variant, official_checkpoints.architecture(system, variant, **CASES[name])  # type: ignore[arg-type]


def _import(
    system: str, state: State, genes: Architecture, variant: Any = "cifar", **changed: Any
) -> SpikingTransformer:
    told = {"num_steps": genes.num_steps, "image_size": genes.input.height, "num_heads": 4}
    return import_official(system, state, variant=variant, **{**told, **changed})


@pytest.fixture
def spikformer() -> tuple[State, Architecture]:
    genes = official_checkpoints.architecture("spikformer", "cifar", 16)
    return official_checkpoints.checkpoint(
        official_checkpoints.network(genes), "spikformer", "cifar"
    ), genes


@pytest.mark.parametrize("name", CASES)
def test_a_released_checkpoint_is_the_network_that_it_was(name: str) -> None:
    system, variant, genes = _case(name)
    ours = official_checkpoints.network(genes)
    size = genes.input
    steps = (genes.num_steps,) if variant == "dvs" else ()
    x = torch.rand(2, *steps, size.channels, size.height, size.width, dtype=torch.float64)

    imported = _import(
        system, official_checkpoints.checkpoint(ours, system, variant), genes, variant
    )

    assert imported.architecture == genes
    assert not imported.training
    with torch.inference_mode():
        expected, found = ours.double()(x), imported.double()(x)
    assert torch.equal(found, expected)
    assert expected.std() > 0


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("model_spikformer_cifar", {"num_steps": 4, "num_heads": 4}),
        ("model_sdt_cifar", {"num_steps": 4}),
        ("model_qkformer_cifar_fixed", {"num_steps": 2}),
        ("model_msvit_cifar10_fixed", {"num_steps": 2}),
        ("model_stmixer_cifar_T1", {"num_steps": 1}),
        ("model_stmixer_cifar_T4", {"num_steps": 4}),
    ],
)
def test_a_checkpoint_of_the_authors_gives_their_logits(
    shared: Path, name: str, options: dict[str, int]
) -> None:
    with np.load(shared / "golden" / f"{name}.npz") as arrays:
        state = {n.removeprefix("w/"): torch.from_numpy(arrays[n]) for n in arrays if n[:2] == "w/"}
        x, expected = (torch.from_numpy(arrays[n]).double() for n in ("x", "y"))

    network = import_official(name.split("_")[1], state, image_size=32, **options).double()

    with torch.inference_mode():
        torch.testing.assert_close(network(x), expected, atol=1e-10, rtol=0)


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("spikformer-4-384-cifar10", "spikformer_cifar10_4_384"),
        ("spikformer-8-512-imagenet", "spikformer_imagenet_8_512"),
        ("spikformer-2-256-cifar10dvs", "spikformer_cifar10dvs_2_256"),
        ("qkformer-4-384-cifar10", "qkformer_cifar10_4_384"),
        ("qkformer-10-512-imagenet", "QKFormer_10_512"),
        ("qkformer-2-256-cifar10dvs", "qkformer_cifar10dvs"),
        ("msvit-4-384-cifar10", "msvit_cifar10_4_384_(cifar10 code)"),
        ("msvit-10-512-imagenet", "MSFormer_10_512"),
        ("sdt-2-512-cifar10", "sdt_cifar10_2_512"),
        ("sdt-8-512-imagenet", "sdt_imagenet_8_512"),
        ("stmixer-4-384-cifar10", "stmixer_cifar10_4_384_h16"),
        ("stmixer-8-512-imagenet", "stmixer_imagenet_8_512_h8"),
    ],
)
def test_every_layer_of_the_authors_code_has_its_place(
    shared: Path, name: str, counted: str
) -> None:
    layers = json.loads((shared / "golden/params.json").read_text())[counted]["layers"]
    system = name.split("-", maxsplit=1)[0]
    with torch.device("meta"):
        network = build_network(published(name))
    needed = {ours: tuple(tensor.shape) for ours, tensor in network.state_dict().items()}

    found = match(
        SYSTEMS[system].NAMES,
        needed,
        Shapes(system, _shapes_of(layers)),
        unused=SYSTEMS[system].UNUSED,
        trunk=2 if "dvs" in name else 1,
    )

    assert found.problems == []


def _shapes_of(layers: list[list[Any]]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, kind, shape, has_bias, *_ in layers:
        shapes[f"{name}.weight"] = tuple(shape)
        if has_bias:
            shapes[f"{name}.bias"] = (shape[0],)
        if kind.startswith("BatchNorm"):
            shapes |= {f"{name}.running_mean": (shape[0],), f"{name}.running_var": (shape[0],)}
            shapes[f"{name}.num_batches_tracked"] = ()
    return shapes


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.module."]
)
def test_a_prefix_before_all_names_is_passed_over(
    spikformer: tuple[State, Architecture], prefix: str
) -> None:
    state, genes = spikformer

    imported = _import("spikformer", {prefix + name: t for name, t in state.items()}, genes)

    assert torch.equal(imported.head.classifier.bias, state["head.bias"])


def test_metrics_kept_beside_a_prefixed_network_are_left_out_and_said(
    spikformer: tuple[State, Architecture], caplog: pytest.LogCaptureFixture
) -> None:
    state, genes = spikformer
    given = {f"model.{name}": t for name, t in state.items()}
    given |= {"train_metrics.total": torch.zeros(1), "loss.weight": torch.ones(10)}

    imported = _import("spikformer", given, genes)

    assert torch.equal(imported.head.classifier.bias, state["head.bias"])
    assert "2 tensors beside 'model.'" in caplog.text


def test_another_tensor_beside_a_prefixed_network_is_refused(
    spikformer: tuple[State, Architecture],
) -> None:
    state, genes = spikformer
    given = {f"model.{name}": t for name, t in state.items()}

    with pytest.raises(UsageError):
        _import("spikformer", {**given, "teacher.weight": torch.ones(1)}, genes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_single(
    spikformer: tuple[State, Architecture], dtype: torch.dtype
) -> None:
    state, genes = spikformer
    half = {n: t.to(dtype) if n.startswith("block.0") else t for n, t in state.items()}

    imported = _import("spikformer", half, genes)

    assert {p.dtype for p in imported.parameters()} == {torch.float32}
    assert imported(torch.rand(1, 3, 16, 16)).shape == (1, 5)


def test_double_precision_stays(spikformer: tuple[State, Architecture]) -> None:
    state, genes = spikformer

    imported = _import("spikformer", {n: t.double() for n, t in state.items()}, genes)

    assert {p.dtype for p in imported.parameters()} == {torch.float64}


def test_an_imported_network_can_be_trained_and_shares_no_memory(
    spikformer: tuple[State, Architecture],
) -> None:
    state, genes = spikformer

    imported = _import("spikformer", state, genes)
    imported.train()(torch.rand(2, 3, 16, 16)).sum().backward()

    assert all(p.requires_grad and p.is_leaf for p in imported.parameters())
    state["head.bias"].zero_()
    assert imported.head.classifier.bias.any()


@pytest.mark.parametrize(
    ("layer", "renamed"),
    [
        ("head", "classifier"),
        ("patch_embed.proj_conv", "patch_embed.first_conv"),
        ("block.0.mlp.fc1_linear", "block.0.mlp.expand_linear"),
        ("block.1.attn.proj_bn", "block.1.attn.out_bn"),
    ],
)
def test_a_renamed_layer_is_named_with_all_its_tensors(
    spikformer: tuple[State, Architecture], layer: str, renamed: str
) -> None:
    state, genes = spikformer
    of_layer = [n for n in state if n.startswith(f"{layer}.") and not n.endswith("tracked")]
    state = {
        f"{renamed}.{n.removeprefix(f'{layer}.')}" if n.startswith(f"{layer}.") else n: t
        for n, t in state.items()
    }

    with pytest.raises(UsageError) as refused:
        _import("spikformer", state, genes)

    for name in of_layer:
        assert f"{name}: missing" in str(refused.value)
        assert f"{renamed}.{name.removeprefix(f'{layer}.')}: unexpected" in str(refused.value)
    assert f"{2 * len(of_layer)} tensors differ" in str(refused.value)


@pytest.mark.parametrize("system", ["qkformer", "msvit", "sdt", "stmixer"])
def test_any_missing_layer_is_named(system: str) -> None:
    _, _, genes = _case(f"{system}-cifar")
    full = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, "cifar")
    layers = {n.rpartition(".")[0] for n in full if "talking_heads" not in n}

    for layer in sorted(layers):
        state = {n: t for n, t in full.items() if n.rpartition(".")[0] != layer}
        lost = [n for n in full if n not in state and not n.endswith("tracked")]

        with pytest.raises(UsageError) as refused:
            _import(system, state, genes)

        assert all(name in str(refused.value) for name in lost), (layer, str(refused.value))


def test_every_tensor_of_another_shape_is_named(spikformer: tuple[State, Architecture]) -> None:
    state, genes = spikformer
    state["block.1.attn.q_bn.weight"] = torch.ones(3)
    state["head.bias"] = torch.tensor(1.0)
    state["extra"] = torch.ones(2, 2)

    with pytest.raises(UsageError) as refused:
        _import("spikformer", state, genes)

    message = str(refused.value)
    assert "3 tensors differ" in message
    assert r"block.1.attn.q_bn.weight: is [3], needed [32]" in message
    assert r"head.bias: is [], needed [5]" in message
    assert r"extra: unexpected [2, 2]" in message


@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 0), (5, 0)])
def test_a_tensor_that_tells_nothing_is_named(
    spikformer: tuple[State, Architecture], shape: tuple[int, ...]
) -> None:
    state, genes = spikformer
    state["head.weight"] = torch.zeros(shape)

    with pytest.raises(UsageError, match=r"head\.weight: is \["):
        _import("spikformer", state, genes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_tensors_that_are_not_finite_are_named(
    spikformer: tuple[State, Architecture], value: float
) -> None:
    state, genes = spikformer
    for name in ("block.0.attn.q_bn.running_var", "head.bias"):
        state[name][0] = value

    with pytest.raises(UsageError, match=r"2 tensors.*\n.*q_bn\.running_var.*\n.*head\.bias"):
        _import("spikformer", state, genes)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_numbers_of_another_kind_are_refused(
    spikformer: tuple[State, Architecture], dtype: torch.dtype
) -> None:
    state, genes = spikformer
    state["head.bias"] = torch.zeros(5, dtype=dtype)

    with pytest.raises(UsageError, match=r"head\.bias: torch\."):
        _import("spikformer", state, genes)


def test_arrays_are_refused_with_how_to_turn_them_into_tensors(
    spikformer: tuple[State, Architecture],
) -> None:
    state, genes = spikformer
    arrays: Any = {name: tensor.numpy() for name, tensor in state.items()}

    with pytest.raises(
        UsageError, match=r"is numpy\.ndarray; needed: a torch\.Tensor .*from_numpy"
    ):
        _import("spikformer", arrays, genes)


@pytest.mark.parametrize("state", [{}, None, [("head.weight", torch.ones(2, 2))]])
def test_nothing_is_refused(state: Any) -> None:
    with pytest.raises(UsageError, match="is empty; needed: official names with their tensors"):
        import_official("spikformer", state, num_steps=4, image_size=32)


def test_a_false_size_costs_no_memory(spikformer: tuple[State, Architecture]) -> None:
    state, genes = spikformer
    state["head.weight"] = torch.ones(1, 1).expand(10**6, 10**6)

    with pytest.raises(UsageError, match=r"head\.weight: holds fewer numbers than its shape"):
        _import("spikformer", state, genes)


def test_a_tensor_without_data_is_refused(spikformer: tuple[State, Architecture]) -> None:
    state, genes = spikformer
    state["head.weight"] = torch.ones(5, 32, device="meta")

    with pytest.raises(UsageError, match=r"head\.weight: is .* on meta"):
        _import("spikformer", state, genes)


def test_a_depth_beyond_all_reason_is_refused(spikformer: tuple[State, Architecture]) -> None:
    state, genes = spikformer
    state["block.999999999.attn.q_linear.weight"] = torch.ones(32, 32)

    with pytest.raises(ArchitectureError, match="depth = 1000000000; needed"):
        _import("spikformer", state, genes)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("other", SYSTEMS)
def test_a_checkpoint_of_another_system_is_refused_and_named(system: str, other: str) -> None:
    if system == other:
        pytest.skip("its own")
    _, _, genes = _case(f"{other}-cifar")
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), other, "cifar")

    with pytest.raises(UsageError, match=f"is no {system}.* {other}"):
        _import(system, state, genes)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("spikformer-cifar", "imagenet"),
        ("spikformer-imagenet", "cifar"),
        ("spikformer-dvs", "imagenet"),
        ("spikformer-imagenet", "dvs"),
        ("qkformer-cifar", "imagenet"),
        ("qkformer-imagenet", "cifar"),
        ("qkformer-dvs", "cifar"),
        ("msvit-cifar", "imagenet"),
        ("msvit-imagenet", "cifar"),
        ("sdt-dvs", "cifar"),
        ("sdt-cifar", "dvs"),
    ],
)
def test_a_wrong_variant_is_refused_with_the_right_one(name: str, wrong: str) -> None:
    system, variant, genes = _case(name)
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, variant)

    with pytest.raises(UsageError, match=f"variant.*{variant}"):
        _import(system, state, genes, wrong)


@pytest.mark.parametrize("name", ["sdt-cifar", "stmixer-cifar"])
def test_heads_that_contradict_the_checkpoint_are_refused(name: str) -> None:
    system, variant, genes = _case(name)
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, variant)

    with pytest.raises(UsageError, match=r"num_heads = 2, but .* has 4 heads; leave num_heads out"):
        _import(system, state, genes, variant, num_heads=2)


@pytest.mark.parametrize("name", ["sdt-cifar", "stmixer-cifar"])
def test_heads_that_the_checkpoint_tells_need_not_be_given(name: str) -> None:
    system, variant, genes = _case(name)
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, variant)

    assert _import(system, state, genes, variant, num_heads=None).architecture == genes


@pytest.mark.parametrize("name", ["spikformer-cifar", "qkformer-imagenet"])
def test_heads_that_nothing_tells_are_asked_for(name: str) -> None:
    system, variant, genes = _case(name)
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, variant)

    with pytest.raises(UsageError, match=r"give num_heads, a divisor of width .*: 1, 2, 4, 8"):
        _import(system, state, genes, variant, num_heads=None)


def test_heads_that_the_code_fixes_need_not_be_given() -> None:
    genes = official_checkpoints.architecture("qkformer", "cifar", 8, num_heads=8)
    state = official_checkpoints.checkpoint(
        official_checkpoints.network(genes), "qkformer", "cifar"
    )

    assert _import("qkformer", state, genes, num_heads=None).architecture == genes


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"num_heads": 3}, "num_heads = 3 does not divide width 32; divisors: 1, 2, 4"),
        ({"num_heads": 0}, "num_heads = 0; needed: a whole number above 0"),
        ({"num_steps": True}, "num_steps = True; needed"),
        ({"num_steps": 65}, "num_steps = 65; needed: an integer from 1 to 64"),
        ({"image_size": 16.0}, "image_size = 16.0; needed"),
        ({"image_size": -1}, "image_size = -1; needed"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    spikformer: tuple[State, Architecture], changed: dict[str, Any], complaint: str
) -> None:
    state, genes = spikformer

    with pytest.raises(UsageError, match=complaint):
        _import("spikformer", state, genes, **changed)


@pytest.mark.parametrize(
    ("system", "variant", "named"), [("spikfomer", "cifar", "spikformer"), ("sdt", "cifr", "cifar")]
)
def test_unknown_names_are_refused_with_the_nearest(system: str, variant: Any, named: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean '{named}'"):
        import_official(system, {"x": torch.ones(1)}, num_steps=1, image_size=8, variant=variant)


def test_token_matrices_of_another_image_size_are_refused_with_the_right_one() -> None:
    _, _, genes = _case("stmixer-cifar")
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), "stmixer", "cifar")

    with pytest.raises(UsageError, match=r"16x16 tokens, but .* have 64; give image_size=16"):
        _import("stmixer", state, genes, image_size=32)


def test_matrices_of_no_square_map_name_no_image_size() -> None:
    _, _, genes = _case("stmixer-cifar")
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), "stmixer", "cifar")
    state["block.0.token_mix.attn.linear_mix.0.weight"] = torch.ones(15, 15)

    with pytest.raises(UsageError, match=r"15x15 tokens, but .* have 16$"):
        _import("stmixer", state, genes)


def test_msvit_on_events_was_never_released() -> None:
    state = {name: torch.ones(4, 2, 3, 3) for name in ("patch_embed1.proj_conv.weight",)}

    with pytest.raises(UsageError, match="released no code"):
        import_official("msvit", state, num_steps=1, image_size=32, variant="dvs")


def test_what_the_released_code_never_reads_is_dropped_with_a_word(
    spikformer: tuple[State, Architecture], caplog: pytest.LogCaptureFixture
) -> None:
    state, genes = spikformer

    with caplog.at_level(logging.WARNING):
        _import("spikformer", state, genes)

    assert "2 tensors that the official code never reads are left out" in caplog.text
    assert "block.0.norm1.weight" in caplog.text
    assert "num_batches" not in caplog.text


@pytest.mark.parametrize("name", ["qkformer-cifar", "msvit-imagenet"])
def test_the_import_says_that_membranes_no_longer_leak(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    system, variant, genes = _case(name)
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), system, variant)

    with caplog.at_level(logging.WARNING):
        imported = _import(system, state, genes, variant)

    assert "run on from one sample" in caplog.text
    x = torch.rand(3, 3, genes.input.height, genes.input.width)
    with torch.inference_mode():
        together = imported.double()(x.double())
        alone = torch.cat([imported(each[None].double()) for each in x])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def test_imagenet_weights_as_those_of_cifar_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    _, _, genes = _case("sdt-imagenet")
    state = official_checkpoints.checkpoint(official_checkpoints.network(genes), "sdt", "imagenet")
    state |= {"head.weight": torch.ones(1000, 32), "head.bias": torch.ones(1000)}

    _import("sdt", state, genes, "cifar")

    assert "give variant='imagenet'" in caplog.text
