"""What a backend of the multi-step neuron promises, held against the plain one."""

from typing import ClassVar

import torch

from spikenas.nn.kernels import Backend, Dynamics
from spikenas.nn.kernels.check import complaints


class BackendContract:
    """The promises of a `Backend`; the subclass says which, and what it runs on."""

    device: ClassVar[str] = "cpu"
    dtype: ClassVar[torch.dtype] = torch.float32

    def backend(self) -> Backend:
        """Return the backend."""
        raise NotImplementedError

    def test_it_does_what_the_plain_one_does(self) -> None:
        """Spikes are equal, for every charge, surrogate and reset; gradients and sums close."""
        found = list(complaints(self.backend(), self.device, self.dtype))

        assert not found, found

    def test_one_step_stands_for_equal_ones(self) -> None:
        """An image is the same at all steps; its gradient is the sum over them."""
        backend, x = self.backend(), self._currents(1)
        repeated = x.expand(5, -1, -1).contiguous()
        grad = self._currents(5)

        spikes, _ = backend.forward(x, 5, _LIF, None)
        expected, _ = backend.forward(repeated, 5, _LIF, None)
        once, *_ = backend.backward(x, grad, _LIF, None)
        each, *_ = backend.backward(repeated, grad, _LIF, None)

        differing = int((spikes != expected).sum())
        assert not differing, f"{differing} of {spikes.numel()} spikes of equal steps differ"
        torch.testing.assert_close(once, each.sum(0, keepdim=True), rtol=1e-3, atol=1e-3)

    def test_what_it_is_given_stays_as_it_is(self) -> None:
        """But for what ``combine_`` says that it changes."""
        backend, x, grad = self.backend(), self._currents(3), self._currents(3)
        before = x.clone(), grad.clone()
        backend.forward(x, 3, _LIF, None)
        backend.backward(x, grad, _LIF, None)
        backend.moments(x)

        assert x.equal(before[0]), "the currents are changed"
        assert grad.equal(before[1]), "the gradient of the spikes is changed"

    def _currents(self, num_steps: int) -> torch.Tensor:
        random = torch.Generator().manual_seed(num_steps)
        return torch.randn(num_steps, 37, 5, generator=random).to(self.device, self.dtype)


_LIF = Dynamics(
    charge="leaky",
    c=2.0,
    threshold=0.5,
    surrogate="sigmoid",
    dh_dx=0.5,
    dh_dv=0.5,
    soft_reset=False,
    through_reset=False,
)
