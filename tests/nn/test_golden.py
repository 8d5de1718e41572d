"""Our components against what the authors' own code computes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden_arrays import Layout, Place, arrays_of, compare, compare_in_float32, load, tensor
from torch import Tensor, nn

from spikenas.nn.block import Block
from spikenas.nn.downsampling.deformed_shortcut import DeformedShortcutDownsampling
from spikenas.nn.layout import to_tokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.mixers.multi_scale import MultiScaleAttention
from spikenas.nn.mixers.qk_token import QKTokenAttention
from spikenas.nn.mixers.spike_driven import SpikeDrivenAttention
from spikenas.nn.mixers.ssa import SpikingSelfAttention
from spikenas.nn.mixers.stm import SpikingTokenMixing
from spikenas.nn.mlp import MLP
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.neurons.stmixer_lif import STMixerLIF
from spikenas.nn.operations import TokenMixing
from spikenas.nn.residuals import RESIDUALS, MembraneResidual, NoResidual
from spikenas.nn.stems.conv_side import ConvSideStem
from spikenas.nn.stems.deformed_shortcut import DeformedShortcutStem
from spikenas.nn.stems.sps import SpikingPatchSplitting
from spikenas.nn.stems.sps_membrane import MembranePatchSplitting
from spikenas.systems import msvit, qkformer, sdt, spikformer, stmixer

pytestmark = pytest.mark.golden


def _lif(threshold: float = 1.0) -> LIF:
    return LIF(tau=2.0, v_threshold=threshold)


def _stmixer_lif(threshold: float = 1.0) -> STMixerLIF:
    return STMixerLIF(v_threshold=threshold)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
@pytest.mark.parametrize("detach", [0, 1])
def test_lif_equals_spikingjelly(shared: Path, threshold: float, detach: int) -> None:
    arrays = arrays_of(shared, f"lif_spikingjelly_vth{threshold}_detach{detach}")
    neuron = _lif(threshold)
    neuron.detach_reset = bool(detach)

    compare(neuron, arrays, Place(system=spikformer))
    compare_in_float32(neuron, arrays)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_the_membrane_of_a_lif_equals_spikingjellys(shared: Path, threshold: float) -> None:
    arrays = arrays_of(shared, f"lif_spikingjelly_vth{threshold}_detach1")
    neuron, x = _lif(threshold), tensor(arrays, "x")
    v = torch.zeros_like(x[0])
    membranes = []

    for x_t, spikes in zip(x, neuron(x), strict=True):
        v = neuron.charge(x_t, v) * (1.0 - spikes)
        membranes.append(v)

    assert torch.stack(membranes).equal(tensor(arrays, "v_post"))


@pytest.mark.parametrize("name", ["lif_stmixer_T6", "lif_stmixer_T1"])
def test_stmixer_lif_equals_the_authors(shared: Path, name: str) -> None:
    arrays = arrays_of(shared, name)
    steps = (1, -1) if name.endswith("T1") else (6, 1)

    def layout(x: Tensor) -> Tensor:
        return x.unflatten(0, steps)

    compare(_stmixer_lif(), arrays, Place(system=stmixer), (layout, layout))
    compare_in_float32(_stmixer_lif(), arrays, (layout, layout))


def _identity(x: Tensor) -> Tensor:
    return x


def _time_major(x: Tensor) -> Tensor:
    """From [T B, ...] of two samples to [T, B, ...]."""
    return x.unflatten(0, (-1, 2))


def _grid(x: Tensor) -> Tensor:
    """From [T, B, C, N] to a map [T, B, C, 4, 4]."""
    return x.unflatten(3, (4, 4))


_TOKENS: tuple[Layout, Layout] = (_identity, _identity)
_MAPS: tuple[Layout, Layout] = (to_tokens, to_tokens)
_CHANNELS: tuple[Layout, Layout] = (lambda x: _time_major(x).mT, lambda y: _time_major(y).mT)


_SpikeBranch = NoResidual  # without the sum, as the authors' sub-blocks end


class _MembraneBranch(MembraneResidual):
    """The neuron and its branch without the sum."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(self.neuron(x))
        return out


