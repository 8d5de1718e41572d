"""Our operators against what the authors' own code computes, in float64."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.block import Block
from spikenas.nn.layout import to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.mixers.qk_token import QKTokenAttention
from spikenas.nn.mixers.ssa import SpikingSelfAttention
from spikenas.nn.mixers.stm import SpikingTokenMixing
from spikenas.nn.mlp import MLP
from spikenas.nn.network import build_network
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.neurons.stmixer_lif import STMixerLIF
from spikenas.nn.operations import TokenMixing
from spikenas.nn.residuals import MembraneResidual, SpikeResidual
from spikenas.nn.stems.conv_side import ConvSideStem
from spikenas.nn.stems.sps import SpikingPatchSplitting

pytestmark = pytest.mark.golden


Arrays = Mapping[str, Any]


def _arrays(shared: Path, name: str) -> Arrays:
    with np.load(shared / "golden" / f"{name}.npz") as file:
        return dict(file)


def _lif(threshold: float = 1.0) -> LIF:
    return LIF(tau=2.0, v_threshold=threshold)


def _stmixer_lif(threshold: float = 1.0) -> STMixerLIF:
    return STMixerLIF(v_threshold=threshold)


_SSA = {
    r"(q|k|v)_(linear|conv)": r"\1",
    r"proj_(linear|conv)": "projection",
    "proj_bn": "projection_bn",
}
_MLP = {r"(fc|mlp)(\d)_(linear|conv)": r"fc\2", r"(fc|mlp)(\d)_bn": r"bn\2"}
_SPS = {
    r"^(.*)proj_(conv|bn)(\d?)\.": lambda m: (
        f"{m[1]}stages.{m[3] or 0}.{0 if m[2] == 'conv' else 1}."
    ),
    r"rpe_conv": "position.0",
    r"rpe_bn": "position.1",
}
_STM = {
    r"fc(\d)\.1": r"fc\1",
    r"fc(\d)\.2": r"bn\1",
    r"attn\.linear_mix\.(\d+)\.weight": r"mixing.weight.\1",
}
_FFN = {r"fc(\d)\.1": r"fc\1", r"fc(\d)\.2": r"bn\1"}
_CONV_SIDE = {"short_proj1": "side", "proj_conv": "main"}


def test_lif_equals_spikingjelly(shared: Path) -> None:
    for threshold in (0.5, 1.0):
        for detach in (0, 1):
            arrays = _arrays(shared, f"lif_spikingjelly_vth{threshold}_detach{detach}")
            neuron = _lif(threshold)
            neuron.detach_reset = bool(detach)

            _compare(neuron, arrays, arrays["x"])


@pytest.mark.parametrize("name", ["lif_stmixer_T6", "lif_stmixer_T1"])
def test_stmixer_lif_equals_the_authors(shared: Path, name: str) -> None:
    arrays = _arrays(shared, name)

    leading = (1, -1) if name.endswith("T1") else (6, 1)
    _compare(_stmixer_lif(), arrays, arrays["x"], lambda x: x.unflatten(0, leading))


def _identity(x: Tensor) -> Tensor:
    return x


def _maps(x: Tensor) -> Tensor:
    return to_tokens(x)


def _channels_first(num_steps: int) -> Callable[[Tensor], Tensor]:
    """From STMixer's [T B, C, N] to tokens [T, B, N, C]."""
    return lambda x: x.unflatten(0, (num_steps, -1)).mT


def _block(mixer: Mixer, residual: str, neuron: NeuronFactory) -> Block:
    return Block(embed_dim=32, mlp_ratio=4.0, mixer=mixer, residual=residual, neuron=neuron)


def _ssa(bias: bool) -> SpikingSelfAttention:
    return SpikingSelfAttention(embed_dim=32, num_heads=4, grid=(4, 4), neuron=_lif, qkv_bias=bias)


def _stm() -> SpikingTokenMixing:
    return SpikingTokenMixing(embed_dim=32, num_heads=4, grid=(4, 4), neuron=_stmixer_lif)


def _mlp(neuron: NeuronFactory, *, bias: bool) -> MLP:
    return MLP(embed_dim=32, hidden_dim=128, bias=bias, neuron=neuron)


