"""A head that ends in neurons, for chips on which all weights feed neurons.

Axes: T steps, B batch, N tokens, D width.
    [S(x) in a membrane residual] -> mean over tokens -> linear -> BN -> S -> count over T
The logits are the spike counts of each class, 0 to T.
"""

from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.layers import LinearNorm
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import MeanOverSteps, MeanOverTokens


class SpikingHead(nn.Module):
    """From the stream [T, B, N, D] to spike counts [B, classes]."""

    def __init__(
        self, *, embed_dim: int, num_classes: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.before = neuron() if residual == "membrane" else None
        self.over_tokens, self.over_steps = MeanOverTokens(), MeanOverSteps()
        self.classifier = LinearNorm(embed_dim, num_classes, bias=False, neuron=neuron())

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return logits [B, classes]."""
        x = x if self.before is None else self.before(x, active=active)
        spikes: Tensor = self.classifier(self.over_tokens(x, active=active))  # [T, B, classes]
        rates: Tensor = self.over_steps(spikes, active=active)
        return rates * spikes.shape[0]
