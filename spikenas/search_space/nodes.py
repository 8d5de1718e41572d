"""`nodes`: the nodes that the traversal of a space visits, for images of one size.

The whole network comes first, then stage by stage; within each, a gene comes after those that
decide whether it is read. A constraint comes directly after the last gene that it reads.
"""

from collections.abc import Callable, Sequence

from spikenas import registry
from spikenas.architecture import InputSpec, Stage, grid, halving_complaint
from spikenas.exceptions import ArchitectureError
from spikenas.registry import Component, Family, Site
from spikenas.search_space import genes
from spikenas.search_space.genes import Level, Value
from spikenas.search_space.spec import Spec
from spikenas.search_space.tables import Table
from spikenas.search_space.traversal import Choice, Constraint, State

# What the site of every component contains of the network.
_SITE = ("num_steps", "residual", "patch_size", "num_stages", "halting")


def nodes(spec: Spec, images: InputSpec) -> list[Choice | Constraint]:
    """Return the nodes of the traversal of a space, in order."""
    choices = [_choice(spec.network, gene) for gene in spec.network.in_order()]
    constraints = []
    for i, table in enumerate(spec.stages):
        for gene in table.in_order():
            if gene == "mixer" and table.mixer_per_block:
                blocks = range(max(genes.integer(depth) for depth in table.domain("depth")))
                choices += [_choice(table, gene, stage=i, block=j) for j in blocks]
            elif i or gene != "downsampling":
                choices.append(_choice(table, gene, stage=i))
        constraints += _stage_constraints(table, i, images)
    return _merged(choices, [*_image_constraints(spec, images), *constraints])


def _merged(
    choices: Sequence[Choice], constraints: Sequence[Constraint]
) -> list[Choice | Constraint]:
    last = {choice.entry: i for i, choice in enumerate(choices)}
    place = [max((last.get(entry, 0) for entry in each.reads), default=0) for each in constraints]
    merged: list[Choice | Constraint] = []
    for i, choice in enumerate(choices):
        merged.append(choice)
        merged += [each for each, at in zip(constraints, place, strict=True) if at == i]
    return merged


def _choice(table: Table, gene: str, stage: int | None = None, block: int | None = None) -> Choice:
    entry = _entry(table.level, gene, stage)
    conditions = [
        (_entry(table.level, condition.key, stage), condition.value, condition.choices[gene])
        for condition in table.conditions_on(gene)
    ]
    is_option = gene in genes.options(table.level)
    is_live, looked_at = _liveness(table, gene, stage, block)

    def values(state: State) -> tuple[Value, ...] | None:
        if not is_live(state):
            return None
        listed = [
            allowed for key, value, allowed in conditions if value in _members(state.get(key))
        ]
        if listed:
            return tuple(v for v in listed[0] if all(v in others for others in listed[1:]))
        if gene in table.choices:
            return table.choices[gene]
        if is_option:  # if their defaults differ, each component keeps its own
            defaults = genes.option_defaults(_components(state, table.level, stage), gene)
            return defaults if len(defaults) == 1 else None
        return table.default(gene)

    return Choice(
        name=entry if block is None else f"stages[{stage}].blocks[{block}].{gene}",
        entry=entry,
        domain=table.domain(gene),
        reads=frozenset(looked_at | {key for key, _, _ in conditions}),
        values=values,
        gathers=gene == "mixer",
    )


def _liveness(
    table: Table, gene: str, stage: int | None, block: int | None
) -> tuple[Callable[[State], bool], set[str]]:
    """Return the test whether the gene is read, and the entries that the test reads."""
    by_components = genes.is_read_by_components(table.level, gene)
    looked_at = set() if stage is None else {"num_stages"}
    if by_components:
        looked_at |= {_entry(table.level, name, stage) for name in genes.FAMILIES[table.level]}
    if block is not None:
        looked_at.add(f"stages[{stage}].depth")

    def is_live(state: State) -> bool:
        if stage is not None and not _integer(state, "num_stages") > stage:
            return False
        if block is not None and not _integer(state, f"stages[{stage}].depth") > block:
            return False
        return not by_components or genes.reads(_components(state, table.level, stage), gene)

    return is_live, looked_at


def _components(state: State, level: Level, stage: int | None) -> list[Component]:
    """Return the chosen or default components of a level."""
    return genes.components(
        level,
        lambda family: _members(
            state.get(_entry(level, family, stage)) or genes.DEFAULTS.get(family)
        ),
    )


