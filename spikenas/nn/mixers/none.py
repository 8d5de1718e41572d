"""No token mixing: the block is its MLP alone."""

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory


class NoMixer(Mixer):
    """Returns the tokens [T, B, N, D] unchanged; a block leaves out its residual too."""

    def __init__(self, *, embed_dim: int, grid: tuple[int, int], neuron: NeuronFactory) -> None:
        super().__init__()

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return ``x``."""
        return x
