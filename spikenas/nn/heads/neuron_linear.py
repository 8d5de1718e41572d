"""The head of SDT (Yao 2023): a neuron on the mean membrane, then a linear map at every step.

Axes: T steps, B batch, N tokens, D width.
    logits = mean over steps of (W S(mean over tokens of x) + b);  PyTorch's default initialisation
"""

from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Linear, MeanOverSteps, MeanOverTokens


class NeuronLinearHead(nn.Module):
    """From the stream [T, B, N, D] to logits [B, classes]."""

    def __init__(
        self, *, embed_dim: int, num_classes: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.over_tokens, self.over_steps = MeanOverTokens(), MeanOverSteps()
        self.neuron = neuron()
        self.classifier = Linear(embed_dim, num_classes)

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return logits [B, classes]."""
        spikes = self.neuron(self.over_tokens(x, active=active))  # [T, B, D]
        return self.over_steps(self.classifier(spikes), active=active)
