"""Search spaces: the set of architectures that a TOML file allows.

`SearchSpace` reads the file (`spec`), whose genes have a known set of values (`genes`). Sampling,
mutation, counting and the samplers share one `traversal` of all choices (`nodes`).
To samplers, a space is a `ChoiceSpace`.
"""

from spikenas.search_space.choice_space import ChoiceSpace, Traits
from spikenas.search_space.space import DeadEnd, SearchSpace
from spikenas.search_space.traversal import SpaceSize

__all__ = ["ChoiceSpace", "DeadEnd", "SearchSpace", "SpaceSize", "Traits"]
