"""``cmos45``: the 45 nm formula of the papers (Horowitz 2014; Zhou 2023, appendix).

    SOPs(l) = rate_in(l) * T * MACs(l)
    E = 4.6 pJ * MACs(first layer) * T' + 0.9 pJ * sum over l of SOPs(l)

Batch norm folds into weights; neurons, pooling and additions cost nothing. A product of spikes
counts at the rate of its left operand, as the papers count it, not by coincidences. Only 32-bit
arithmetic is counted and no memory, so the figures compare networks but do not predict any chip;
see docs/explanation/energy.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spikenas.hardware.energy.model import (
    Constant,
    Cost,
    EnergyModel,
    is_dense,
    is_on_spikes,
    rate_of,
)
from spikenas.workload import WEIGHTED, Kind, Operation, Workload

_MULTIPLYING = (*WEIGHTED, Kind.SPIKE_PRODUCT)
_HOROWITZ = "Horowitz 2014 (ISSCC), 45 nm, 32-bit float: multiply 3.7 pJ, add 0.9 pJ"
_KNOBS = {
    # Operations on the image: computed once, since the same frame is shown at every step, or at
    # every step, as Zhou 2023 counts.
    "first_layer": ("once", "per_step"),
    # An integer or real input times a weight: a multiply-accumulate, or an accumulate for each
    # non-zero element, as Zhou 2023 counts.
    "count_nonbinary_as": ("mac", "ac"),
}
_IN_WORDS = {
    "once": "operations on the image are dense multiply-accumulates, computed once per inference",
    "per_step": "operations on the image are dense multiply-accumulates, repeated at every step",
    "mac": "weights on counts or currents cost a multiply-accumulate for each non-zero input",
    "ac": "weights on counts or currents cost an accumulate for each non-zero input",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmos45(EnergyModel):
    """One price per accumulate and one per multiply-accumulate."""

    mac: Constant
    ac: Constant

    def price_uj(self, *, synops: float, macs: float) -> float:
        """Return the microjoules of ``synops`` accumulates and ``macs`` multiply-accumulates."""
        return (self.ac.value_pj * synops + self.mac.value_pj * macs) * 1e-6

    def costs(self, workload: Workload, settings: Mapping[str, str]) -> Sequence[Cost]:
        """Charge for arithmetic."""
        return [self._cost(operation, settings) for operation in workload.operations]

    def assumptions(self, workload: Workload, settings: Mapping[str, str]) -> tuple[str, ...]:
        """Return the two prices and the two choices in words."""
        return (
            str(self.ac),
            str(self.mac),
            *(_IN_WORDS[setting] for setting in settings.values()),
            "batch norm is folded into weights; neurons, pools, additions and memory are free",
        )

    def dense_pj(
        self, workload: Workload, settings: Mapping[str, str], *, bits: int | None
    ) -> float:
        """Charge for every multiply-accumulate of one step."""
        mac = self.mac.value_pj
        narrow = mac if bits is None else min(bits * self.ac.value_pj, mac)
        return sum(
            operation.macs * (mac if is_dense(operation) else narrow)
            for operation in workload.operations
        )

    def _cost(self, operation: Operation, settings: Mapping[str, str]) -> Cost:
        if operation.macs == 0:
            return Cost()
        if is_dense(operation):
            repeats = 1 if settings["first_layer"] == "once" else operation.steps
            return self._multiplied(operation.macs * repeats)
        synops = rate_of(operation) * operation.steps * operation.macs
        as_mac = settings["count_nonbinary_as"] == "mac" and operation.kind in _MULTIPLYING
        if as_mac and not is_on_spikes(operation):
            return self._multiplied(synops)
        return Cost(synops=synops, terms={"accumulates": self.ac.times(synops)})

    def _multiplied(self, macs: float) -> Cost:
        return Cost(macs=macs, terms={"multiply-accumulates": self.mac.times(macs)})


MODEL = Cmos45(
    name="cmos45",
    title="45 nm arithmetic, as the papers count it",
    knobs=_KNOBS,
    mac=Constant(name="multiply-accumulate", value_pj=4.6, source=_HOROWITZ, grade="paper"),
    ac=Constant(name="accumulate", value_pj=0.9, source=_HOROWITZ, grade="paper"),
)
