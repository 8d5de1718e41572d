"""The feed-forward branch of a block: BN(W2 S(BN(W1 x))), from spikes to currents.

Axes: T steps, B batch, N tokens, D width. Zhou 2023, eq. 10, with biases; STMixer has none.
"""

from torch import Tensor

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.branch import Branch
from spikenas.nn.layers import LinearNorm
from spikenas.nn.neurons.neuron import NeuronFactory


class MLP(Branch):
    """Two linear maps with a spiking hidden layer of ``hidden_dim``."""

    def __init__(
        self, *, embed_dim: int, hidden_dim: int, bias: bool, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.fc1 = LinearNorm(embed_dim, hidden_dim, bias=bias, neuron=neuron())
        self.fc2 = LinearNorm(hidden_dim, embed_dim, bias=bias)

    def end(self) -> LinearNorm:
        """Return the second map."""
        return self.fc2

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return currents [T, B, N, D]."""
        hidden = self.fc1(x, active=active)  # [T, B, N, hidden], spikes
        return self.fc2(hidden, active=active)
