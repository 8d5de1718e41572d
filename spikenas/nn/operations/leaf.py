"""`Leaf`: what every operation is; it says itself what it costs and what its output carries.

``spikenas.measurement`` writes that down as a Workload. Spikes are floats of 0 and 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from spikenas.workload import Kind, Signal

Count = Callable[[Tensor], Tensor | int]  # gives the number of non-zero elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a leaf tells of itself; counts as in `spikenas.workload.Operation`."""

    macs: int = 0  # per sample and step
    weights: int = 0
    biases: int = 0
    neurons: int = 0
    state: int = 0
    attributes: dict[str, int | float | str] = field(default_factory=dict)
    ends_time: bool = False  # the output has no step axis


class Leaf(nn.Module):
    """Every module that a trace stops at."""

    kind: Kind

    def facts(self, inputs: Sequence[Tensor], output: Tensor) -> Facts:
        """Return the costs for inputs of these shapes; ``output`` may be a meta tensor."""
        return Facts()

    def events(self, inputs: Sequence[Tensor], output: Tensor, count: Count) -> Tensor | int | None:
        """Return how many multiply-accumulates had two non-zero factors, weights being non-zero.

        None where each element of the first input meets equally many weights, so that the part
        of them that is not zero tells as much. ``count`` remembers what it has counted; products
        of tokens get those that are active by sample.
        """
        return None

    def carries(self, signals: Sequence[Signal]) -> Signal:
        """Return the signal of the output, given those of the inputs."""
        return Signal.MEMBRANE


def joined(signals: Sequence[Signal], *, of_spikes: Signal) -> Signal:
    """Return the widest of the signals; ``of_spikes`` where all are spikes."""
    for widest in (Signal.MEMBRANE, Signal.ANALOG, Signal.COUNTS):
        if widest in signals:
            return widest
    return of_spikes
