"""Chips and energy: two readers of a `spikenas.workload.Workload`, plain data without torch.

A chip is one TOML file (`chip`, `chips`); `check` checks a workload against it, `check_layers` a
network from a file (`read_layers`). An energy model turns a measured workload into joules
(`energy_model`, `energy_models`), and `compare` compares it with non-spiking networks.
"""

from spikenas.hardware.batch_norm_folding import fold_batch_norm
from spikenas.hardware.energy import (
    Comparison,
    Constant,
    Cost,
    EnergyEstimate,
    EnergyModel,
    OperationEnergy,
    compare,
    energy_model,
    energy_models,
    module_of_model,
    name_of,
)
from spikenas.hardware.layer_file import parse_layers, read_layers
from spikenas.hardware.layers import Layer, LayerGraph
from spikenas.hardware.placement import Placement
from spikenas.hardware.profile import ChipProfile, ChipRule, Fact, Limit, chip, chips
from spikenas.hardware.verdict import Verdict, Violation, check, check_layers

__all__ = [
    "ChipProfile",
    "ChipRule",
    "Comparison",
    "Constant",
    "Cost",
    "EnergyEstimate",
    "EnergyModel",
    "Fact",
    "Layer",
    "LayerGraph",
    "Limit",
    "OperationEnergy",
    "Placement",
    "Verdict",
    "Violation",
    "check",
    "check_layers",
    "chip",
    "chips",
    "compare",
    "energy_model",
    "energy_models",
    "fold_batch_norm",
    "module_of_model",
    "name_of",
    "parse_layers",
    "read_layers",
]
