"""Spiking token mixing (STM), Deng 2024 (STMixer): a learned matrix over tokens, one per head.

Axes: T steps, B batch, N tokens, D width, h heads.
    out = BN(W_2 S(STM(S(BN(W_1 x)))));  STM: Y[:, c] = M_i X[:, c] for the channels c of head i
No biases and no product of spikes, so it runs without a clock. The L h N^2 weights fit only one
resolution.
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.layers import LinearNorm
from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import TokenMixing


class SpikingTokenMixing(Mixer):
    """Every token reaches every other through trained weights."""

    def __init__(
        self, *, embed_dim: int, num_heads: int, grid: tuple[int, int], neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.fc1 = LinearNorm(embed_dim, embed_dim, bias=False, neuron=neuron())
        self.mixing = TokenMixing(grid[0] * grid[1], num_heads)
        self.neuron = neuron()
        self.fc2 = LinearNorm(embed_dim, embed_dim, bias=False)

    def end(self) -> LinearNorm:
        """Return the second map."""
        return self.fc2

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        spikes = self.fc1(x)  # [T, B, N, D]
        return self.fc2(self.neuron(self.mixing(spikes)))

    def initialise(self, block: nn.Module) -> None:
        """He-normal over the fan-out."""
        initialisation.stmixer(block)
