"""How a sub-block joins the stream, and where its neuron stands.

Axes: T steps, B batch, N tokens, D width. ``branch`` maps spikes to currents [T, B, N, D].
    spike     x + S(branch(x))    spikes add up to counts: SEW (Fang 2021), Spikformer, QKFormer
    membrane  x + branch(S(x))    currents add up: MS-ResNet (Hu 2021), SDT, STMixer
    none      S(branch(x))        for chips without a sum
Stochastic depth (Huang 2016) leaves a branch out of whole samples, in training only and only where
a recipe asks for it; the released systems build it and never apply it.
"""

import torch
from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add


class Residual(nn.Module):
    """A branch with its neuron, and the sum that joins it to the stream.

    Attributes:
        drop_probability: of leaving the branch out of a sample, all steps, while training.
    """

    def __init__(self, branch: nn.Module, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron, self.add = branch, neuron(), Add()
        self.drop_probability = 0.0

    def dropped(self, y: Tensor) -> Tensor:
        """Return what the branch gives [T, B, N, D], zero for some samples, others scaled up."""
        if not self.training or not self.drop_probability:
            return y
        keep = 1.0 - self.drop_probability
        kept = torch.bernoulli(torch.full((1, y.shape[1], 1, 1), keep, device=y.device))
        return y * (kept / keep).to(y.dtype)


class SpikeResidual(Residual):
    """Add after the neuron."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [T, B, N, D]."""
        out: Tensor = self.add(x, self.dropped(self.neuron(self.branch(x))))
        return out


class MembraneResidual(Residual):
    """Add before the neuron."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [T, B, N, D]."""
        out: Tensor = self.add(x, self.dropped(self.branch(self.neuron(x))))
        return out


class NoResidual(nn.Module):
    """Only the branch and its neuron."""

    def __init__(self, branch: nn.Module, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron = branch, neuron()

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, N, D]."""
        out: Tensor = self.neuron(self.branch(x))
        return out


RESIDUALS = {"spike": SpikeResidual, "membrane": MembraneResidual, "none": NoResidual}