def _image_constraints(spec: Spec, images: InputSpec) -> list[Constraint]:
    """Return the constraints of stem, neuron and halting."""

    def constraint(family: Family) -> Constraint:
        def complaint(state: State) -> str | None:
            site = _site(state, 0, images, (images.height, images.width), is_stem=True)
            name = state.get(family) or genes.DEFAULTS[family]
            return registry.component(family, str(name)).complaint(site, family)

        depth = {"stages[0].depth"} if family == "halting" else set()
        return Constraint(
            reads=frozenset({*_SITE, "tau", family, "stages[0].embed_dim", *options, *depth}),
            complaint=complaint,
        )

    options = [gene for gene in spec.network.genes if gene in genes.options("network")]
    families: tuple[Family, ...] = ("stem", "neuron", "halting")
    return [constraint(family) for family in families if _have_rules(spec.network, family)]


def _stage_constraints(table: Table, stage: int, images: InputSpec) -> list[Constraint]:
    """Return the constraints of one stage: of its blocks, its mixers and its downsampling."""
    mixer, embed_dim, num_heads, mlp_ratio, downsampling = (
        f"stages[{stage}].{gene}"
        for gene in ("mixer", "embed_dim", "num_heads", "mlp_ratio", "downsampling")
    )

    def blocks(state: State) -> str | None:
        if state.get(mixer) is None:
            return None
        names = tuple(map(str, _members(state[mixer])))
        ratio = state.get(mlp_ratio)
        if ratio is None:
            ratio = genes.DEFAULTS["mlp_ratio"]
        assert isinstance(ratio, float)
        try:
            Stage(embed_dim=1, depth=len(names), mixer=names, num_heads=1, mlp_ratio=ratio)
        except ArchitectureError as error:
            return f"stages[{stage}]: {error}"
        return None

    def mixers(state: State) -> str | None:
        if state.get(embed_dim) is None:
            return None
        at = grid(images, _integer(state, "patch_size"), stage)
        site = _site(state, stage, images, at)
        found = (
            registry.component("mixer", str(name)).complaint(site, mixer)
            for name in _members(state[mixer])
        )
        return next(filter(None, found), None)

    def halving(state: State) -> str | None:
        if state.get(downsampling) is None:
            return None
        before = grid(images, _integer(state, "patch_size"), stage - 1)
        site = _site(state, stage, images, before)
        component = registry.component("downsampling", str(state[downsampling]))
        return halving_complaint(stage, *before) or component.complaint(site, downsampling)

    options = (gene for gene in table.genes if gene in genes.options("stage"))
    here = {*_SITE, embed_dim, num_heads, *(f"stages[{stage}].{gene}" for gene in options)}
    constraints = [Constraint(reads=frozenset({mixer, mlp_ratio}), complaint=blocks)]
    if _have_rules(table, "mixer"):
        constraints.append(Constraint(reads=frozenset({mixer, *here}), complaint=mixers))
    if stage:
        constraints.append(Constraint(reads=frozenset({downsampling, *here}), complaint=halving))
    return constraints


def _site(
    state: State,
    stage: int,
    images: InputSpec,
    size: tuple[int, int],
    *,
    is_stem: bool = False,
) -> Site:
    heads = None if is_stem else state.get(f"stages[{stage}].num_heads")
    depth = state.get("stages[0].depth") if is_stem else None
    tau = state.get("tau") or genes.DEFAULTS["tau"]
    level: Level = "network" if is_stem else "stage"
    at = None if is_stem else stage
    options = {gene: state.get(_entry(level, gene, at)) for gene in genes.options(level)}
    assert isinstance(tau, float)
    return Site(
        embed_dim=_integer(state, f"stages[{stage}].embed_dim"),
        height=size[0],
        width=size[1],
        num_steps=_integer(state, "num_steps"),
        residual=str(state["residual"]),
        num_heads=None if heads is None else _integer(state, f"stages[{stage}].num_heads"),
        patch_size=_integer(state, "patch_size") if is_stem else None,
        depth=None if depth is None else _integer(state, "stages[0].depth"),
        tau=tau,
        num_stages=_integer(state, "num_stages"),
        input_kind=images.kind,
        halting=state.get("halting", "none") != "none",
        options={gene: v for gene, v in options.items() if not isinstance(v, frozenset | None)},
    )


def _have_rules(table: Table, family: Family) -> bool:
    return any(
        registry.component(family, str(name)).structural_rule for name in table.domain(family)
    )


def _entry(level: Level, gene: str, stage: int | None) -> str:
    is_outer = stage is None or gene not in genes.names(level)
    return gene if is_outer else f"stages[{stage}].{gene}"


def _members(entry: Value | frozenset[Value] | None) -> tuple[Value, ...]:
    if isinstance(entry, frozenset):
        return tuple(sorted(entry, key=str))
    return () if entry is None else (entry,)


def _integer(state: State, entry: str) -> int:
    return genes.integer(state[entry])
