"""Integrate-and-fire (IF), the neuron of clockless chips; Gerstner & Kistler 2002, section 4.1.

    H_t = v_{t-1} + x_t
No leak, so no time reference is needed. Hard reset to 0, or a soft one by option, detached; sigmoid
surrogate, alpha = 4.
"""

from torch import Tensor

from spikenas.nn.neurons.neuron import Neuron


class IntegrateAndFire(Neuron):
    """Keeps all that it was given until it fires."""

    charge_name = "decay"  # that keeps all
    detach_reset = True
    dh_dx, dh_dv = 1.0, 1.0

    def __init__(
        self, *, v_threshold: float = 1.0, surrogate: str = "sigmoid", reset: str = "zero"
    ) -> None:
        super().__init__(v_threshold=v_threshold, surrogate=surrogate, reset=reset)

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v + x``."""
        return v + x
