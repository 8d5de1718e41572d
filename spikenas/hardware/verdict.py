"""`check`: hold a workload against a chip, before any training.

Only the Workload is read: kinds, signals, shapes and counts, no module and no weight. A
forbidden rule or an exceeded limit is a violation and refuses the architecture; a warning or a
note says at what price it runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

from spikenas.hardware.profile import ChipProfile, Limit, LimitName, Rule
from spikenas.workload import Kind, Operation, Signal, Workload

_WEIGHTED = (Kind.CONV, Kind.LINEAR, Kind.TOKEN_MIXING)
_THE_NETWORK = "the network"
_NOUNS: Mapping[LimitName, str] = {
    "max_parameters": "parameters",
    "max_neurons": "neurons",
    "max_steps": "time steps",
    "max_fan_in": "fan-in per neuron",
    "max_weights_per_operation": "weights per operation",
    "max_neurons_per_operation": "neurons per operation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule or limit of a chip that a network meets or breaks; as text one sentence.

    Attributes:
        operation: where, ``the network`` for a limit on the whole; the first place of a warning.
        rule: the rule's or limit's name in the profile.
        limit: how much is allowed; 0 of a forbidden operation.
        need: how much the network needs; the number of places of a rule.
        have: what was found there, in words.
        cure: which choice of the search space would help.
    """

    chip: str
    operation: str
    rule: str
    limit: float
    need: float
    have: str
    reason: str
    cure: str
    severity: Literal["violation", "warning", "note"] = "violation"

    def __str__(self) -> str:
        if self.limit:
            return (
                f"chip {self.chip!r} allows {self.limit:.15g} {self.have}; "
                f"{self.operation} needs {self.need:.15g}: {self.reason}; {self.cure}"
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
    """What a chip says to a network.

    Attributes:
        violations: one for each operation and broken rule, in the network's order, then limits.
        warnings: one for each rule that warns or notes, however many operations it meets.
        worst: the margin of every forbidden rule and limit, see `margins`.
    """

    chip: str
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    worst: Mapping[str, float]

    @property
    def fits(self) -> bool:
        """Whether nothing is violated."""
        return not self.violations

    def margins(self) -> dict[str, float]:
        """Return how far each rule is from being broken; above 0 it is broken.

        For a limit need / limit - 1, for a forbidden rule the number of operations it meets. The
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
        }


def check(workload: Workload, chip: ChipProfile) -> Verdict:
    """Hold every operation of a workload against every rule and limit of a chip."""
    graph = _Graph(workload)
    met = {
        name: [op for op in workload.operations if _applies(rule, op, graph)]
        for name, rule in chip.rules.items()
    }
    forbidden = [name for name, rule in chip.rules.items() if rule.verdict == "forbidden"]
    places = {operation.name: place for place, operation in enumerate(workload.operations)}
    violations = sorted(
        (_refusal(chip, name, operation) for name in forbidden for operation in met[name]),
        key=lambda violation: places[violation.operation],
    )
    warnings = [
        _warning(chip, name, operations, graph)
        for name, operations in met.items()
        if operations and name not in forbidden
    ]
    worst = {name: float(len(met[name])) for name in forbidden}
    for limit_name, limit in chip.limits.items():
        needs = list(_needs(limit_name, workload))
        worst[limit_name] = max((need for _, need in needs), default=0.0) / limit.value - 1
        violations += [
            _excess(chip, limit_name, limit, operation, need)
            for operation, need in needs
            if need > limit.value
        ]
    return Verdict(
        chip=chip.name, violations=tuple(violations), warnings=tuple(warnings), worst=worst
    )


class _Graph:
    """Who feeds whom. A set of operations is an integer, one bit each, in the order they run."""

    def __init__(self, workload: Workload) -> None:
        self.operations = {operation.name: operation for operation in workload.operations}
        self._bits = {name: 1 << place for place, name in enumerate(self.operations)}
        self._consumers: dict[str, list[str]] = {name: [] for name in self.operations}
        self._reached: dict[tuple[Kind, ...], dict[str, int]] = {}
        for operation in workload.operations:
            for producer in self.producers(operation):
                self._consumers[producer.name].append(operation.name)

    def producers(self, operation: Operation) -> list[Operation]:
        """Return the operations whose output it reads."""
        sources = (operand.source for operand in operation.inputs)
        return [self.operations[source] for source in sources if source in self.operations]

    def of_kinds(self, kinds: Sequence[Kind]) -> int:
        """Return the set of all operations of these kinds."""
        return sum(bit for name, bit in self._bits.items() if self.operations[name].kind in kinds)

    def membrane_additions(self) -> int:
        """Return the set of additions to a membrane stream."""
        return sum(
            bit
            for name, bit in self._bits.items()
            if self.operations[name].kind is Kind.ADD
            and self.operations[name].signal is Signal.MEMBRANE
        )

    def reached(self, ends: tuple[Kind, ...]) -> dict[str, int]:
        """Return what each output reaches, up to and including operations of kinds ``ends``."""
        if ends not in self._reached:
            reached = self._reached[ends] = {}
            for name in reversed(self.operations):
                reached[name] = 0
                for consumer in self._consumers[name]:
                    reached[name] |= self._bits[consumer]
                    if self.operations[consumer].kind not in ends:
                        reached[name] |= reached[consumer]
        return self._reached[ends]


def _applies(rule: Rule, operation: Operation, graph: _Graph) -> bool:
    if operation.kind not in rule.kinds:
        return False
    signals = [operand.signal for operand in operation.inputs]
    attributes = operation.attributes
    conditions = (
        not rule.any_input or any(signal in rule.any_input for signal in signals),
        not rule.all_inputs or all(signal in rule.all_inputs for signal in signals),
        not rule.from_image or any(operand.source == "input" for operand in operation.inputs),
        not rule.biased or operation.biases > 0,
        all(_exceeds(attributes.get(name), bound) for name, bound in rule.above.items()),
        not rule.not_behind
        or not any(producer.kind in rule.not_behind for producer in graph.producers(operation)),
    )
    if not all(conditions) or not rule.feeds:
        return all(conditions)
    reached = graph.reached((*_WEIGHTED, *rule.feeds))[operation.name]
    return bool(reached & graph.of_kinds(rule.feeds))


def _exceeds(value: float | str | None, bound: float) -> bool:
    return isinstance(value, int | float) and value > bound


def _refusal(chip: ChipProfile, name: str, operation: Operation) -> Violation:
    rule = chip.rules[name]
    return Violation(
        chip=chip.name,
        operation=operation.name,
        rule=name,
        limit=0,
        need=1,
        have=_found(operation),
        reason=rule.reason,
        cure=rule.cure,
    )


def _warning(
    chip: ChipProfile,
    name: str,
    operations: Sequence[Operation],
    graph: _Graph,
) -> Violation:
    rule = chip.rules[name]
    first = operations[0]
    have = _found(first)
    if len(operations) > 1:
        have += f" (the first of {len(operations)} operations)"
    if rule.cost == "replication":
        have += f", {_replication(graph)}"
    elif rule.cost == "coincidences":
        have += f", {sum(op.macs for op in operations)} AND neurons in all"
    return Violation(
        chip=chip.name,
        operation=first.name,
        rule=name,
        limit=0,
        need=len(operations),
        have=have,
        reason=rule.reason,
        cure=rule.cure,
        severity="warning" if rule.verdict == "warning" else "note",
    )


def _excess(
    chip: ChipProfile, name: LimitName, limit: Limit, operation: str, need: float
) -> Violation:
    return Violation(
        chip=chip.name,
        operation=operation,
        rule=name,
        limit=limit.value,
        need=need,
        have=_NOUNS[name],
        reason=limit.reason,
        cure=limit.cure,
    )


def _found(operation: Operation) -> str:
    """Name an operation as a reader of papers would: ``max_pool of spikes 48x32x32``."""
    operands = " and ".join(
        f"{operand.signal} {'x'.join(map(str, operand.shape))}" for operand in operation.inputs
    )
    leak = operation.attributes.get("leak")
    return f"{operation.kind} of {operands}" + (f", leak {leak:.3g}" if leak else "")


def _needs(name: LimitName, workload: Workload) -> Iterator[tuple[str, float]]:
    """Yield what each place needs of a limited quantity."""
    operations = workload.operations
    match name:
        case "max_parameters":
            yield _THE_NETWORK, workload.parameters
        case "max_neurons":
            yield _THE_NETWORK, workload.neurons
        case "max_steps":
            yield _THE_NETWORK, workload.num_steps
        case "max_fan_in":  # of a neuron behind these weights alone: MACs per output element
            for op in operations:
                if op.kind in _WEIGHTED:
                    yield op.name, op.macs / prod(op.output_shape)
        case "max_weights_per_operation":
            yield from ((op.name, op.weights) for op in operations if op.kind in _WEIGHTED)
        case "max_neurons_per_operation":
            yield from ((op.name, op.neurons) for op in operations if op.neurons)


def _replication(graph: _Graph) -> str:
    """Say how often the weights in front of membrane additions must be stored.

    A branch's current reaches every neuron group (and the classifier) that reads the stream
    after it, and each needs its own copy of the branch's last weights.
    """
    ends = (*_WEIGHTED, Kind.NEURON)
    readers, additions = graph.of_kinds(ends), graph.membrane_additions()
    copies = {
        name: max((reached & readers).bit_count(), 1)
        for name, reached in graph.reached(ends).items()
        if graph.operations[name].kind in _WEIGHTED and reached & additions
    }
    if not copies:
        return "no weights in front of it"
    worst = max(reversed(copies), key=lambda name: copies[name])
    trained = {name: graph.operations[name].weights for name in copies}
    stored = sum(copies[name] * trained[name] for name in copies)
    return (
        f"weights of {worst} replicated {copies[worst]} times, of {len(copies)} branches "
        f"{stored} instead of {sum(trained.values())}"
    )
