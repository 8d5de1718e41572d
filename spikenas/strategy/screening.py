"""`screen`: what is refused before training, in milliseconds, and by how much.

A candidate is traced without data or memory; its workload is held against the chip and against
limits on parameters and training memory. The margins are what the sampler learns from: one per
rule, need / limit - 1 or a count of forbidden operations, above 0 where the rule is broken.
"""

from dataclasses import dataclass
from math import prod
from operator import attrgetter

from spikenas import measurement
from spikenas.architecture import Architecture
from spikenas.exceptions import told_apart
from spikenas.figures import OBJECTIVES, Figure
from spikenas.hardware import ChipProfile, check
from spikenas.settings import Limits
from spikenas.workload import Workload

_BYTES_PER_PARAMETER = 16  # weight, gradient and two moments of AdamW, float32
_BYTES_PER_ACTIVATION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What was found before training.

    Attributes:
        workload: without rates; None where the candidate is too large to be built at all.
        reasons: one sentence for each violation, with its cure.
        margins: by rule; the same rules for every candidate of a search.
        examples: by broken rule, the first of its reasons; without rules of which another tells.
    """

    workload: Workload | None
    reasons: tuple[str, ...]
    margins: dict[str, float]
    examples: dict[str, str]

    @property
    def refused(self) -> bool:
        """Whether some rule is broken."""
        return bool(self.reasons)


def screen(architecture: Architecture, *, chip: ChipProfile | None, limits: Limits) -> Screening:
    """Hold an architecture against the limits and, if there is one, the chip."""
    least = _least_parameters(architecture)
    if least > limits.max_parameters:  # never built: its shapes may not even fit an integer
        rules = () if chip is None else chip.margin_names
        reason = _too_many_parameters(least, limits, "at least ")
        return Screening(
            workload=None,
            reasons=(reason,),
            examples={"parameters": reason},
            margins={
                "parameters": least / limits.max_parameters - 1,
                "training_memory": 0.0,
                **{f"{name} bound": 0.0 for name in _traced(limits)},
                **{f"{rule} of chip": 0.0 for rule in rules},
            },
        )
    workload = measurement.trace_architecture(architecture)
    reasons: list[tuple[str, str]] = []
    memory_gib = training_memory_gib(workload, limits.batch_size)
    margins = {
        "parameters": workload.parameters / limits.max_parameters - 1,
        "training_memory": memory_gib / limits.max_memory_gib - 1,
    }
    if margins["parameters"] > 0:
        reasons.append(("parameters", _too_many_parameters(workload.parameters, limits)))
    if margins["training_memory"] > 0:
        need = told_apart(memory_gib, limits.max_memory_gib)
        too_much = (
            f"training needs about {need} GiB at batch size {limits.batch_size}, but "
            f"max_memory_gib is {limits.max_memory_gib}; take a smaller batch_size, "
            "num_steps or embed_dim, or a larger patch_size"
        )
        reasons.append(("training_memory", too_much))
    for name, figure in _traced(limits).items():
        found, bound = attrgetter(str(figure.source))(_Traced(workload)), limits.bounds[name]
        margins[f"{name} bound"] = figure.margin(found, bound)
        if margins[f"{name} bound"] > 0:
            reasons.append((f"{name} bound", f"{name} = {found:,}, but its bound is {bound:,.12g}"))
    if chip is not None:
        verdict = check(workload, chip)
        reasons += [(f"{each.rule} of chip", str(each)) for each in verdict.violations]
        margins |= {f"{rule} of chip": margin for rule, margin in verdict.margins().items()}
    examples: dict[str, str] = {}
    for rule, reason in reasons:
        examples.setdefault(rule, reason)
    return Screening(
        workload=workload,
        reasons=tuple(reason for _, reason in reasons),
        margins=margins,
        examples=examples,
    )


def _traced(limits: Limits) -> dict[str, Figure]:
    """Return the figures with a bound that a trace tells."""
    return {name: OBJECTIVES[name] for name in limits.bounds if OBJECTIVES[name].is_traced}


@dataclass(frozen=True, slots=True)
class _Traced:
    """What the sources of traced figures begin at."""

    workload: Workload


def training_memory_gib(workload: Workload, batch_size: int) -> float:
    """Estimate what training takes: weights, their optimizer, and each output kept for backward."""
    activations = sum(prod(op.output_shape) * op.steps for op in workload.operations)
    needed = (
        workload.parameters * _BYTES_PER_PARAMETER
        + activations * batch_size * _BYTES_PER_ACTIVATION
    )
    return needed / 2**30


def _least_parameters(architecture: Architecture) -> int:
    """Bound the parameters from below by the MLPs, which every block has in this form."""
    return sum(
        int(2 * stage.mlp_ratio * stage.embed_dim**2) * stage.depth for stage in architecture.stages
    )


def _too_many_parameters(need: int, limits: Limits, prefix: str = "") -> str:
    return (
        f"{prefix}{need:,} parameters, but max_parameters is {limits.max_parameters:,}; "
        "take a smaller embed_dim, depth or mlp_ratio"
    )
