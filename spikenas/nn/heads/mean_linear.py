"""Mean over tokens and steps, then a linear map: Zhou 2023 (Spikformer), also QKFormer, STMixer.

Axes: T steps, B batch, N tokens, D width. With a membrane residual the mean is over membranes and
the initial weights are PyTorch's default (STMixer); else from a normal of 0.02 (Spikformer).
"""

from torch import Tensor, nn

from spikenas.nn import initialisation
from spikenas.nn.active_tokens import ActiveTokens
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Linear, MeanOverSteps, MeanOverTokens


class MeanLinearHead(nn.Module):
    """From the stream [T, B, N, D] to logits [B, classes]."""

    def __init__(
        self, *, embed_dim: int, num_classes: int, residual: str, neuron: NeuronFactory
    ) -> None:
        super().__init__()
        self.over_tokens, self.over_steps = MeanOverTokens(), MeanOverSteps()
        self.classifier = Linear(embed_dim, num_classes)
        if residual != "membrane":
            initialisation.spikformer(self)

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return logits [B, classes]."""
        x = self.over_steps(self.over_tokens(x, active=active), active=active)  # [B, D]
        return self.classifier(x)
