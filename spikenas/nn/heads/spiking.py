"""A head that ends in neurons, for chips whose every weight feeds one.

Axes: T steps, B batch, N tokens, D width.
    [S(x) in a membrane residual] -> mean over tokens -> linear -> BN -> S -> count over T
The logits are the spike counts of each class, 0 to T.
"""

from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import BatchNorm, Linear, MeanOverSteps, MeanOverTokens


class SpikingHead(nn.Module):
    """From the stream [T, B, N, D] to spike counts [B, classes]."""

    def __init__(
        self, *, embed_dim: int, num_classes: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.before = neuron() if residual == "membrane" else None
        self.over_tokens, self.over_steps = MeanOverTokens(), MeanOverSteps()
        self.classifier = Linear(embed_dim, num_classes, bias=False)
        self.bn = BatchNorm(num_classes)
        self.neuron = neuron()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes]."""
        spikes = x if self.before is None else self.before(x)
        currents: Tensor = self.bn(self.classifier(self.over_tokens(spikes)))  # [T, B, classes]
        rates: Tensor = self.over_steps(self.neuron(currents))
        return rates * currents.shape[0]
