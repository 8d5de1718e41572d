"""Halting: whether every token passes all blocks at all steps, or stops once it has done enough."""

from spikenas.registry import Operator, Site, register

_HERE = "spikenas.nn.halting"


def _one_stage(site: Site) -> str | None:
    if not site.halting or site.num_stages == 1:
        return None
    return (
        f"it counts tokens of one resolution, but there are {site.num_stages} stages; "
        "take num_stages = 1 or halting = 'none'"
    )


register(
    Operator(
        family="halting",
        name="act",
        target=f"{_HERE}.act:AdaptiveComputation",
        source="STAS (arXiv 2508.14138), A-SSA; Graves 2016 (ACT), Yin 2022 (A-ViT)",
        genes=("threshold", "ponder_cost"),
        rule=_one_stage,
    )
)
register(
    Operator(
        family="halting",
        name="none",
        target=f"{_HERE}.none:NoHalting",
        source="every published system but STAS",
    )
)
