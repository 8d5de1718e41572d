"""Chips and energy: two readers of a `spikenas.workload.Workload`, plain data without torch.

A chip is one TOML file (`chip`, `chips`); `check` holds a workload against it. An energy model
turns a measured workload into joules (`energy_model`, `energy_models`), and `compare` sets networks
that do not spike beside it.
"""

from spikenas.hardware.energy import (
    Comparison,
    Constant,
    EnergyEstimate,
    EnergyModel,
    OperationEnergy,
    compare,
    energy_model,
    energy_models,
)
from spikenas.hardware.profile import ChipProfile, Limit, Rule, chip, chips
from spikenas.hardware.verdict import Verdict, Violation, check

__all__ = [
    "ChipProfile",
    "Comparison",
    "Constant",
    "EnergyEstimate",
    "EnergyModel",
    "Limit",
    "OperationEnergy",
    "Rule",
    "Verdict",
    "Violation",
    "check",
    "chip",
    "chips",
    "compare",
    "energy_model",
    "energy_models",
]
