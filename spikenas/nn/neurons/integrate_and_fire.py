"""Integrate-and-fire (IF), the neuron of clockless chips; Gerstner & Kistler 2002, section 4.1.

    H_t = v_{t-1} + x_t
No leak, so no time reference is needed. The reset is hard to 0, optionally soft, and detached;
sigmoid surrogate with alpha = 4.
"""

from torch import Tensor

from spikenas.nn.neurons.neuron import Neuron


class IntegrateAndFire(Neuron):
    """Integrates its input without a leak until it fires."""

    charge_name = "decay"  # by a factor of 1
    dh_dx, dh_dv = 1.0, 1.0

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``v + x``."""
        return v + x
