"""The modules of a network in execution order, not built yet: stem, blocks, downsampling, head.

Axes: N tokens, D width, C channels, H, W map; shapes here leave out time and batch.
`spikenas.nn.network` builds every module; a trace builds only those that it has not cached.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from spikenas.architecture import Architecture, Options, Stage
from spikenas.nn.block import Block
from spikenas.nn.mixers.none import NoMixer
from spikenas.nn.mlp import MLP
from spikenas.nn.neurons.neuron import Neuron, NeuronFactory
from spikenas.nn.residuals import RESIDUALS
from spikenas.registry import Family, Option, component


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSpec:
    """One module, not built yet. Specs are equal if their operations are, whatever their names.

    Attributes:
        name: its place in the module tree, ``stages.0.1``.
        key: everything that its operations depend on, except the input and the neurons.
        input_shape: a map (C, H, W) or tokens (N, D).
        build: builds the module; its argument ``neuron`` builds the neurons.
        inner: the modules that it runs one after another, if it does nothing else.
        is_aside: its output is not the input of the next module.
    """

    name: str = field(compare=False)
    key: Hashable
    input_shape: tuple[int, ...]
    build: Callable[..., nn.Module] = field(compare=False)  # (neuron: NeuronFactory)
    inner: "Sequence[ModuleSpec] | None" = field(default=None, compare=False)
    is_aside: bool = field(default=False, compare=False)


def module_specs(a: Architecture) -> Iterator[ModuleSpec]:
    """Yield the modules of an architecture in execution order."""
    grids, first, last = a.grids(), a.stages[0], a.stages[-1]
    images = (a.input.channels, a.input.height, a.input.width)
    settings = {
        "in_channels": a.input.channels,
        "embed_dim": first.embed_dim,
        "patch_size": a.patch_size,
        "residual": a.residual,
    }
    yield _spec("stem", a.stem, images, settings, a.options)
    for i, (stage, grid) in enumerate(zip(a.stages, grids, strict=True)):
        if i:
            yield _downsampling(a, i)
        for j, mixer in enumerate(stage.mixer):
            block = block_spec(stage, mixer, grid=grid, residual=a.residual)
            yield replace(block, name=f"stages.{i}.{j}")
            if a.halting and stage is last and j < stage.depth - 1:
                yield _score(block, j)
    tokens = (grids[-1][0] * grids[-1][1], last.embed_dim)
    settings = {"embed_dim": last.embed_dim, "num_classes": a.num_classes, "residual": a.residual}
    yield _spec("head", a.head, tokens, settings, a.options)


def sub_block_specs(a: Architecture) -> Iterator[ModuleSpec]:
    """Yield the modules of an architecture, each block replaced by its sub-blocks."""
    for spec in module_specs(a):
        if spec.inner is None:
            yield spec
        else:
            yield from (replace(each, name=f"{spec.name}.{each.name}") for each in spec.inner)


def block_spec(stage: Stage, mixer: str, *, grid: tuple[int, int], residual: str) -> ModuleSpec:
    """Return one block of a stage, for tokens on ``grid`` (height, width)."""
    kind, D, tokens = component("mixer", mixer), stage.embed_dim, grid[0] * grid[1]
    branches = []
    if not issubclass(kind.load(), NoMixer):
        genes = {gene: getattr(stage, gene) for gene in kind.genes}
        settings = {"embed_dim": D, "grid": grid, **genes}
        branches.append(_spec("mixer", mixer, (tokens, D), settings, stage.options))
    if stage.mlp_ratio:
        hidden_dim, bias = max(1, round(D * stage.mlp_ratio)), kind.load().mlp_bias
        branches.append(
            ModuleSpec(
                name="mlp",
                key=("mlp", D, hidden_dim, bias),
                input_shape=(tokens, D),
                build=partial(MLP, embed_dim=D, hidden_dim=hidden_dim, bias=bias),
            )
        )
    sub_blocks = [
        replace(
            branch,
            name=f"sub_blocks.{i}",
            key=(residual, branch.key),
            build=partial(_joined, residual, branch),
        )
        for i, branch in enumerate(branches)
    ]
    return ModuleSpec(
        name="block",
        key=tuple(sub_block.key for sub_block in sub_blocks),
        input_shape=(tokens, D),
        build=lambda neuron: Block(*(each.build(neuron=neuron) for each in sub_blocks)),
        inner=sub_blocks,
    )


def neuron_factory(a: Architecture) -> Callable[..., Neuron]:
    """Return a function that builds the neurons of an architecture."""
    kind = component("neuron", a.neuron)
    genes = {gene: getattr(a, gene) for gene in kind.genes}
    make = partial(kind.load(), **genes, **_read(kind.options, a.options))

    def neuron(threshold: float = 1.0) -> Neuron:  # in units of the gene v_threshold
        return make(v_threshold=threshold * a.v_threshold)

    return neuron


def _spec(
    family: Family,
    name: str,
    input_shape: tuple[int, ...],
    settings: Mapping[str, Any],
    options: Options,
) -> ModuleSpec:
    """Return the spec of a component with the options that it reads."""
    kind = component(family, name)
    settings = {**settings, **_read(kind.options, options)}
    return ModuleSpec(
        name=family,
        key=(family, name, *settings.items()),
        input_shape=input_shape,
        build=lambda neuron: kind.load()(neuron=neuron, **settings),
    )


def _downsampling(a: Architecture, i: int) -> ModuleSpec:
    stage, before = a.stages[i], a.stages[i - 1].embed_dim
    assert stage.downsampling is not None
    settings = {"in_channels": before, "embed_dim": stage.embed_dim, "residual": a.residual}
    images = (before, *a.grids()[i - 1])
    spec = _spec("downsampling", stage.downsampling, images, settings, stage.options)
    return replace(spec, name=f"downsampling.{i - 1}")


def _score(block: ModuleSpec, j: int) -> ModuleSpec:
    score = component("halting", "act").load().score
    return ModuleSpec(
        name=f"halting.scores.{j}",
        key="score",
        input_shape=block.input_shape,
        build=lambda neuron: score(),
        is_aside=True,
    )


def _joined(residual: str, branch: ModuleSpec, neuron: NeuronFactory) -> nn.Module:
    made: Any = branch.build(neuron=neuron)
    return RESIDUALS[residual](made, neuron)


def _read(known: Mapping[str, Option], given: Options) -> dict[str, Option]:
    """Return the options that a component reads."""
    return {name: value for name, value in given if name in known}
