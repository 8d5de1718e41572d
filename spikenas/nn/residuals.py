"""How a sub-block joins the stream, and the position of its neuron.

Axes: T steps, B batch, N tokens, D width. ``branch`` maps spikes to currents [T, B, N, D]; a neuron
S after it is moved into the last layer of the branch (`Branch.end`).
    spike     x + S(branch(x))    spikes add up to counts: SEW (Fang 2021), Spikformer, QKFormer
    membrane  x + branch(S(x))    currents add up: MS-ResNet (Hu 2021), SDT, STMixer
    none      S(branch(x))        for chips that cannot add
Stochastic depth (Huang 2016) skips a branch for whole samples, in training only and only if a
recipe sets it; the released systems build it but never apply it.
"""

import torch
from torch import Tensor, nn

from spikenas.nn.active_tokens import ActiveTokens, active_kwargs
from spikenas.nn.branch import Branch
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.operations import Add


class NoResidual(nn.Module):
    """Only the branch and its neuron.

    Attributes:
        neuron: None if the last layer of the branch has it.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron = branch, _handed(branch, neuron())

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return spikes [T, B, N, D]."""
        y: Tensor = self.branch(x, **active_kwargs(active))
        return y if self.neuron is None else self.neuron(y, **active_kwargs(active))


class SpikeResidual(NoResidual):
    """Add after the neuron.

    Attributes:
        drop_probability: of skipping the branch for a sample, at all steps, in training.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__(branch, neuron)
        self.add = Add()
        self.drop_probability = 0.0

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the stream [T, B, N, D]."""
        y = super().forward(x, active=active)
        return self.add(x, dropped(y, self.drop_probability if self.training else 0.0))


class MembraneResidual(nn.Module):
    """Add before the neuron.

    Attributes:
        drop_probability: of skipping the branch for a sample, at all steps, in training.
    """

    def __init__(self, branch: Branch, neuron: NeuronFactory) -> None:
        super().__init__()
        self.branch, self.neuron, self.add = branch, neuron(), Add()
        self.drop_probability = 0.0

    def forward(self, x: Tensor, *, active: ActiveTokens | None = None) -> Tensor:
        """Return the stream [T, B, N, D]."""
        y = self.branch(self.neuron(x, **active_kwargs(active)), **active_kwargs(active))
        return self.add(x, dropped(y, self.drop_probability if self.training else 0.0))


def dropped(y: Tensor, probability: float) -> Tensor:
    """Return a branch's output [T, B, N, D], zero for some samples and scaled up for others."""
    if not probability:
        return y
    keep = 1.0 - probability
    kept = torch.bernoulli(torch.full((1, y.shape[1], 1, 1), keep, device=y.device))
    return y * (kept / keep).to(y.dtype)


def _handed(branch: Branch, neuron: nn.Module) -> nn.Module | None:
    """Move a neuron into the last layer of the branch; return it if there is no such layer."""
    end = branch.end()
    if end is None:
        return neuron
    end.neuron = neuron
    return None


RESIDUALS = {"spike": SpikeResidual, "membrane": MembraneResidual, "none": NoResidual}
