"""`Leaf`: the base class of operations, which report their cost and the signal of their output.

``spikenas.measurement`` records these reports as a Workload. Spikes are floats of 0 and 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from spikenas.workload import Kind, Signal

Count = Callable[[Tensor], Tensor | int]  # gives the number of non-zero elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The costs and attributes of a leaf; counts as in `spikenas.workload.Operation`."""

    macs: int = 0  # per sample and step
    weights: int = 0
    biases: int = 0
    neurons: int = 0
    state: int = 0
    attributes: dict[str, int | float | str] = field(default_factory=dict)
    ends_time: bool = False  # the output has no step axis


class Leaf(nn.Module):
    """A module that a trace records as one operation.

    Attributes:
        signal: of the output, if it does not depend on those of the inputs.
    """

    kind: Kind
    signal = Signal.MEMBRANE

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Return the costs for inputs of these shapes; ``output`` may be a meta tensor."""
        return Facts()

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int | None:
        """Return how many multiply-accumulates had two non-zero factors, given non-zero weights.

        None if each element of the first input is multiplied by the same number of weights, so that
        its spike rate is enough. ``count`` caches its results; products of tokens get the active
        tokens by sample.
        """
        return None

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Return the signal of the output, given those of the inputs."""
        return self.signal


def joined(signals: Sequence[Signal], *, of_spikes: Signal) -> Signal:
    """Return the widest of the signals; ``of_spikes`` if all are spikes."""
    for widest in (Signal.MEMBRANE, Signal.ANALOG, Signal.COUNTS):
        if widest in signals:
            return widest
    return of_spikes
