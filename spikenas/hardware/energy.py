"""Energy models: joules of one inference from a measured workload.

``cmos45`` is the classic 45 nm formula of the papers (Horowitz 2014; Zhou 2023, appendix):

    SOPs(l) = rate_in(l) * T * MACs(l)
    E = 4.6 pJ * MACs(first layer) * T' + 0.9 pJ * sum over l of SOPs(l)

Batch norm folds into weights; neurons, pooling and additions cost nothing. It counts arithmetic
in 32 bits and no memory, so it compares networks and predicts no chip;
see docs/explanation/energy.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal, get_args

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.workload import Kind, Operation, Signal, Workload

FirstLayer = Literal["once", "per_step"]
CountNonbinaryAs = Literal["mac", "ac"]
_WEIGHTED = (Kind.CONV, Kind.LINEAR, Kind.TOKEN_MIXING)
_ACCUMULATING = (*_WEIGHTED, Kind.SPIKE_PRODUCT, Kind.SPIKE_SUM, Kind.MASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """An energy in picojoules with its evidence; grades as in `spikenas.hardware.profile`."""

    name: str
    value_pj: float
    source: str
    grade: str

    def __str__(self) -> str:
        return f"{self.name} {self.value_pj:g} pJ ({self.source}; grade: {self.grade})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnergy:
    """What one operation costs per inference.

    Attributes:
        synops: accumulates that were paid for, ``rate x steps x MACs``.
        macs: multiply-accumulates that were paid for, on analog or non-binary input.
        share: part of the total, 0 to 1.
    """

    name: str
    kind: Kind
    energy_uj: float
    synops: float
    macs: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyEstimate:
    """The energy of one inference, what it consists of and what was assumed, in words."""

    model: str
    total_uj: float
    operations: tuple[OperationEnergy, ...]
    assumptions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyModel:
    """A price for an accumulate and one for a multiply-accumulate."""

    name: str
    title: str
    mac: Constant
    ac: Constant

    def price_uj(self, *, synops: float, macs: float) -> float:
        """Return microjoules of so many accumulates and multiply-accumulates."""
        return (self.ac.value_pj * synops + self.mac.value_pj * macs) * 1e-6

    def estimate(
        self,
        workload: Workload,
        *,
        first_layer: FirstLayer = "once",
        count_nonbinary_as: CountNonbinaryAs = "mac",
    ) -> EnergyEstimate:
        """Return the energy of one inference of a measured workload.

        Args:
            workload: must know the rate of every input that is no image; else UsageError.
            first_layer: operations on the image are computed ``once``, because the same frame is
                shown at every step, or ``per_step``, as Zhou 2023 counts.
            count_nonbinary_as: an integer or real input times a weight is a ``mac``, or an
                ``ac`` for each non-zero element, as Zhou 2023 counts.
        """
        _one_of("first_layer", first_layer, get_args(FirstLayer))
        _one_of("count_nonbinary_as", count_nonbinary_as, get_args(CountNonbinaryAs))
        counts = [
            (operation, *_counted(operation, first_layer, count_nonbinary_as))
            for operation in workload.operations
        ]
        energies = [self.price_uj(synops=synops, macs=macs) for _, synops, macs in counts]
        total = sum(energies)
        return EnergyEstimate(
            model=self.name,
            total_uj=total,
            operations=tuple(
                OperationEnergy(
                    name=operation.name,
                    kind=operation.kind,
                    energy_uj=energy,
                    synops=synops,
                    macs=macs,
                    share=energy / total if total else 0.0,
                )
                for (operation, synops, macs), energy in zip(counts, energies, strict=True)
            ),
            assumptions=(
                str(self.ac),
                str(self.mac),
                _FIRST_LAYER[first_layer],
                _NONBINARY[count_nonbinary_as],
                "batch norm is folded into weights; neurons, pools, additions and memory are free",
            ),
        )

    def variants(self, workload: Workload) -> dict[str, float]:
        """Return microjoules by every setting of the knobs, ``first_layer=once,...``."""
        return {
            f"first_layer={first},count_nonbinary_as={nonbinary}": self.estimate(
                workload, first_layer=first, count_nonbinary_as=nonbinary
            ).total_uj
            for first, nonbinary in product(get_args(FirstLayer), get_args(CountNonbinaryAs))
        }


def energy_models() -> list[str]:
    """Return the names of the energy models, sorted."""
    return sorted(_MODELS)


def energy_model(name: str) -> EnergyModel:
    """Return an energy model by name, or raise UnknownNameError."""
    if name not in _MODELS:
        raise UnknownNameError("energy model", name, _MODELS)
    return _MODELS[name]


_HOROWITZ = "Horowitz 2014 (ISSCC), 45 nm, 32-bit float: multiply 3.7 pJ, add 0.9 pJ"
_MODELS = {
    model.name: model
    for model in (
        EnergyModel(
            name="cmos45",
            title="45 nm arithmetic, as the papers count it",
            mac=Constant(name="multiply-accumulate", value_pj=4.6, source=_HOROWITZ, grade="paper"),
            ac=Constant(name="accumulate", value_pj=0.9, source=_HOROWITZ, grade="paper"),
        ),
    )
}
_FIRST_LAYER: Mapping[FirstLayer, str] = {
    "once": "operations on the image are dense multiply-accumulates, computed once per inference",
    "per_step": "operations on the image are dense multiply-accumulates, repeated at every step",
}
_NONBINARY: Mapping[CountNonbinaryAs, str] = {
    "mac": "weights on counts or currents cost a multiply-accumulate for each non-zero input",
    "ac": "weights on counts or currents cost an accumulate for each non-zero input",
}


def _counted(
    operation: Operation, first_layer: FirstLayer, count_nonbinary_as: CountNonbinaryAs
) -> tuple[float, float]:
    """Return how many accumulates and multiply-accumulates an inference pays for."""
    if operation.kind not in _ACCUMULATING or operation.macs == 0:
        return 0.0, 0.0
    signals = [operand.signal for operand in operation.inputs]
    if operation.kind in _WEIGHTED and signals[0] is Signal.ANALOG:
        return 0.0, operation.macs * (1 if first_layer == "once" else operation.steps)
    if operation.synops is None:
        raise UsageError(
            f"operation {operation.name!r} does not know the spike rate of its input; "
            "measure the network, or assume a rate with Workload.with_rate"
        )
    is_nonbinary = Signal.SPIKES not in signals  # a product with one binary factor only adds
    multiplies = operation.kind in (*_WEIGHTED, Kind.SPIKE_PRODUCT)
    if multiplies and is_nonbinary and count_nonbinary_as == "mac":
        return 0.0, operation.synops
    return operation.synops, 0.0


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UnknownNameError(f"setting of {name}", value, allowed)
