"""Placements: how the layers of a network are mapped to the cores of a chip, one file per family.

A profile names its placement, which reads the profile's limits and facts of structure. What a
family of chips has in common, such as how memory sizes are rounded and how much a layer uses, is
code. `profile_names` lists the values that this code supports; profiles with others are refused.
"""

from collections.abc import Callable, Mapping

from spikenas.hardware.layers import LayerGraph
from spikenas.hardware.placement.akida import place_on_akida
from spikenas.hardware.placement.cores import place_on_cores
from spikenas.hardware.placement.placement import Bound, Breach, Findings, Placement
from spikenas.hardware.placement.speck import place_on_speck
from spikenas.hardware.placement.xylo import place_on_xylo
from spikenas.hardware.profile import ChipProfile
from spikenas.hardware.profile_names import PlacementName

PLACE: Mapping[PlacementName, Callable[[LayerGraph, ChipProfile], tuple[Placement, Findings]]] = {
    "speck": place_on_speck,
    "akida": place_on_akida,
    "cores": place_on_cores,
    "xylo": place_on_xylo,
}

__all__ = ["PLACE", "Bound", "Breach", "Findings", "Placement"]
