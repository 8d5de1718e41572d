"""What can be found out about a network without a data set: `trace`, `check` and `energy`."""

from pathlib import Path

from spikenas import hardware
from spikenas.architecture import Architecture
from spikenas.exceptions import UsageError, in_short
from spikenas.hardware import ChipProfile, EnergyEstimate, EnergyModel, Verdict
from spikenas.measurement import trace as trace_network
from spikenas.measurement import trace_architecture
from spikenas.nn.network import SpikingTransformer
from spikenas.workload import Workload

Subject = Architecture | SpikingTransformer | Workload


def trace(subject: Subject) -> Workload:
    """Return every operation with its shapes, MACs and signals, but without spike rates.

    The trace of a network has its learned time constants. A workload is returned as it is.
    """
    if isinstance(subject, Workload):
        return subject
    if isinstance(subject, Architecture):
        return trace_architecture(subject)
    if isinstance(subject, SpikingTransformer):
        return trace_network(subject)
    raise UsageError(
        f"an Architecture, a network of build_network or a Workload is needed, not "
        f"{in_short(subject)}"
    )


def check(subject: Subject, chip: str | Path | ChipProfile) -> Verdict:
    """Check whether a chip can run it; each violation has its rule, its reason and a cure.

    ``chip`` is a name, the path of a profile, or a profile.
    """
    profile = chip if isinstance(chip, ChipProfile) else hardware.chip(chip)
    return hardware.check(trace(subject), profile)


def energy(
    subject: Subject,
    model: str | Path | EnergyModel = "cmos45",
    *,
    spike_rate: float | None = None,
    **settings: str,
) -> EnergyEstimate:
    """Estimate the energy of one inference, in microjoules.

    Args:
        subject: a Workload with measured rates, as from `spikenas.Store.evaluation`; anything else
            needs ``spike_rate``.
        model: a name, the path of a model, or a model.
        spike_rate: 0 to 1, assumed for every operand.
        settings: of the model, as options of `spikenas energy`.

    Raises:
        UsageError: no rate is known, or one is given in addition to measured ones.
    """
    workload = trace(subject)
    if workload.spike_rate is None:
        if spike_rate is None:
            raise UsageError(
                "its spike rates are unknown; give a measured Workload, or assume one, for "
                "example spike_rate=0.15"
            )
        workload = workload.with_rate(spike_rate)
    elif spike_rate is not None:
        raise UsageError(f"spike_rate = {spike_rate:g}, but the workload has rates; leave it out")
    chosen = model if isinstance(model, EnergyModel) else hardware.energy_model(model)
    return chosen.estimate(workload, **settings)
