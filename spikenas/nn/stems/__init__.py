"""Stems: image [T, B, C, H, W] to the first stage's tokens, on a grid ``patch_size`` coarser."""

from spikenas.registry import Operator, Site, register

_HERE = "spikenas.nn.stems"


def _conv_side_rule(site: Site) -> str | None:
    if site.residual != "membrane":
        return "its output is a membrane; needs residual = 'membrane' (or stem 'sps', 'conv')"
    patch = site.patch_size or 1
    if site.height % patch or site.width % patch:
        return (
            f"its side path cuts {site.height}x{site.width} into {patch}x{patch} patches, "
            "which must divide it; take another patch_size or image size"
        )
    return _eighths(site)


def _sps_rule(site: Site) -> str | None:
    if site.residual == "membrane":
        return "its output is spikes; needs residual = 'spike' or 'none' (or stem 'conv')"
    return _eighths(site)


def _eighths(site: Site) -> str | None:
    if site.embed_dim % 8:
        return f"embed_dim = {site.embed_dim} must be a multiple of 8"
    return None


def _conv_rule(site: Site) -> str | None:
    halvings = max((site.patch_size or 1).bit_length() - 2, 0)
    if site.embed_dim % 2**halvings:
        return f"embed_dim = {site.embed_dim} must be a multiple of {2**halvings}"
    return None


register(
    Operator(
        family="stem",
        name="conv",
        target=f"{_HERE}.conv:ConvStem",
        source="strided convolutions with batch norm and neuron, after Springenberg 2015",
        rule=_conv_rule,
    )
)
register(
    Operator(
        family="stem",
        name="conv_side",
        target=f"{_HERE}.conv_side:ConvSideStem",
        source="Deng 2024 (STMixer), IPSPS",
        rule=_conv_side_rule,
    )
)
register(
    Operator(
        family="stem",
        name="sps",
        target=f"{_HERE}.sps:SpikingPatchSplitting",
        source="Zhou 2023 (Spikformer), eq. 3-5",
        rule=_sps_rule,
    )
)
