"""`check`, `check_layers`: check a network against a chip, before any training.

Only kinds, signals, shapes and counts are read, no module and no weight. A forbidden rule, a hard
limit or a violated fact of structure is a violation and refuses the network. A warning or a note
says at what cost it runs, or which limit it exceeds that no first-hand source confirms.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, Literal

from spikenas.exceptions import UsageError
from spikenas.hardware.batch_norm_folding import fold_batch_norm
from spikenas.hardware.chip_rules import OperationGraph, applies, described, replication
from spikenas.hardware.layers import INPUT, LayerGraph
from spikenas.hardware.placement import PLACE, Bound, Breach, Placement
from spikenas.hardware.profile import ChipProfile, ChipRule, chips
from spikenas.hardware.profile import chip as shipped
from spikenas.workload import WEIGHTED, Kind, Operand, Operation, Signal, Workload

_THE_NETWORK = "the network"
_NOUNS: Mapping[str, str] = {
    "max_parameters": "parameters",
    "max_neurons": "neurons",
    "max_synapses": "synapses",
    "max_steps": "time steps",
    "max_fan_in": "fan-in per neuron",
    "max_weights_per_operation": "weights per operation",
    "max_neurons_per_operation": "neurons per operation",
}
_Severity = Literal["violation", "warning", "note"]
_VERBS: Mapping[Bound, tuple[str, str]] = {
    "most": ("allows", "needs"),
    "least": ("asks for at least", "has"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule or limit of a chip that a network violates or that warns; its text is one sentence.

    Attributes:
        operation: where: ``the network`` for a limit on the whole; the first place of a warning.
        rule: the name of the rule, limit or fact in the profile.
        limit: the upper or lower limit; 0 for a rule and for a fact of structure.
        need: how much the network needs, or has where ``limit`` is a lower one; the number of
            places for a rule.
        have: what was found there, in words.
        cure: which choice of the search space would help.
        bound: whether ``limit`` is an upper (``most``) or a lower (``least``) one.
    """

    chip: str
    operation: str
    rule: str
    limit: float
    need: float
    have: str
    reason: str
    cure: str
    severity: _Severity = "violation"
    bound: Bound = "most"

    def __str__(self) -> str:
        if self.limit:
            allows, needs = _VERBS[self.bound]
            return (
                f"chip {self.chip!r} {allows} {self.limit:.15g} {self.have}; "
                f"{self.operation} {needs} {self.need:.15g}: {self.reason}; {self.cure}"
            )
        verb = {"violation": "refuses", "warning": "warns of", "note": "notes"}[self.severity]
        return (
            f"chip {self.chip!r} {verb} {self.have} at {self.operation}: {self.reason}; {self.cure}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of checking a network against a chip.

    Attributes:
        violations: one for each operation and violated rule, in network order, then limits.
        warnings: one for each rule that warns or notes, however many operations it applies to,
            then soft limits that are exceeded.
        worst: the margin of every forbidden rule, limit and fact of structure, see `margins`.
        placement: where the layers would be placed; None for a chip without a placement.
    """

    chip: str
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    worst: Mapping[str, float]
    placement: Placement | None = None

    @property
    def fits(self) -> bool:
        """Whether nothing is violated."""
        return not self.violations

    def margins(self) -> dict[str, float]:
        """Return how far each rule is from being violated; above 0 it is violated.

        This is need / limit - 1 for an upper limit, limit / need - 1 for a lower one, and for a
        forbidden rule the number of operations it applies to. Soft limits are never above 0. The
        keys depend on the chip alone.
        """
        return dict(self.worst)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "chip": self.chip,
            "fits": self.fits,
            "violations": [violation.to_dict() for violation in self.violations],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "margins": self.margins(),
            "placement": self.placement.to_dict() if self.placement else None,
        }


def check(workload: Workload, chip: ChipProfile, *, layers: LayerGraph | None = None) -> Verdict:
    """Check every operation of a workload against every rule and limit of a chip.

    ``layers`` is the layer graph that was read together with the workload, if there is one; by
    default it is derived from the workload.
    """
    graph = OperationGraph(workload)
    refusals, warnings, counts = _by_rules(chip, list(chip.rules), graph)
    worst = dict.fromkeys(chip.margin_names, 0.0) | counts
    breaches = []
    for name, limit in chip.limits.items():
        if name in _NOUNS:
            needs = list(_needs(name, workload))
            worst[name] = max((need for _, need in needs), default=0.0) / limit.most - 1
            breaches += [
                Breach(rule=name, operation=at, limit=limit.most, need=need, have=_NOUNS[name])
                for at, need in needs
                if need > limit.most
            ]
    return _verdict(
        chip,
        refusals=refusals,
        warnings=warnings,
        breaches=breaches,
        worst=worst,
        graph=(layers or fold_batch_norm(workload)) if chip.placement else None,
        order=[operation.name for operation in workload.operations],
    )


def check_layers(graph: LayerGraph, chip: ChipProfile) -> Verdict:
    """Check layers from a file against a chip; raises UsageError if it has no placement.

    The only rules that are checked are those about image inputs, if the input is an image.
    """
    if chip.placement is None:
        able = [name for name in chips() if shipped(name).placement]
        raise UsageError(
            f"chip {chip.name!r} has rules for operations but no placement for layers; "
            f"take one of {', '.join(able)}"
        )
    of_images = [name for name, rule in chip.rules.items() if rule.from_image]
    readers = OperationGraph(_image_readers(graph))
    refusals, warnings, counts = _by_rules(chip, of_images, readers)
    return _verdict(
        chip,
        refusals=refusals,
        warnings=warnings,
        breaches=[],
        worst=dict.fromkeys(chip.margin_names, 0.0) | counts,
        graph=graph,
        order=[layer.name for layer in graph.layers],
    )


def _by_rules(
    chip: ChipProfile, names: Sequence[str], graph: OperationGraph
) -> tuple[list[Violation], list[Violation], dict[str, float]]:
    """Return refusals, warnings, and how many operations each forbidden rule applies to."""
    refusals, warnings, counts = [], [], {}
    for name in names:
        rule = chip.rules[name]
        met = [op for op in graph.candidates(rule.kinds) if applies(rule, op, graph)]
        if rule.verdict == "forbidden":
            breaches = [Breach(rule=name, operation=op.name, have=described(op)) for op in met]
            refusals += [_violation(chip, breach) for breach in breaches]
            counts[name] = float(len(met))
        elif met:
            have = _occurrences(rule, met, graph)
            breach = Breach(rule=name, operation=met[0].name, need=len(met), have=have)
            warnings.append(_violation(chip, breach, rule.verdict))
    return refusals, warnings, counts


def _image_readers(graph: LayerGraph) -> Workload:
    """Return the layers that read the image, as operations on it."""
    operations = tuple(
        Operation(
            name=layer.name,
            kind=Kind.LINEAR if layer.what == "fc" else Kind.CONV,
            inputs=(Operand(source=INPUT, shape=layer.input_shape, signal=Signal.ANALOG),),
            output_shape=layer.output_shape,
            signal=Signal.MEMBRANE,
            biases=layer.biases,
            attributes={
                "kernel_size": max(layer.kernel),
                "stride": max(layer.stride),
                "padding": max(layer.padding),
            },
        )
        for layer in graph.weighted
        if graph.is_image and INPUT in layer.sources
    )
    return Workload(operations=operations, num_steps=1, parameters=0)


def _verdict(
    chip: ChipProfile,
    *,
    refusals: Sequence[Violation],
    warnings: Sequence[Violation],
    breaches: Sequence[Breach],
    worst: dict[str, float],
    graph: LayerGraph | None,
    order: Sequence[str],
) -> Verdict:
    """Add the findings of the placement, and separate hard from soft limits."""
    placement = None
    found = list(breaches)
    if graph is not None and chip.placement is not None:
        placement, findings = PLACE[chip.placement](graph, chip)
        worst |= findings.margins
        refused = {refusal.operation for refusal in refusals}
        found += [each for each in findings.breaches if each.limit or each.operation not in refused]
    for name, limit in chip.limits.items():
        if limit.is_soft:
            worst[name] = min(worst[name], 0.0)
    soft = [each for each in found if _is_soft(chip, each)]
    hard = [each for each in found if not _is_soft(chip, each)]
    places = {name: place for place, name in enumerate(order)}
    local = [_violation(chip, each) for each in hard if each.operation in places]
    return Verdict(
        chip=chip.name,
        violations=(
            *sorted((*refusals, *local), key=lambda violation: places[violation.operation]),
            *(_violation(chip, each) for each in hard if each.operation not in places),
        ),
        warnings=(*warnings, *_soft_warnings(chip, soft)),
        worst=worst,
        placement=placement,
    )


def _is_soft(chip: ChipProfile, breach: Breach) -> bool:
    return breach.rule in chip.limits and chip.limit(breach.rule).is_soft


def _violation(chip: ChipProfile, breach: Breach, severity: _Severity = "violation") -> Violation:
    fact = chip.fact(breach.rule)
    return Violation(
        chip=chip.name,
        operation=breach.operation,
        rule=breach.rule,
        limit=breach.limit,
        need=breach.need,
        have=breach.have,
        reason=fact.reason,
        cure=fact.cure,
        severity=severity,
        bound=breach.bound,
    )


def _soft_warnings(chip: ChipProfile, breaches: Sequence[Breach]) -> Iterator[Violation]:
    """Yield the worst breach of each soft limit, with the reason why it only warns."""
    worst: dict[str, Breach] = {}
    for breach in breaches:
        if breach.rule not in worst or _is_worse(breach, worst[breach.rule]):
            worst[breach.rule] = breach
    for breach in worst.values():
        limit = chip.limit(breach.rule)
        count = sum(each.rule == breach.rule for each in breaches)
        have = breach.have + (f" (the worst of {count} places)" if count > 1 else "")
        why = "advisory" if limit.advisory else f"{limit.grade} source, not confirmed"
        yield _violation(chip, replace(breach, have=f"{have}; {why}"), "warning")


def _is_worse(one: Breach, other: Breach) -> bool:
    return one.need < other.need if one.bound == "least" else one.need > other.need


def _occurrences(rule: ChipRule, operations: Sequence[Operation], graph: OperationGraph) -> str:
    """Say in words where a rule applies, and what that costs the chip."""
    have = described(operations[0])
    if len(operations) > 1:
        have += f" (the first of {len(operations)} operations)"
    if rule.cost == "replication":
        have += f", {replication(graph)}"
    elif rule.cost == "coincidences":
        have += f", {sum(op.macs for op in operations)} AND neurons in all"
    return have


def _needs(name: str, workload: Workload) -> Iterator[tuple[str, float]]:
    """Yield how much of a limited quantity each place needs."""
    operations = workload.operations
    match name:
        case "max_parameters":
            yield _THE_NETWORK, workload.parameters
        case "max_neurons":
            yield _THE_NETWORK, workload.neurons
        case "max_synapses":  # each connection counts, even where convolutions share a weight
            yield _THE_NETWORK, sum(op.macs for op in operations if op.kind in WEIGHTED)
        case "max_steps":
            yield _THE_NETWORK, workload.num_steps
        case "max_fan_in":  # of a neuron that reads these weights alone: MACs per output element
            for op in operations:
                if op.kind in WEIGHTED:
                    yield op.name, op.macs / prod(op.output_shape)
        case "max_weights_per_operation":
            yield from ((op.name, op.weights) for op in operations if op.kind in WEIGHTED)
        case "max_neurons_per_operation":
            yield from ((op.name, op.neurons) for op in operations if op.neurons)
