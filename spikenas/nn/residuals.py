"""How a sub-block joins the stream, and where its neuron stands.

Axes: T steps, B batch, N tokens, D width. ``branch`` maps spikes to currents [T, B, N, D].
    spike     x + S(branch(x))    spikes add up to counts: SEW (Fang 2021), Spikformer, QKFormer
    membrane  x + branch(S(x))    currents add up: MS-ResNet (Hu 2021), SDT, STMixer
    none      S(branch(x))        for chips without a sum
"""

from torch import Tensor, nn

from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add


class SpikeResidual(nn.Module):
    """Add after the neuron."""

    def __init__(self, branch: nn.Module, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron, self.add = branch, neuron(), Add()

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [T, B, N, D]."""
        out: Tensor = self.add(x, self.neuron(self.branch(x)))
        return out


class MembraneResidual(nn.Module):
    """Add before the neuron."""

    def __init__(self, branch: nn.Module, neuron: NeuronFactory) -> None:
        super().__init__()
        self.neuron, self.branch, self.add = neuron(), branch, Add()

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [T, B, N, D]."""
        out: Tensor = self.add(x, self.branch(self.neuron(x)))
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
