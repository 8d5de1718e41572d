"""Downsampling between stages: half the height and width, a new width D."""

from functools import partial

from spikenas.registry import Component, Site, register

_HERE = "spikenas.nn.downsampling"
_component = partial(Component, family="downsampling")


def _even_map(site: Site) -> str | None:
    if site.height % 2 or site.width % 2:
        return f"2x2 sums need an even map, but it is {site.height}x{site.width}"
    return None


def _spikes_only(site: Site) -> str | None:
    if site.residual == "membrane":
        return "it adds spikes; needs residual = 'spike' or 'none' (or 'strided_conv')"
    return None


register(
    _component(
        name="deformed_shortcut",
        target=f"{_HERE}.deformed_shortcut:DeformedShortcutDownsampling",
        source="Zhou 2024 (QKFormer), SPEDS, section 3.5",
        options={"early_pool": False},
        structural_rule=_spikes_only,
    ),
    _component(
        name="max_pool",
        target=f"{_HERE}.max_pool:MaxPoolDownsampling",
        source="as Zhou 2023's stem: convolution, then 3x3 max pool of stride 2",
    ),
    _component(
        name="strided_conv",
        target=f"{_HERE}.strided_conv:StridedConvDownsampling",
        source="a 3x3 convolution of stride 2, after Springenberg 2015",
    ),
    _component(
        name="sum_pool",
        target=f"{_HERE}.sum_pool:SumPoolDownsampling",
        source="a convolution, then 2x2 sums of spikes, as event-driven chips pool",
        structural_rule=_even_map,
    ),
)
