"""Leaky integrate-and-fire (LIF) of Spikformer, QKFormer, MSViT and SDT; Fang 2021, eq. 1-3.

    H_t = v_{t-1} + (x_t - v_{t-1}) / tau
The reset is hard to 0, optionally soft, and detached; sigmoid surrogate with alpha = 4; tau = 2 as
published.
"""

from torch import Tensor

from spikenas.nn.neurons.neuron import Neuron


class LIF(Neuron):
    """Its input decays with the membrane: a constant current of x settles at v = x."""

    charge_name = "leaky"

    def __init__(
        self,
        *,
        tau: float = 2.0,
        v_threshold: float = 1.0,
        surrogate: str = "sigmoid",
        reset: str = "zero",
    ) -> None:
        super().__init__(v_threshold=v_threshold, surrogate=surrogate, reset=reset)
        self.tau = tau
        self.dh_dx, self.dh_dv = 1.0 / tau, 1.0 - 1.0 / tau

    def constant(self) -> float:
        """Return tau."""
        return self.tau

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v + (x - v) / tau``."""
        return v + (x - v) / self.tau

    def numbers(self) -> dict[str, int | float | str]:
        """Add the time constant."""
        return {**super().numbers(), "tau": self.tau}
