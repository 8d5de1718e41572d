"""The LIF of STMixer (Deng 2024): the membrane decays, its input does not.

    U_t = 0.5 U_{t-1} + x_t
Hard reset to 0; the gradient flows through the reset; Dspike surrogate (Li 2021), gamma = 2.5.
The same dynamics as `LIF` with tau = 2 and twice the threshold on x.
"""

from torch import Tensor

from spikenas.nn.neurons.neuron import Neuron


class STMixerLIF(Neuron):
    """Has no memory at T = 1: it fires where x >= v_threshold."""

    charge_name = "decay"
    detach_reset = False
    dh_dx, dh_dv = 1.0, 0.5

    def __init__(self, *, v_threshold: float = 1.0) -> None:
        super().__init__(v_threshold=v_threshold, surrogate="dspike")

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Return ``0.5 v + x``."""
        return 0.5 * v + x