_BLOCKS: dict[str, tuple[Callable[[], nn.Module], Mapping[str, Any], str]] = {
    "spikformer_ssa_cifar": (lambda: SpikeResidualBranch(_ssa(True), _lif), _SSA, "tokens"),
    "spikformer_mlp_cifar": (
        lambda: SpikeResidualBranch(_mlp(_lif, bias=True), _lif),
        _MLP,
        "tokens",
    ),
    "spikformer_block_cifar": (
        lambda: _block(_ssa(True), "spike", _lif),
        {**_SSA, **_MLP, r"^attn\.": "sub_blocks.0.branch.", r"^mlp\.": "sub_blocks.1.branch."},
        "tokens",
    ),
    "qk_token_attn": (
        lambda: SpikeResidualBranch(
            QKTokenAttention(embed_dim=32, num_heads=4, grid=(4, 4), neuron=_lif), _lif
        ),
        _SSA,
        "maps",
    ),
    "qk_token_block": (
        lambda: _block(
            QKTokenAttention(embed_dim=32, num_heads=4, grid=(4, 4), neuron=_lif), "spike", _lif
        ),
        {**_SSA, **_MLP, r"^tssa\.": "sub_blocks.0.branch.", r"^mlp\.": "sub_blocks.1.branch."},
        "maps",
    ),
    "qk_mlp": (lambda: SpikeResidualBranch(_mlp(_lif, bias=True), _lif), _MLP, "maps"),
    "qk_ssa_fixed": (lambda: SpikeResidualBranch(_ssa(False), _lif), _SSA, "maps"),
    "qk_ssa_block_fixed": (
        lambda: _block(_ssa(False), "spike", _lif),
        {**_SSA, **_MLP, r"^ssa\.": "sub_blocks.0.branch.", r"^mlp\.": "sub_blocks.1.branch."},
        "maps",
    ),
    "stmixer_stm_T4": (
        lambda: TokenMixing(16, 4),
        {r"linear_mix\.(\d+)\.weight": r"weight.\1"},
        "channels",
    ),
    "stmixer_tokenmixer_T4": (
        lambda: MembraneResidualBranch(_stm(), _stmixer_lif),
        _STM,
        "channels",
    ),
    "stmixer_ffn_T4": (
        lambda: MembraneResidualBranch(_mlp(_stmixer_lif, bias=False), _stmixer_lif),
        _FFN,
        "channels",
    ),
    "stmixer_encoder_T1": (
        lambda: _block(_stm(), "membrane", _stmixer_lif),
        {
            **_STM,
            r"^token_mix\.": "sub_blocks.0.branch.",
            r"^channel_mix\.": "sub_blocks.1.branch.",
        },
        "channels",
    ),
    "stmixer_encoder_T4": (
        lambda: _block(_stm(), "membrane", _stmixer_lif),
        {
            **_STM,
            r"^token_mix\.": "sub_blocks.0.branch.",
            r"^channel_mix\.": "sub_blocks.1.branch.",
        },
        "channels",
    ),
}


class SpikeResidualBranch(SpikeResidual):
    """The branch and its neuron without the sum, as the authors' sub-blocks end."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.neuron(self.branch(x))
        return out


class MembraneResidualBranch(MembraneResidual):
    """The neuron and its branch without the sum."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(self.neuron(x))
        return out


@pytest.mark.parametrize("name", _BLOCKS)
def test_a_block_equals_the_authors(shared: Path, name: str) -> None:
    build, names, layout = _BLOCKS[name]
    arrays = _arrays(shared, name)
    module = build()
    if isinstance(module, SpikeResidual | MembraneResidual):
        names = {**names, r"^(?!branch)": "branch."}
    _load(module, arrays, names)
    T = 1 if name.endswith("T1") else 4
    inward = {"tokens": _identity, "maps": _maps, "channels": _channels_first(T)}[layout]

    _compare(module, arrays, arrays["x"], inward)


def test_the_spikformer_stem_equals_the_authors(shared: Path) -> None:
    arrays = _arrays(shared, "spikformer_sps_cifar")
    stem = SpikingPatchSplitting(
        in_channels=3, embed_dim=32, patch_size=4, residual="spike", neuron=_lif
    )
    _load(stem, arrays, _SPS)

    _compare(nn.Sequential(stem, _Tokens()), arrays, arrays["x"])


@pytest.mark.parametrize("num_steps", [1, 4])
def test_the_stmixer_stem_equals_the_authors(shared: Path, num_steps: int) -> None:
    arrays = _arrays(shared, f"stmixer_spsv2_d2_T{num_steps}")
    stem = ConvSideStem(
        in_channels=3, embed_dim=32, patch_size=4, residual="membrane", neuron=_stmixer_lif
    )
    _load(stem, arrays, _CONV_SIDE)

    def inward(x: Tensor) -> Tensor:
        return x.unflatten(0, (num_steps, -1))

    _compare(stem, arrays, arrays["x"], inward, outward=lambda y: y.flatten(0, 1).flatten(2))


class _Tokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return to_tokens(x)


