"""Search spaces: the set of architectures that a TOML file allows.

`SearchSpace` reads the file (`spec`), knows what each gene may be (`genes`) and goes through all
its choices in one walk (`walk`), which sampling, mutation, counting and the samplers share.
"""

from spikenas.search_space.space import DeadEnd, SearchSpace
from spikenas.search_space.walk import SpaceSize

__all__ = ["DeadEnd", "SearchSpace", "SpaceSize"]
