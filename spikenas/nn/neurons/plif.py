"""Parametric LIF (PLIF), Fang 2021 (ICCV): each layer learns its membrane time constant.

    H_t = v_{t-1} + k (x_t - v_{t-1}),  k = sigmoid(w) = 1 / tau
The reset to 0 is detached; arc tangent surrogate with alpha = 2. ``tau`` > 1 is the initial value:
w = -ln(tau - 1).
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, log

import torch
from torch import Tensor, nn

from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import Facts


class ParametricLIF(Neuron):
    """A LIF whose leak is trained; one weight for the whole layer."""

    charge_name = "learnt"

    def __init__(
        self,
        *,
        tau: float = 2.0,
        v_threshold: float = 1.0,
        surrogate: str = "atan",
        reset: str = "zero",
    ) -> None:
        super().__init__(v_threshold=v_threshold, surrogate=surrogate, reset=reset)
        if not tau > 1.0:
            raise ValueError(f"tau must be above 1 for a learnt time constant, but is {tau}")
        self.weight = nn.Parameter(torch.tensor(-log(tau - 1.0)))
        self.dh_dx, self.dh_dv = 1.0 / tau, 1.0 - 1.0 / tau  # initial values

    def constant(self) -> float:
        """Return the initial leak."""
        return self.dh_dx

    def leak(self) -> Tensor:
        """Return k, 0 to 1."""
        return self.weight.sigmoid()

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v + k (x - v)``."""
        return v + (x - v) * self.leak()

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Count the leak among the weights."""
        return replace(super().facts(inputs, output), weights=1)

    def numbers(self) -> dict[str, int | float | str]:
        """Add the learnt time constant, or the initial one if the weight has no value."""
        learnt = float("nan") if self.weight.is_meta else float(self.leak().detach())
        k = self.dh_dx if isnan(learnt) else learnt
        return {**super().numbers(), "leak": k, "tau": 1.0 / k}
