"""Stems: from an image [T, B, C, H, W] to tokens on a grid coarser by ``patch_size``."""

from functools import partial

from spikenas.registry import Component, Site, register

_HERE = "spikenas.nn.stems"
_component = partial(Component, family="stem")


def _conv_side_rule(site: Site) -> str | None:
    patch = site.patch_size or 1
    if site.residual == "membrane" and (site.height % patch or site.width % patch):
        return (
            f"its side path cuts {site.height}x{site.width} into {patch}x{patch} patches, "
            "which must divide it; take another patch_size or image size"
        )
    return _sps_membrane_rule(site)


def _sps_rule(site: Site) -> str | None:
    if site.residual == "membrane":
        return "its output is spikes; needs residual = 'spike' or 'none' (or stem 'conv')"
    return _eighths(site)


def _sps_membrane_rule(site: Site) -> str | None:
    if site.residual != "membrane":
        return "its output is a membrane; needs residual = 'membrane' (or stem 'sps', 'conv')"
    return _eighths(site)


def _i_sps_rule(site: Site) -> str | None:
    if site.input_kind == "events":
        return "it shows one image at every step, but events differ from step to step; take 'sps'"
    return _eighths(site)


def _deformed_shortcut_rule(site: Site) -> str | None:
    if site.residual == "membrane":
        return "its output is spikes; needs residual = 'spike' or 'none' (or stem 'conv')"
    if site.patch_size not in (1, 2, 4, 8):
        return (
            f"patch_size = {site.patch_size}; it has forms for 1 (CIFAR), 2, 4 (ImageNet), 8 (DVS)"
        )
    if site.patch_size == 8:
        return _eighths(site)
    return None if site.embed_dim % 2 == 0 else f"embed_dim = {site.embed_dim} must be even"


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
    _component(
        name="conv",
        target=f"{_HERE}.conv:ConvStem",
        source="strided convolutions with batch norm and neuron, after Springenberg 2015",
        structural_rule=_conv_rule,
    ),
    _component(
        name="conv_side",
        target=f"{_HERE}.conv_side:ConvSideStem",
        source="Deng 2024 (STMixer), IPSPS",
        structural_rule=_conv_side_rule,
    ),
    _component(
        name="deformed_shortcut",
        target=f"{_HERE}.deformed_shortcut:DeformedShortcutStem",
        source="Zhou 2024 (QKFormer), SPEDS, section 3.5",
        structural_rule=_deformed_shortcut_rule,
    ),
    _component(
        name="i_sps",
        target=f"{_HERE}.i_sps:IntegratedPatchSplitting",
        source="STAS (arXiv 2508.14138), I-SPS",
        structural_rule=_i_sps_rule,
    ),
    _component(
        name="sps",
        target=f"{_HERE}.sps:SpikingPatchSplitting",
        source="Zhou 2023 (Spikformer), eq. 3-5",
        structural_rule=_sps_rule,
    ),
    _component(
        name="sps_membrane",
        target=f"{_HERE}.sps_membrane:MembranePatchSplitting",
        source="Yao 2023 (Spike-Driven Transformer), MS_SPS",
        structural_rule=_sps_membrane_rule,
    ),
)