_SPIKFORMER = {
    **{pattern.replace("^(.*)", "^(patch_embed.)"): ours for pattern, ours in _SPS.items()},
    **_SSA,
    **_MLP,
    r"^patch_embed\.": "stem.",
    r"^block\.(\d+)\.attn\.": r"stages.0.\1.sub_blocks.0.branch.",
    r"^block\.(\d+)\.mlp\.": r"stages.0.\1.sub_blocks.1.branch.",
    r"^head\.": "head.classifier.",
}
_STMIXER = {
    **_CONV_SIDE,
    **_STM,
    r"^patch_embd\.": "stem.",
    r"^block\.(\d+)\.token_mix\.": r"stages.0.\1.sub_blocks.0.branch.",
    r"^block\.(\d+)\.channel_mix\.": r"stages.0.\1.sub_blocks.1.branch.",
    r"^head\.": "head.classifier.",
}
_TINY: dict[str, Any] = {"input": InputSpec(channels=3, height=32, width=32), "num_classes": 10}


def _tiny(name: str) -> tuple[Architecture, Mapping[str, Any]]:
    if "spikformer" in name:
        stage = Stage(embed_dim=32, depth=2, mixer=("ssa",), num_heads=4)
        return Architecture(
            **_TINY,
            num_steps=_steps(name),
            neuron="lif",
            residual="spike",
            stem="sps",
            patch_size=4,
            stages=(stage,),
        ), _SPIKFORMER
    stage = Stage(embed_dim=32, depth=2, mixer=("stm",), num_heads=4)
    return Architecture(
        **_TINY,
        num_steps=_steps(name),
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        patch_size=4,
        stages=(stage,),
    ), _STMIXER


def _steps(name: str) -> int:
    return 1 if name.endswith("T1") else 4


@pytest.mark.parametrize(
    "name", ["model_spikformer_cifar", "model_stmixer_cifar_T1", "model_stmixer_cifar_T4"]
)
def test_a_tiny_model_equals_the_authors(shared: Path, name: str) -> None:
    arrays = _arrays(shared, name)
    architecture, names = _tiny(name)
    network = build_network(architecture)
    _load(network, arrays, names)

    _compare(network, arrays, arrays["x"])

    network.train()
    network.zero_grad()
    logits = network(torch.from_numpy(arrays["x"]).double())
    loss = F.cross_entropy(logits, torch.from_numpy(arrays["train_target"]).long())
    torch.testing.assert_close(
        logits.detach(), torch.from_numpy(arrays["train_logits"]).double(), atol=1e-10, rtol=0
    )
    assert float(loss.detach()) == pytest.approx(float(arrays["train_loss"]), abs=1e-10)


def _load(module: nn.Module, arrays: Arrays, names: Mapping[str, Any]) -> None:
    """Fill every parameter and buffer from the official names, none left out."""
    unused = set(json.loads(str(arrays["meta"])).get("unused_params", ()))
    state: dict[str, Tensor] = {}
    stacked: dict[str, dict[int, Tensor]] = {}
    for key in arrays:
        official = key.removeprefix("w/")
        if official == key or official in unused:
            continue
        value = torch.from_numpy(arrays[key]).double()
        ours = official
        for pattern, replacement in names.items():
            ours = re.sub(pattern, replacement, ours, count=1)
        if match := re.fullmatch(r"(.*weight)\.(\d+)", ours):  # the matrices of STM, one a head
            stacked.setdefault(match[1], {})[int(match[2])] = value
            continue
        state[ours] = value[..., 0, 0] if value.dim() == 4 and value.shape[-1] == 1 else value
        if value.dim() == 3:
            state[ours] = value[..., 0]
    for ours, matrices in stacked.items():
        state[ours] = torch.stack([matrices[i] for i in range(len(matrices))])
    module.double().load_state_dict(state)


def _compare(
    module: nn.Module,
    arrays: Arrays,
    x: Any,
    inward: Callable[[Tensor], Tensor] = _identity,
    outward: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Spikes equal, reals to 1e-10, and the gradient of the input."""
    module.double().eval()
    given = torch.from_numpy(x).double().requires_grad_()
    y = module(inward(given))
    expected = torch.from_numpy(arrays["y"])
    cotangent = torch.from_numpy(arrays["cot"]).double()
    if outward is None:
        outward = _identity
        if expected.shape != y.shape or inward is not _identity:
            expected, cotangent = inward(expected), inward(cotangent)
    y = outward(y)
    if not expected.is_floating_point():
        assert torch.equal(y.detach(), expected.double())
    torch.testing.assert_close(y.detach(), expected.double(), atol=1e-10, rtol=0)

    y.backward(cotangent)
    assert given.grad is not None
    gradient = torch.from_numpy(arrays["gx"])
    tolerance = 1e-10 if gradient.dtype == torch.float64 else 1e-6  # of how it was stored
    torch.testing.assert_close(given.grad, gradient.double(), atol=tolerance, rtol=tolerance)
