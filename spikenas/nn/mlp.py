"""The feed-forward branch of a block: BN(W2 S(BN(W1 x))), from spikes to currents.

Axes: T steps, B batch, N tokens, D width. Zhou 2023, eq. 10; with biases, as STMixer without.
"""

from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, Linear


class MLP(nn.Module):
    """Two linear maps with a spiking hidden layer of ``hidden_dim``."""

    def __init__(
        self, *, embed_dim: int, hidden_dim: int, bias: bool, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.fc1 = Linear(embed_dim, hidden_dim, bias=bias)
        self.bn1 = BatchNorm(hidden_dim)
        self.neuron = neuron()
        self.fc2 = Linear(hidden_dim, embed_dim, bias=bias)
        self.bn2 = BatchNorm(embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return currents [T, B, N, D]."""
        hidden = self.neuron(self.bn1(self.fc1(x)))  # [T, B, N, hidden]
        out: Tensor = self.bn2(self.fc2(hidden))
        return out
