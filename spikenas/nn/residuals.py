"""How a sub-block joins the stream, and where its neuron stands.

Axes: T steps, B batch, N tokens, D width. ``branch`` maps spikes to currents [T, B, N, D]; where
a neuron S stands behind it, it is handed to the layer that ends the branch (`Branch.end`).
    spike     x + S(branch(x))    spikes add up to counts: SEW (Fang 2021), Spikformer, QKFormer
    membrane  x + branch(S(x))    currents add up: MS-ResNet (Hu 2021), SDT, STMixer
    none      S(branch(x))        for chips without a sum
Stochastic depth (Huang 2016) leaves a branch out of whole samples, in training only and only where
a recipe asks for it; the released systems build it and never apply it.
"""

import torch
from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, only
from spikenas.nn.branch import Branch
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add


class NoResidual(nn.Module):
    """Only the branch and its neuron.

    Attributes:
        neuron: None where the layer that ends the branch has taken it.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron = branch, _handed(branch, neuron())

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return spikes [T, B, N, D]."""
        y: Tensor = self.branch(x, **only(active))
        return y if self.neuron is None else self.neuron(y, **only(active))


class SpikeResidual(NoResidual):
    """Add after the neuron.

    Attributes:
        drop_probability: of leaving the branch out of a sample, all steps, while training.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__(branch, neuron)
        self.add = Add()
        self.drop_probability = 0.0

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the stream [T, B, N, D]."""
        y = super().forward(x, active=active)
        out: Tensor = self.add(x, dropped(y, self.drop_probability if self.training else 0.0))
        return out


class MembraneResidual(nn.Module):
    """Add before the neuron.

    Attributes:
        drop_probability: of leaving the branch out of a sample, all steps, while training.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron, self.add = branch, neuron(), Add()
        self.drop_probability = 0.0

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the stream [T, B, N, D]."""
        y = self.branch(self.neuron(x, **only(active)), **only(active))
        out: Tensor = self.add(x, dropped(y, self.drop_probability if self.training else 0.0))
        return out


def dropped(y: Tensor, probability: float) -> Tensor:
    """Return what a branch gives [T, B, N, D], zero for some samples, others scaled up."""
    if not probability:
        return y
    keep = 1.0 - probability
    kept = torch.bernoulli(torch.full((1, y.shape[1], 1, 1), keep, device=y.device))
    return y * (kept / keep).to(y.dtype)


def _handed(branch: Branch, neuron: nn.Module) -> nn.Module | None:
    """Hand a neuron to the layer that ends the branch; return it where there is none."""
    end = branch.end()
    if end is None:
        return neuron
    end.neuron = neuron
    return None


RESIDUALS = {"spike": SpikeResidual, "membrane": MembraneResidual, "none": NoResidual}
