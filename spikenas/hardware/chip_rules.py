"""Rules of a profile applied to a workload: which operations they match, and at what cost.

Only kinds, signals, shapes and counts are read. A set of operations is an integer, one bit each.
"""

from collections.abc import Sequence

from spikenas.hardware.profile import ChipRule
from spikenas.workload import WEIGHTED, Kind, Operation, Signal, Workload


class OperationGraph:
    """The operations of a workload with their producers and consumers, in execution order."""

    def __init__(self, workload: Workload) -> None:
        self.operations = {operation.name: operation for operation in workload.operations}
        self._bits = {name: 1 << place for place, name in enumerate(self.operations)}
        self._consumers: dict[str, list[str]] = {name: [] for name in self.operations}
        self._reached: dict[tuple[Kind, ...], dict[str, int]] = {}
        self._by_kind: dict[Kind, list[Operation]] = {}
        for operation in workload.operations:
            self._by_kind.setdefault(operation.kind, []).append(operation)
            for producer in self.producers(operation):
                self._consumers[producer.name].append(operation.name)

    def candidates(self, kinds: Sequence[Kind]) -> list[Operation]:
        """Return the operations of these kinds, in execution order."""
        found = [operation for kind in kinds for operation in self._by_kind.get(kind, ())]
        return sorted(found, key=lambda operation: self._bits[operation.name])

    def producers(self, operation: Operation) -> list[Operation]:
        """Return the operations whose output an operation reads."""
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
        """Return what each output reaches, up to and including operations of the kinds ``ends``."""
        if ends not in self._reached:
            reached = self._reached[ends] = {}
            for name in reversed(self.operations):
                reached[name] = 0
                for consumer in self._consumers[name]:
                    reached[name] |= self._bits[consumer]
                    if self.operations[consumer].kind not in ends:
                        reached[name] |= reached[consumer]
        return self._reached[ends]


def applies(rule: ChipRule, operation: Operation, graph: OperationGraph) -> bool:
    """Whether a rule applies to an operation."""
    inputs = operation.inputs
    if not (
        operation.kind in rule.kinds
        and operation.name.startswith(rule.within)
        and not (rule.not_within and operation.name.startswith(rule.not_within))
        and (not rule.any_input or any(each.signal in rule.any_input for each in inputs))
        and (not rule.all_inputs or all(each.signal in rule.all_inputs for each in inputs))
        and (not rule.from_image or any(each.source == "input" for each in inputs))
        and (not rule.biased or operation.biases > 0)
        and all(_exceeds(operation.attributes.get(name), n) for name, n in rule.above.items())
        and not any(name in operation.attributes for name in rule.lacks)
        and not (
            rule.not_behind
            and any(each.kind in rule.not_behind for each in graph.producers(operation))
        )
    ):
        return False
    if not rule.feeds:
        return True
    reached = graph.reached((*WEIGHTED, *rule.feeds))[operation.name]
    return bool(reached & graph.of_kinds(rule.feeds))


def _exceeds(value: float | str | None, bound: float) -> bool:
    return isinstance(value, int | float) and value > bound


def described(operation: Operation) -> str:
    """Describe an operation as a paper would: ``max_pool of spikes 48x32x32``."""
    operands = " and ".join(
        f"{operand.signal} {'x'.join(map(str, operand.shape))}" for operand in operation.inputs
    )
    leak, neuron = operation.attributes.get("leak"), operation.attributes.get("neuron")
    named = f"{operation.kind} {neuron}" if neuron else operation.kind
    return f"{named} of {operands}" + (f", leak {leak:.3g}" if leak else "")


def replication(graph: OperationGraph) -> str:
    """Say how often the weights before membrane additions must be stored.

    The current of a branch reaches every neuron group (and the classifier) that reads the stream
    after it, and each needs its own copy of the branch's last weights.
    """
    ends = (*WEIGHTED, Kind.NEURON)
    readers, additions = graph.of_kinds(ends), graph.membrane_additions()
    copies = {
        name: max((reached & readers).bit_count(), 1)
        for name, reached in graph.reached(ends).items()
        if graph.operations[name].kind in WEIGHTED and reached & additions
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