_SIZES = {"embed_dim": 32, "num_heads": 4, "grid": (4, 4)}


def _block(mixer: Mixer, residual: str, neuron: NeuronFactory = _lif) -> Block:
    join, mlp = RESIDUALS[residual], _mlp(neuron, bias=mixer.mlp_bias)
    return Block(join(mixer, neuron), join(mlp, neuron))


def _ssa(**options: float | bool) -> SpikingSelfAttention:
    return SpikingSelfAttention(**_SIZES, neuron=_lif, **options)


def _qk() -> QKTokenAttention:
    return QKTokenAttention(**_SIZES, neuron=_lif)


def _multi_scale() -> MultiScaleAttention:
    return MultiScaleAttention(**_SIZES, neuron=_lif)


def _spike_driven() -> SpikeDrivenAttention:
    return SpikeDrivenAttention(**_SIZES, neuron=_lif)


def _stm() -> SpikingTokenMixing:
    return SpikingTokenMixing(**_SIZES, neuron=_stmixer_lif)


def _mlp(neuron: NeuronFactory = _lif, *, bias: bool = True) -> MLP:
    return MLP(embed_dim=32, hidden_dim=128, bias=bias, neuron=neuron)


_STEM = {"in_channels": 3, "embed_dim": 32, "patch_size": 4}
_HALVE = {"residual": "spike", "neuron": _lif}
_BLOCK, _MIX, _FEED = "stages.0.0.", "stages.0.0.sub_blocks.0.", "stages.0.0.sub_blocks.1."


def _in_spikformer(ours: str, theirs: str) -> Place:
    return Place(system=spikformer, ours=ours, theirs=theirs)


def _in_qkformer(ours: str, theirs: str) -> Place:
    return Place(system=qkformer, ours=ours, theirs=theirs)


def _in_msvit(ours: str, theirs: str) -> Place:
    return Place(system=msvit, ours=ours, theirs=theirs)


def _in_sdt(ours: str, theirs: str) -> Place:
    return Place(system=sdt, ours=ours, theirs=theirs)


def _in_stmixer(ours: str, theirs: str) -> Place:
    return Place(system=stmixer, ours=ours, theirs=theirs)


