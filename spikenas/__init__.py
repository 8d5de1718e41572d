"""Find the spiking transformers with the best accuracy for the least energy a chip can run.

The public surface. Names are imported on first use, so that ``import spikenas`` costs
milliseconds and neither torch nor ray until a network is built or a search is run.
"""

from importlib import import_module

# Nothing else is imported here: with `python -m spikenas`, a typing.py in the working folder would
# be taken for typing until `__main__` has moved that folder to the end of the path.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spikenas.architecture import Architecture, InputSpec, Stage
    from spikenas.data import DataSource, DataSpec, OwnData
    from spikenas.distributed import WorkerPool
    from spikenas.driver import Progress, resume, search
    from spikenas.evaluation import Evaluation, State
    from spikenas.exceptions import (
        ArchitectureError,
        ArtefactError,
        BudgetError,
        ClusterError,
        DataError,
        DivergedError,
        InfeasibleError,
        LeaseError,
        MachineError,
        NotFoundError,
        SpecError,
        SpikeNASError,
        StoreError,
        UnknownNameError,
        UsageError,
    )
    from spikenas.export import load
    from spikenas.hardware import ChipProfile, EnergyEstimate, EnergyModel, Verdict
    from spikenas.inspection import check, energy, trace
    from spikenas.nn.network import build_network
    from spikenas.official import import_official
    from spikenas.search_space import SearchSpace
    from spikenas.settings import Limits, SearchSettings
    from spikenas.store import Candidate, Run, Store
    from spikenas.systems import published
    from spikenas.training import Recipe
    from spikenas.worker_profile import WorkerProfile
    from spikenas.workload import Workload

__all__ = [
    "Architecture",
    "ArchitectureError",
    "ArtefactError",
    "BudgetError",
    "Candidate",
    "ChipProfile",
    "ClusterError",
    "DataError",
    "DataSource",
    "DataSpec",
    "DivergedError",
    "EnergyEstimate",
    "EnergyModel",
    "Evaluation",
    "InfeasibleError",
    "InputSpec",
    "LeaseError",
    "Limits",
    "MachineError",
    "NotFoundError",
    "OwnData",
    "Progress",
    "Recipe",
    "Run",
    "SearchSettings",
    "SearchSpace",
    "SpecError",
    "SpikeNASError",
    "Stage",
    "State",
    "Store",
    "StoreError",
    "UnknownNameError",
    "UsageError",
    "Verdict",
    "WorkerPool",
    "WorkerProfile",
    "Workload",
    "build_network",
    "check",
    "energy",
    "import_official",
    "load",
    "published",
    "resume",
    "search",
    "trace",
]

_HOMES = {
    "Architecture": "spikenas.architecture",
    "ArchitectureError": "spikenas.exceptions",
    "ArtefactError": "spikenas.exceptions",
    "BudgetError": "spikenas.exceptions",
    "Candidate": "spikenas.store",
    "ChipProfile": "spikenas.hardware",
    "ClusterError": "spikenas.exceptions",
    "DataError": "spikenas.exceptions",
    "DataSource": "spikenas.data",
    "DataSpec": "spikenas.data",
    "DivergedError": "spikenas.exceptions",
    "EnergyEstimate": "spikenas.hardware",
    "EnergyModel": "spikenas.hardware",
    "Evaluation": "spikenas.evaluation",
    "InfeasibleError": "spikenas.exceptions",
    "InputSpec": "spikenas.architecture",
    "LeaseError": "spikenas.exceptions",
    "Limits": "spikenas.settings",
    "MachineError": "spikenas.exceptions",
    "NotFoundError": "spikenas.exceptions",
    "OwnData": "spikenas.data",
    "Progress": "spikenas.driver",
    "Recipe": "spikenas.training",
    "Run": "spikenas.store",
    "SearchSettings": "spikenas.settings",
    "SearchSpace": "spikenas.search_space",
    "SpecError": "spikenas.exceptions",
    "SpikeNASError": "spikenas.exceptions",
    "Stage": "spikenas.architecture",
    "State": "spikenas.evaluation",
    "Store": "spikenas.store",
    "StoreError": "spikenas.exceptions",
    "UnknownNameError": "spikenas.exceptions",
    "UsageError": "spikenas.exceptions",
    "Verdict": "spikenas.hardware",
    "WorkerPool": "spikenas.distributed",
    "WorkerProfile": "spikenas.worker_profile",
    "Workload": "spikenas.workload",
    "build_network": "spikenas.nn.network",
    "check": "spikenas.inspection",
    "energy": "spikenas.inspection",
    "import_official": "spikenas.official",
    "load": "spikenas.export",
    "published": "spikenas.systems",
    "resume": "spikenas.driver",
    "search": "spikenas.driver",
    "trace": "spikenas.inspection",
}


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        return import_module("importlib.metadata").version("spikenas")
    if name not in _HOMES:
        raise AttributeError(f"module 'spikenas' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
