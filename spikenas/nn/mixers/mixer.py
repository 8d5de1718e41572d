"""`Mixer`: the base class of token mixers, branches from spikes [T, B, N, D] to currents."""

from typing import ClassVar

from torch import nn

from spikenas.nn import initialisation
from spikenas.nn.branch import Branch


class Mixer(Branch):
    """A branch without its outer neuron, with the conventions of the system it comes from.

    Attributes:
        mlp_bias: whether the MLP of its block has biases.
    """

    mlp_bias: ClassVar[bool] = False

    def initialise(self, block: nn.Module) -> None:
        """Draw the initial weights of the whole block, MLP included."""
        initialisation.default(block)