_CASES: dict[str, tuple[Callable[[], nn.Module], Place, tuple[Layout, Layout]]] = {
    "spikformer_ssa_cifar": (
        lambda: _SpikeBranch(_ssa(), _lif),
        _in_spikformer(_MIX, "block.0.attn."),
        _TOKENS,
    ),
    "spikformer_mlp_cifar": (
        lambda: _SpikeBranch(_mlp(), _lif),
        _in_spikformer(_FEED, "block.0.mlp."),
        _TOKENS,
    ),
    "spikformer_block_cifar": (
        lambda: _block(_ssa(), "spike"),
        _in_spikformer(_BLOCK, "block.0."),
        _TOKENS,
    ),
    "spikformer_sps_cifar": (
        lambda: SpikingPatchSplitting(**_STEM, residual="spike", neuron=_lif),
        _in_spikformer("stem.", "patch_embed."),
        (_identity, lambda y: _grid(y.mT)),
    ),
    "qk_token_attn": (
        lambda: _SpikeBranch(_qk(), _lif),
        _in_qkformer(_MIX, "stage1.0.tssa."),
        _MAPS,
    ),
    "qk_token_block": (lambda: _block(_qk(), "spike"), _in_qkformer(_BLOCK, "stage1.0."), _MAPS),
    "qk_mlp": (lambda: _SpikeBranch(_mlp(), _lif), _in_qkformer(_FEED, "stage1.0.mlp."), _MAPS),
    "qk_ssa_fixed": (
        lambda: _SpikeBranch(_ssa(qkv_bias=False), _lif),
        _in_qkformer(_MIX, "stage1.0.ssa."),
        _MAPS,
    ),
    "qk_ssa_block_fixed": (
        lambda: _block(_ssa(qkv_bias=False), "spike"),
        _in_qkformer(_BLOCK, "stage1.0."),
        _MAPS,
    ),
    "qk_patchinit_cifar": (
        lambda: DeformedShortcutStem(in_channels=3, embed_dim=16, patch_size=1, **_HALVE),
        _in_qkformer("stem.", "patch_embed1."),
        _TOKENS,
    ),
    "qk_patchstage_cifar": (
        lambda: DeformedShortcutDownsampling(in_channels=16, embed_dim=32, **_HALVE),
        _in_qkformer("downsampling.0.", "patch_embed2."),
        _TOKENS,
    ),
    "msvit_attn_cifar10": (
        lambda: _SpikeBranch(_multi_scale(), _lif),
        _in_msvit(_MIX, "stage1.0.tssa."),
        _MAPS,
    ),
    "msvit_ssa_fixed": (
        lambda: _SpikeBranch(_ssa(qkv_bias=False, attention_threshold=1.0), _lif),
        _in_msvit(_MIX, "stage1.0.ssa."),
        _MAPS,
    ),
    "msvit_token_block": (
        lambda: _block(_multi_scale(), "spike"),
        _in_msvit(_BLOCK, "stage1.0."),
        _MAPS,
    ),
    "msvit_patchstage2_cifar": (
        lambda: DeformedShortcutDownsampling(in_channels=32, embed_dim=32, **_HALVE),
        _in_msvit("downsampling.0.", "patch_embed2."),
        _TOKENS,
    ),
    "sdt_sdsa": (
        lambda: MembraneResidual(_spike_driven(), _lif),
        _in_sdt(_MIX, "block.0.attn."),
        _MAPS,
    ),
    "sdt_mlp": (lambda: MembraneResidual(_mlp(), _lif), _in_sdt(_FEED, "block.0.mlp."), _MAPS),
    "sdt_block": (
        lambda: _block(_spike_driven(), "membrane"),
        _in_sdt(_BLOCK, "block.0."),
        _MAPS,
    ),
    "sdt_sps_0011": (
        lambda: MembranePatchSplitting(**_STEM, residual="membrane", neuron=_lif),
        _in_sdt("stem.", "patch_embed."),
        _TOKENS,
    ),
    "stmixer_stm_T4": (
        lambda: TokenMixing(16, 4),
        _in_stmixer(f"{_MIX}branch.mixing.", "block.0.token_mix.attn."),
        _CHANNELS,
    ),
    "stmixer_tokenmixer_T4": (
        lambda: _MembraneBranch(_stm(), _stmixer_lif),
        _in_stmixer(_MIX, "block.0.token_mix."),
        _CHANNELS,
    ),
    "stmixer_ffn_T4": (
        lambda: _MembraneBranch(_mlp(_stmixer_lif, bias=False), _stmixer_lif),
        _in_stmixer(_FEED, "block.0.channel_mix."),
        _CHANNELS,
    ),
    **{
        f"stmixer_encoder_T{num_steps}": (
            lambda: _block(_stm(), "membrane", _stmixer_lif),
            _in_stmixer(_BLOCK, "block.0."),
            _CHANNELS,
        )
        for num_steps in (1, 4)
    },
    **{
        f"stmixer_spsv2_d2_T{num_steps}": (
            lambda: ConvSideStem(**_STEM, residual="membrane", neuron=_stmixer_lif),
            _in_stmixer("stem.", "patch_embd."),
            (_time_major, lambda y: _grid(_time_major(y))),
        )
        for num_steps in (1, 4)
    },
}


@pytest.mark.parametrize("name", _CASES)
def test_a_component_equals_the_authors(shared: Path, name: str) -> None:
    build, place, layout = _CASES[name]
    arrays = arrays_of(shared, name)
    module = build()
    load(module, arrays, place)

    compare(module, arrays, place, layout)


@pytest.mark.parametrize("name", _CASES)
def test_a_component_in_float32_equals_the_authors(shared: Path, name: str) -> None:
    build, place, layout = _CASES[name]
    arrays = arrays_of(shared, name)
    module = build()
    load(module, arrays, place)

    compare_in_float32(module, arrays, layout)
