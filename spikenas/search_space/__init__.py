"""Search spaces: the set of architectures that a TOML file allows.

`SearchSpace` reads the file (`spec`), knows what each gene may be (`genes`) and goes through all
its choices in one `traversal` (of `nodes`), which sampling, mutation, counting and the samplers
share.
"""

from spikenas.search_space.space import DeadEnd, SearchSpace
from spikenas.search_space.traversal import SpaceSize

__all__ = ["DeadEnd", "SearchSpace", "SpaceSize"]
