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
    from spikenas.driver import resume, search
    from spikenas.exceptions import SpikeNASError
    from spikenas.export import load
    from spikenas.nn.network import build_network
    from spikenas.official import import_official
    from spikenas.search_space import SearchSpace
    from spikenas.store import Run, Store
    from spikenas.systems import published

__all__ = [
    "Architecture",
    "InputSpec",
    "Run",
    "SearchSpace",
    "SpikeNASError",
    "Stage",
    "Store",
    "build_network",
    "import_official",
    "load",
    "published",
    "resume",
    "search",
]

_HOMES = {
    "Architecture": "spikenas.architecture",
    "InputSpec": "spikenas.architecture",
    "Run": "spikenas.store",
    "SearchSpace": "spikenas.search_space",
    "SpikeNASError": "spikenas.exceptions",
    "Stage": "spikenas.architecture",
    "Store": "spikenas.store",
    "build_network": "spikenas.nn.network",
    "import_official": "spikenas.official",
    "load": "spikenas.export",
    "published": "spikenas.systems",
    "resume": "spikenas.driver",
    "search": "spikenas.driver",
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
