"""Token mixers: the part of a block that mixes tokens, from spikes [T, B, N, D] to currents.

The neuron before or after a mixer belongs to the residual, see ``spikenas.nn.block``.
"""

from functools import partial

from spikenas.registry import Component, Site, positive, register

_HERE = "spikenas.nn.mixers"
_component = partial(Component, family="mixer")


def _heads_divide_width(site: Site) -> str | None:
    if site.num_heads is None or site.embed_dim % site.num_heads == 0:
        return None
    divisors = [h for h in range(1, min(site.embed_dim, 64) + 1) if site.embed_dim % h == 0]
    return (
        f"num_heads = {site.num_heads} does not divide embed_dim = {site.embed_dim}; "
        f"divisors: {', '.join(map(str, divisors))}"
    )


def _needs_all_tokens(site: Site) -> str | None:
    if site.halting:
        return "it reads tokens that have halted; with halting take 'ssa' or 'spike_driven'"
    return None


def _spike_driven_rule(site: Site) -> str | None:
    if site.options.get("event_pooling") and _needs_all_tokens(site):
        return "event_pooling reads tokens that have halted; take halting = 'none'"
    return _heads_divide_width(site)


def _on_all_tokens_with_heads(site: Site) -> str | None:
    return _needs_all_tokens(site) or _heads_divide_width(site)


def _odd_scales(scales: tuple[int, ...]) -> str | None:
    if scales == (1,):
        return "one scale of 1 is 'qk_token'; take that mixer, or further scales: [1, 3]"
    if scales and all(0 < size < 64 and size % 2 for size in scales):
        return None
    return "one or more odd kernel sizes below 64 are needed; published: [1, 3]"


register(
    _component(
        name="conv",
        target=f"{_HERE}.conv:ConvMixer",
        source="a plain spiking convolution, after Springenberg 2015",
        structural_rule=_needs_all_tokens,
    ),
    _component(
        name="multi_scale",
        target=f"{_HERE}.multi_scale:MultiScaleAttention",
        source="MSViT (IJCAI 2025), Token_MS_Attention of the released code",
        genes=("num_heads",),
        options={"scales": (1, 3), "elementwise": False, "attention_threshold": 1.0},
        checks={"scales": _odd_scales, "attention_threshold": positive},
        structural_rule=_on_all_tokens_with_heads,
    ),
    _component(
        name="none",
        target=f"{_HERE}.none:NoMixer",
        source="the block without token mixing",
    ),
    _component(
        name="qk_channel",
        target=f"{_HERE}.qk_channel:QKChannelAttention",
        source="Zhou 2024 (QKFormer), eq. 6",
        options={"attention_threshold": 0.5},
        checks={"attention_threshold": positive},
    ),
    _component(
        name="qk_token",
        target=f"{_HERE}.qk_token:QKTokenAttention",
        source="Zhou 2024 (QKFormer), eq. 4-5",
        genes=("num_heads",),
        options={"attention_threshold": 0.5},
        checks={"attention_threshold": positive},
        structural_rule=_heads_divide_width,
    ),
    _component(
        name="ssa",
        target=f"{_HERE}.ssa:SpikingSelfAttention",
        source="Zhou 2023 (Spikformer), eq. 6-8",
        genes=("num_heads",),
        options={"scale": 0.125, "qkv_bias": True, "attention_threshold": 0.5},
        checks={"scale": positive, "attention_threshold": positive},
        structural_rule=_heads_divide_width,
    ),
    _component(
        name="spike_driven",
        target=f"{_HERE}.spike_driven:SpikeDrivenAttention",
        source="Yao 2023 (Spike-Driven Transformer), eq. 8",
        genes=("num_heads",),
        options={"attention_threshold": 0.5, "event_pooling": False},
        checks={"attention_threshold": positive},
        structural_rule=_spike_driven_rule,
    ),
    _component(
        name="stm",
        target=f"{_HERE}.stm:SpikingTokenMixing",
        source="Deng 2024 (STMixer), STM",
        genes=("num_heads",),
        structural_rule=_on_all_tokens_with_heads,
    ),
)
