"""`restricted`: the nodes of a space with choices restricted to some of their values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spikenas.exceptions import UsageError, did_you_mean, in_short
from spikenas.search_space.genes import Value
from spikenas.search_space.traversal import Choice, Constraint, State

Only = Mapping[str, tuple[Value, ...]]  # by choice, or by gene for all choices of it


def as_only(given: object) -> Only:
    """Return restrictions with a tuple of values each; a single value is allowed too."""
    if not isinstance(given, Mapping):
        raise UsageError(f"only = {in_short(given)}; needed: values by choice, {{'num_steps': 4}}")
    return {
        str(name): tuple(map(_frozen, values))
        if isinstance(values, list | set | tuple)
        else (values,)
        for name, values in given.items()
    }


def restricted(
    nodes: Sequence[Choice | Constraint], only: Only, source: str
) -> list[Choice | Constraint]:
    """Return nodes whose choices only offer the values in ``only``, given as values or text.

    Raises UsageError for an unknown choice, or for a value that it does not offer.
    """
    choices = [node for node in nodes if isinstance(node, Choice)]
    for name, wanted in only.items():
        meant = [choice for choice in choices if name in _names(choice)]
        if not meant:
            known = sorted({each for choice in choices for each in _names(choice)})
            raise UsageError(
                f"{source}: {name!r} is not a choice{did_you_mean(name, known)}; known: "
                f"{', '.join(known)}"
            )
        offered = list(dict.fromkeys(value for choice in meant for value in choice.domain))
        for value in wanted or [None]:
            if not any(_is_meant(each, value) for each in offered):
                raise UsageError(
                    f"{source}: {name} = {in_short(value)} is not in the space; it has: "
                    f"{', '.join(map(_text, offered))}"
                )
    return [
        _restricted(node, [only[name] for name in only if name in _names(node)])
        if isinstance(node, Choice)
        else node
        for node in nodes
    ]


def _names(choice: Choice) -> tuple[str, str]:
    """Return the full name, and that of the gene."""
    return choice.name, choice.name.rpartition(".")[2]


def _restricted(choice: Choice, wanted: Sequence[tuple[object, ...]]) -> Choice:
    def kept(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(
            value
            for value in values
            if all(any(_is_meant(value, each) for each in some) for some in wanted)
        )

    def values(state: State) -> tuple[Value, ...] | None:
        found = choice.values(state)
        return None if found is None else kept(found)

    if not wanted:
        return choice
    return replace(choice, domain=kept(choice.domain), values=values)


def _is_meant(value: Value, wanted: object) -> bool:
    if isinstance(wanted, str) and not isinstance(value, str):
        return wanted.replace(" ", "").lower() == _text(value).replace(" ", "")
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _frozen(value: Any) -> Any:
    """Convert a list of JSON to a tuple, as in the options of a space."""
    return tuple(value) if isinstance(value, list) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
