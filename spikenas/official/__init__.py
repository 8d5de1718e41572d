"""Official checkpoints: the weights that the authors released, as spikenas networks.

`read_checkpoint` reads a file without running code, `import_official` assigns every tensor in it.
"""

from spikenas.official.checkpoint_file import read_checkpoint
from spikenas.official.importing import import_official

__all__ = ["import_official", "read_checkpoint"]
