"""Halting: whether every token passes all blocks at all steps, or stops early."""

from functools import partial

from spikenas.registry import Component, Site, register

_HERE = "spikenas.nn.halting"
_component = partial(Component, family="halting")


def _one_stage_of_blocks(site: Site) -> str | None:
    if not site.halting:
        return None
    if site.num_stages > 1:
        return (
            f"it counts tokens of one resolution, but there are {site.num_stages} stages; "
            "take num_stages = 1 or halting = 'none'"
        )
    if site.depth == 1:
        return "a token halts between blocks, but depth = 1; take depth > 1 or halting = 'none'"
    return None


register(
    _component(
        name="act",
        target=f"{_HERE}.act:AdaptiveComputation",
        source="STAS (arXiv 2508.14138), A-SSA; Graves 2016 (ACT), Yin 2022 (A-ViT)",
        genes=("halting_threshold", "ponder_cost"),
        structural_rule=_one_stage_of_blocks,
    ),
    _component(
        name="none",
        target=f"{_HERE}.none:NoHalting",
        source="every published system but STAS",
    ),
)
