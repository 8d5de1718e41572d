"""`Table`: the choices of the whole network or of one stage, with their ``when`` tables.

``[when.KEY."VALUE"]`` replaces the values of a gene if KEY is VALUE (for the mixers of a stage: if
one of them is). If several tables apply, the values that all of them list remain.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikenas import registry
from spikenas.exceptions import did_you_mean
from spikenas.search_space import genes
from spikenas.search_space.genes import Level, Value

_log = logging.getLogger(__name__)
Values = tuple[Value, ...]
_REQUIRED: Mapping[Level, tuple[str, ...]] = {
    "network": ("num_steps", "neuron", "residual", "stem", "patch_size"),
    "stage": ("embed_dim", "depth", "mixer", "num_heads"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One ``[when.KEY."VALUE"]`` table."""

    where: str
    key: str
    value: Value
    choices: Mapping[str, Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The part of a file about one level; ``where`` is its place in the file."""

    level: Level
    where: str
    choices: Mapping[str, Values]
    when: tuple[Condition, ...] = ()
    mixer_per_block: bool = False
    outer: "Table | None" = field(default=None, repr=False)

    @property
    def genes(self) -> list[str]:
        """The genes that the file mentions, in their usual order."""
        return [
            gene
            for gene in genes.names(self.level)
            if gene in self.choices or self.conditions_on(gene)
        ]

    def conditions_on(self, gene: str) -> list[Condition]:
        """Return the ``when`` tables that list a gene."""
        return [condition for condition in self.when if gene in condition.choices]

    def needs(self, gene: str) -> set[str]:
        """Return the genes of this level that must be chosen before this one."""
        needed = {condition.key for condition in self.conditions_on(gene)}
        if genes.is_read_by_components(self.level, gene):
            needed.update(genes.FAMILIES[self.level])
        if gene == "mixer" and self.mixer_per_block:
            needed.add("depth")
        return needed & {*genes.names(self.level)}

    def in_order(self) -> list[str]:
        """Return the genes, each after those that it needs, without those in a cycle."""
        left, ordered = self.genes, list[str]()
        needs = {gene: self.needs(gene) for gene in left}
        while ready := [g for g in left if not needs[g] & {*left}]:
            ordered.append(ready[0])
            left.remove(ready[0])
        return ordered

    def domain(self, gene: str) -> Values:
        """Return every value that a gene may have somewhere in the space."""
        if gene not in genes.names(self.level):
            return self.outer.domain(gene) if self.outer else ()
        listed = [*self.choices.get(gene, ())]
        for condition in self.conditions_on(gene):
            listed += condition.choices[gene]
        if gene not in self.choices and self.missing(gene):
            listed += self.default(gene)
        return tuple(dict.fromkeys(listed))

    def default(self, gene: str) -> Values:
        """Return the values of a gene that the file omits; none if the gene is required.

        An option has the defaults of all components in this table that have it.
        """
        if gene in genes.DEFAULTS:
            return (genes.DEFAULTS[gene],)
        if gene not in genes.options(self.level):
            return ()
        return genes.option_defaults(genes.components(self.level, self.domain), gene)

    def missing(self, gene: str) -> list[str]:
        """Return the places where the gene is read, but the file has no value for it."""
        if gene in self.choices:
            return []
        said = {(c.key, c.value) for c in self.conditions_on(gene)}
        keys = dict.fromkeys(key for key, _ in said)
        by_components = genes.is_read_by_components(self.level, gene)
        if not keys and not by_components:
            return [self.where]
        gaps = [
            [
                f"{key} = {value!r}"
                for value in self.domain(key)
                if (key, value) not in said and (not by_components or _may_read(key, value, gene))
            ]
            for key in keys or genes.FAMILIES[self.level]
        ]
        return min(gaps, key=len) if keys else [place for gap in gaps for place in gap]

    def problems(self) -> list[str]:
        """Return the contradictions and gaps of the table."""
        ordered = self.in_order()
        circle = [gene for gene in self.genes if gene not in ordered]
        if circle:
            return [
                f"{self.where}: the when tables of {', '.join(circle)} depend on each other; "
                "remove one of them"
            ]
        return [*self._misplaced_conditions(), *self._missing_genes()]

    def _misplaced_conditions(self) -> list[str]:
        known = [*genes.names(self.level), *(genes.names("network") if self.outer else ())]
        problems = []
        for condition in self.when:
            values = self.domain(condition.key)
            if condition.key not in known:
                problems.append(
                    f"{condition.where}: {condition.key} is not a choice"
                    f"{did_you_mean(condition.key, known)}; known: {', '.join(known)}"
                )
            elif condition.value not in values:
                texts = [str(value) for value in values]
                problems.append(
                    f"{condition.where}: {condition.key} is never {condition.value!r}"
                    f"{did_you_mean(str(condition.value), texts)}; "
                    f"its values: {', '.join(texts) or 'none'}"
                )
        return problems

    def _missing_genes(self) -> list[str]:
        required = [*_REQUIRED[self.level]]
        if self.level == "stage" and self.where != "stages[0]":
            required.append("downsampling")
        return [
            f"{self.where}.{gene} is missing" + (f" where {places[0]}" if "=" in places[0] else "")
            for gene in required
            if (places := self.missing(gene))
        ]

    def warn_of_unread(self, source: str, *, is_first_stage: bool) -> None:
        """Warn of choices that no component of this level reads."""
        for gene in self.genes:
            if gene == "downsampling" and is_first_stage:
                _log.warning("%s: %s.%s is not used: the stem does it", source, self.where, gene)
            components = genes.components(self.level, self.domain)
            is_optional = genes.is_read_by_components(self.level, gene)
            if is_optional and not genes.reads(components, gene):
                _log.warning(
                    "%s: %s.%s is not used: no component here reads it", source, self.where, gene
                )


def _may_read(key: str, value: Any, gene: str) -> bool:
    """Whether a gene can be read if ``key`` is ``value``."""
    families = {name for level in genes.FAMILIES.values() for name in level}
    if key not in families:
        return True
    return genes.reads([registry.component(key, value)], gene)
