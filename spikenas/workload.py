"""`Workload`: what a network costs, every operation in order, as plain data.

Everything else in spikenas builds on this record: energy, the chip check and the neuromorphic
export read it and never look at the modules. It counts the published equations, whatever order or
fusion is used at run time. Shapes leave out time and batch: a map is (C, H, W), tokens are (N, D),
a product is (h, N, N).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from spikenas.exceptions import UsageError, in_short

# The numeric `attributes` of operations, which rules of chips may refer to.
AttributeName = Literal[
    "dimensions",  # axes of a convolution, if not two
    "eps",
    "kernel_size",
    "leak",  # the fraction of a membrane that is lost per step; neurons of other dynamics lack it
    "num_heads",
    "padding",
    "stride",
    "tau",
    "v_threshold",
]
PLACES = ("stem", "downsampling", "stages", "head", "halting")  # how names may begin


class Signal(StrEnum):
    """What a tensor carries from one operation to the next."""

    ANALOG = "analog"  # pixels
    SPIKES = "spikes"  # zeros and ones
    COUNTS = "counts"  # sums of spikes, also times a constant that the next weights absorb
    MEMBRANE = "membrane"  # real-valued currents, not events


class Kind(StrEnum):
    """The vocabulary that every network is assembled from."""

    CONV = "conv"
    LINEAR = "linear"
    TOKEN_MIXING = "token_mixing"  # a matrix over the token axis, one per head
    BATCH_NORM = "batch_norm"
    NEURON = "neuron"
    SPIKE_PRODUCT = "spike_product"  # a matrix product of two data-dependent operands
    SPIKE_SUM = "spike_sum"  # a sum over channels, without weights
    MASK = "mask"  # an elementwise product of two data-dependent operands
    ADD = "add"
    CONCAT = "concat"
    MAX_POOL = "max_pool"
    SUM_POOL = "sum_pool"
    MEAN = "mean"


WEIGHTED = (Kind.CONV, Kind.LINEAR, Kind.TOKEN_MIXING)  # with trained weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One input of an operation.

    Attributes:
        source: the name of the operation that feeds it, or ``input``.
        spike_rate: the fraction of non-zero elements, 0 to 1, over samples and steps; None
            before it is measured.
    """

    source: str
    shape: tuple[int, ...]
    signal: Signal
    spike_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of the network.

    Attributes:
        name: its place in the module tree, ``stages.0.blocks.1.mixer.q``; begins with one of
            `PLACES`.
        macs: multiply-accumulates per sample and step, as if every input were dense.
        steps: how often it runs per inference: T, or 1 after the mean over time.
        weights: number of trained weights, without biases and batch norm.
        biases: number of trained biases, or of batch-norm scales and shifts.
        neurons: number of membranes; only for the kind ``neuron``.
        state: values that are kept from one step to the next, one per membrane.
        attributes: what a chip or a format needs: the numbers of `AttributeName`, and the
            ``reset`` of a neuron; ``neuron`` names the class of one that has no ``leak``.
        spike_rate: of the output, measured; for a neuron its spikes per step.
        events: multiply-accumulates per inference whose factors are both non-zero, counted on
            data: a spike times a weight, or two coincident spikes. Unlike ``synops`` it accounts
            for padding and for the right operand. None before it is counted.
        active_share: the fraction of its MACs, or neurons, that was computed, 0 to 1: less than 1
            if tokens halted. Rates are over all tokens, with halted ones as zeros.
    """

    name: str
    kind: Kind
    inputs: tuple[Operand, ...]
    output_shape: tuple[int, ...]
    signal: Signal  # of the output
    macs: int = 0
    steps: int = 1
    weights: int = 0
    biases: int = 0
    neurons: int = 0
    state: int = 0
    attributes: Mapping[str, int | float | str] = field(default_factory=dict)
    spike_rate: float | None = None
    events: float | None = None
    active_share: float = 1.0

    @property
    def synops(self) -> float | None:
        """Synaptic operations per inference, ``rate x steps x macs`` (the left operand's rate)."""
        if self.macs == 0:
            return 0.0
        rate = self.inputs[0].spike_rate
        return None if rate is None else rate * self.steps * self.macs


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Every operation of one network, in execution order.

    Attributes:
        assumed_rate: the spike rate that was assumed for all; None where rates were measured.
    """

    operations: tuple[Operation, ...]
    num_steps: int
    parameters: int
    assumed_rate: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether every weighted operation knows the rate of its input."""
        return all(operation.synops is not None for operation in self.operations)

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates per inference, all steps."""
        return sum(operation.macs * operation.steps for operation in self.operations)

    @property
    def neurons(self) -> int:
        """The number of membranes."""
        return sum(operation.neurons for operation in self.operations)

    @property
    def synops(self) -> float | None:
        """Synaptic operations per inference, without operations on analog input, which are MACs."""
        counted = [
            operation.synops
            for operation in self.operations
            if operation.macs and operation.inputs[0].signal is not Signal.ANALOG
        ]
        return None if None in counted else sum(s for s in counted if s is not None)

    @property
    def spike_rate(self) -> float | None:
        """Spikes per neuron and step, averaged over all neurons."""
        neurons = [operation for operation in self.operations if operation.neurons]
        if not neurons or any(operation.spike_rate is None for operation in neurons):
            return None
        spikes = sum((operation.spike_rate or 0.0) * operation.neurons for operation in neurons)
        return spikes / sum(operation.neurons for operation in neurons)

    def with_rate(self, spike_rate: float) -> "Workload":
        """Return the workload with one assumed rate, 0 to 1, instead of all measurements.

        Analog and membrane inputs count as dense, and no token as halted. Raises UsageError for a
        rate that is none.
        """
        is_number = isinstance(spike_rate, int | float) and not isinstance(spike_rate, bool)
        if not is_number or not 0 <= spike_rate <= 1:
            raise UsageError(f"spike_rate = {in_short(spike_rate)}; needed: a number from 0 to 1")

        def assumed(signal: Signal) -> float:
            return spike_rate if signal in (Signal.SPIKES, Signal.COUNTS) else 1.0

        return replace(
            self,
            assumed_rate=spike_rate,
            operations=tuple(
                replace(
                    operation,
                    inputs=tuple(
                        replace(operand, spike_rate=assumed(operand.signal))
                        for operand in operation.inputs
                    ),
                    spike_rate=assumed(operation.signal),
                    events=None,
                    active_share=1.0,
                )
                for operation in self.operations
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "num_steps": self.num_steps,
            "parameters": self.parameters,
            "assumed_rate": self.assumed_rate,
            "operations": [asdict(operation) for operation in self.operations],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Workload":
        """Build from the JSON form."""
        return cls(
            num_steps=record["num_steps"],
            parameters=record["parameters"],
            assumed_rate=record.get("assumed_rate"),
            operations=tuple(_operation(fields) for fields in record["operations"]),
        )


def _operation(fields: Mapping[str, Any]) -> Operation:
    """Read one operation; records of older versions lack ``state``."""
    return Operation(
        **{
            "state": fields["neurons"],
            **fields,
            "kind": Kind(fields["kind"]),
            "signal": Signal(fields["signal"]),
            "output_shape": tuple(fields["output_shape"]),
            "inputs": tuple(
                Operand(
                    **{
                        **operand,
                        "shape": tuple(operand["shape"]),
                        "signal": Signal(operand["signal"]),
                    }
                )
                for operand in fields["inputs"]
            ),
        }
    )


def foldable_norms(workload: Workload) -> dict[str, Operation]:
    """Return the batch norms that can be folded into the weights before them, by weights' name.

    The norm must be the only reader of the output of the weights.
    """
    weighted = {each.name for each in workload.operations if each.kind in WEIGHTED}
    readers: dict[str, list[Operation]] = {}
    for operation in workload.operations:
        for operand in operation.inputs:
            readers.setdefault(operand.source, []).append(operation)
    return {
        name: found[0]
        for name, found in readers.items()
        if name in weighted and len(found) == 1 and found[0].kind is Kind.BATCH_NORM
    }
