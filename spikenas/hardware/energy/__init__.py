"""Energy models: a workload in, the energy of one inference out, with the evidence for it.

``cmos45`` counts arithmetic as the papers do, ``memory_aware`` adds the cost of memory. A chip is
one TOML file in ``chips``; without a published constant it gives a score, never joules.
"""

from spikenas.hardware.energy.comparison import Comparison, compare
from spikenas.hardware.energy.model import (
    Constant,
    Cost,
    EnergyEstimate,
    EnergyModel,
    OperationEnergy,
)
from spikenas.hardware.energy.models import energy_model, energy_models, module_of_model, name_of

__all__ = [
    "Comparison",
    "Constant",
    "Cost",
    "EnergyEstimate",
    "EnergyModel",
    "OperationEnergy",
    "compare",
    "energy_model",
    "energy_models",
    "module_of_model",
    "name_of",
]
