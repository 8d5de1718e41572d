"""The traversal of all choices of a space, which alone decides which genes are live.

It visits a sequence of nodes. A `Choice` is a gene with its possible values, given the earlier
choices; it is dead if no component reads it. A `Constraint` checks the structural rules of the
components. A value is offered only if the traversal can be completed from it, so there are no dead
ends, and each complete traversal is a different architecture.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod

from spikenas.exceptions import ArchitectureError
from spikenas.search_space.genes import Value

State = Mapping[str, Value | frozenset[Value] | None]  # the chosen values; mixers of a stage: a set
Choose = Callable[[str, tuple[Value, ...]], Value]
_Key = tuple[object, ...]  # a node, and the part of the state that it or a later one reads
_Position = tuple[int, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One gene.

    Attributes:
        name: as given to ``choose`` and recorded, ``stages[1].blocks[0].mixer``.
        entry: the key of its value in the state; ``gathers`` adds the value to a set there.
        reads: the entries that its values depend on.
        values: the possible values, or None if the gene is dead.
    """

    name: str
    entry: str
    domain: tuple[Value, ...]
    reads: frozenset[str]
    values: Callable[[State], tuple[Value, ...] | None]
    gathers: bool = False

    def after(self, state: State, value: Value) -> State:
        """Return the state after this choice."""
        if not self.gathers:
            return {**state, self.entry: value}
        before = state.get(self.entry) or frozenset()
        assert isinstance(before, frozenset)
        return {**state, self.entry: before | {value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A condition on the chosen values; ``complaint`` returns what is wrong, or None."""

    reads: frozenset[str]
    complaint: Callable[[State], str | None]


class SpaceSize(int):
    """A number of architectures; ``is_exact`` is False if it is an upper bound."""

    is_exact: bool

    def __new__(cls, value: int, *, is_exact: bool = True) -> "SpaceSize":
        """Create a size, an int with a flag."""
        size = super().__new__(cls, value)
        size.is_exact = is_exact
        return size

    def __str__(self) -> str:
        text = f"{int(self):,}" if self < 10**15 else f"{Decimal(int(self)):.1e}"
        return text if self.is_exact else f"at most {text}"

    __repr__ = __str__


class Traversal:
    """A sequence of nodes, with a cache of the states from which it can be completed."""

    def __init__(self, nodes: Sequence[Choice | Constraint]) -> None:
        self.nodes = tuple(nodes)
        self.complaints: Counter[str] = Counter()
        self._live = _live_entries(self.nodes)
        self._reachable: dict[_Key, bool] = {}

    def run(self, choose: Choose) -> dict[str, Value]:
        """Call ``choose`` for every live gene with several values; return all live genes.

        Raises ArchitectureError if ``choose`` returns a value that was not offered.
        """
        state: State = {}
        chosen: dict[str, Value] = {}
        for i, node in enumerate(self.nodes):
            values = node.values(state) if isinstance(node, Choice) else None
            if values is None:
                continue
            assert isinstance(node, Choice)
            offered = tuple(v for v in values if self.can_end(i + 1, node.after(state, v)))
            assert offered, f"{node.name}: a dead end, although the space has members"
            value = offered[0] if len(node.domain) == 1 else choose(node.name, offered)
            if value not in offered:
                raise ArchitectureError(
                    f"{node.name} = {value!r} is not in this space; "
                    f"it has here: {', '.join(map(str, offered))}"
                )
            chosen[node.name] = offered[offered.index(value)]
            state = node.after(state, value)
        return chosen

    def can_end(self, start: int = 0, state: State | None = None) -> bool:
        """Whether the traversal can be completed; ``complaints`` counts violated constraints."""
        path: list[tuple[_Key, Iterator[_Position]]] = [((), iter([(start, state or {})]))]
        while path:
            key, branches = path[-1]
            position = next(branches, None)
            if position is None:
                self._reachable[key] = False
                path.pop()
                continue
            key = self._key(*position)
            following = self._branches(*position) if key not in self._reachable else []
            if following is None or self._reachable.get(key):
                self._reachable |= dict.fromkeys([key, *(above for above, _ in path)], True)
                return True
            path.append((key, iter(following)))
        return False

    def _key(self, start: int, state: State) -> _Key:
        return (start, *(state.get(entry) for entry in self._live[start]))

    def _branches(self, start: int, state: State) -> list[_Position] | None:
        """Return the positions after the next live choice; None if there is no further one."""
        for i, node in enumerate(self.nodes[start:], start):
            if isinstance(node, Constraint):
                complaint = node.complaint(state)
                if complaint:
                    self.complaints[complaint] += 1
                    return []
                continue
            values = node.values(state)
            if values is not None:
                if not values:
                    self.complaints[f"{node.name}: its when tables have no value in common"] += 1
                return [(i + 1, node.after(state, value)) for value in values]
        return None

    def size(self, max_states: int = 20_000, exact: int = 10**6) -> SpaceSize:
        """Count the complete traversals.

        States that no later node can distinguish are merged, so the counts of stages multiply. With
        more than ``max_states`` states and more than ``exact`` traversals so far, the remaining
        choices are bounded by a product.
        """
        counts: Mapping[_Key, int] = {(): 1}
        for i, node in enumerate(self.nodes):
            following: Counter[_Key] = Counter()
            for key, number in counts.items():
                state: State = dict(zip(self._live[i], key, strict=True))  # type: ignore[arg-type]
                for after in _following(node, state):
                    following[tuple(after.get(entry) for entry in self._live[i + 1])] += number
            counts = following
            if len(counts) > max_states and sum(counts.values()) > exact:
                rest = (len(s.domain) for s in self.nodes[i + 1 :] if isinstance(s, Choice))
                return SpaceSize(sum(counts.values()) * prod(rest), is_exact=False)
        return SpaceSize(sum(counts.values()))


def _following(node: Choice | Constraint, state: State) -> list[State]:
    if isinstance(node, Constraint):
        return [] if node.complaint(state) else [state]
    values = node.values(state)
    return [state] if values is None else [node.after(state, value) for value in values]


def _live_entries(nodes: Sequence[Choice | Constraint]) -> list[tuple[str, ...]]:
    """Return, for each node and the end, the entries that are written before and read later."""
    live: list[tuple[str, ...]] = []
    for i in range(len(nodes) + 1):
        written = {node.entry for node in nodes[:i] if isinstance(node, Choice)}
        read = {entry for node in nodes[i:] for entry in node.reads}
        gathering = {s.entry for s in nodes[i:] if isinstance(s, Choice) and s.gathers}
        live.append(tuple(sorted(written & (read | gathering))))
    return live
