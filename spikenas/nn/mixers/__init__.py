"""Token mixers: what a block does across tokens, from spikes [T, B, N, D] to currents.

The neuron before or after a mixer belongs to the residual, see ``spikenas.nn.block``.
"""

from spikenas.registry import Operator, Site, register

_HERE = "spikenas.nn.mixers"


def _heads_divide_width(site: Site) -> str | None:
    if site.num_heads is None or site.embed_dim % site.num_heads == 0:
        return None
    divisors = [h for h in range(1, min(site.embed_dim, 64) + 1) if site.embed_dim % h == 0]
    return (
        f"num_heads = {site.num_heads} does not divide embed_dim = {site.embed_dim}; "
        f"divisors: {', '.join(map(str, divisors))}"
    )


register(
    Operator(
        family="mixer",
        name="conv",
        target=f"{_HERE}.conv:ConvMixer",
        source="a plain spiking convolution, after Springenberg 2015",
    )
)
register(
    Operator(
        family="mixer",
        name="none",
        target=f"{_HERE}.none:NoMixer",
        source="the block without token mixing",
    )
)
register(
    Operator(
        family="mixer",
        name="qk_token",
        target=f"{_HERE}.qk_token:QKTokenAttention",
        source="Zhou 2024 (QKFormer), eq. 4-5",
        genes=("num_heads",),
        options={"attention_threshold": 0.5},
        rule=_heads_divide_width,
    )
)
register(
    Operator(
        family="mixer",
        name="ssa",
        target=f"{_HERE}.ssa:SpikingSelfAttention",
        source="Zhou 2023 (Spikformer), eq. 6-8",
        genes=("num_heads",),
        options={"scale": 0.125, "qkv_bias": True, "attention_threshold": 0.5},
        rule=_heads_divide_width,
    )
)
register(
    Operator(
        family="mixer",
        name="stm",
        target=f"{_HERE}.stm:SpikingTokenMixing",
        source="Deng 2024 (STMixer), STM",
        genes=("num_heads",),
        rule=_heads_divide_width,
    )
)
