"""What a network is assembled from, in the order it runs: stem, blocks, downsampling, head.

Axes: N tokens, D width, C channels, H, W map; shapes here leave out time and batch.
`spikenas.nn.network` builds every part; a trace builds only those whose like it has not seen.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from spikenas.architecture import Architecture, Options, Stage
from spikenas.nn.block import Block
from spikenas.nn.neurons.neuron import Neuron, NeuronFactory
from spikenas.registry import Option, operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part, not built yet.

    Attributes:
        name: its place in the module tree, ``stages.0.1``.
        key: all that its operations depend on, but for time, the input's signal and the numbers
            of its neurons (threshold, tau).
        input_shape: a map (C, H, W) or tokens (N, D).
        build: makes the module.
        is_aside: the stream goes past it, to the next part.
    """

    name: str
    key: Hashable
    input_shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    is_aside: bool = False


def parts(a: Architecture) -> Iterator[Part]:
    """Yield the parts of an architecture."""
    neuron, grids = neuron_factory(a), a.grids()
    first, last = a.stages[0], a.stages[-1]
    kinds = (a.neuron, a.residual)
    stem, head = operator("stem", a.stem), operator("head", a.head)
    images = (a.input.channels, a.input.height, a.input.width)
    yield Part(
        name="stem",
        key=(a.stem, kinds, first.embed_dim, a.patch_size, a.options),
        input_shape=images,
        build=lambda: stem.load()(
            in_channels=a.input.channels,
            embed_dim=first.embed_dim,
            patch_size=a.patch_size,
            residual=a.residual,
            neuron=neuron,
            **_options(stem.options, a.options),
        ),
    )
    for i, (stage, grid) in enumerate(zip(a.stages, grids, strict=True)):
        if i:
            before = a.stages[i - 1].embed_dim
            yield Part(
                name=f"downsampling.{i - 1}",
                key=(stage.downsampling, kinds, stage.embed_dim, stage.options),
                input_shape=(before, *grids[i - 1]),
                build=partial(_downsampling, before, stage, a.residual, neuron),
            )
        for j, mixer in enumerate(stage.mixer):
            genes = operator("mixer", mixer).genes
            read = tuple(getattr(stage, gene) for gene in genes)
            yield Part(
                name=f"stages.{i}.{j}",
                key=(mixer, read, kinds, stage.mlp_ratio, grid, stage.options),
                input_shape=(grid[0] * grid[1], stage.embed_dim),
                build=partial(
                    build_block, stage, mixer, grid=grid, residual=a.residual, neuron=neuron
                ),
            )
            if a.halting and stage is last and j < stage.depth - 1:
                score = operator("halting", "act").load().score
                yield Part(
                    name=f"halting.scores.{j}",
                    key="score",
                    input_shape=(grid[0] * grid[1], stage.embed_dim),
                    build=score,
                    is_aside=True,
                )
    yield Part(
        name="head",
        key=(a.head, kinds, a.num_classes, a.options),
        input_shape=(grids[-1][0] * grids[-1][1], last.embed_dim),
        build=lambda: head.load()(
            embed_dim=last.embed_dim,
            num_classes=a.num_classes,
            residual=a.residual,
            neuron=neuron,
            **_options(head.options, a.options),
        ),
    )


def neuron_factory(a: Architecture) -> NeuronFactory:
    """Return what makes the neurons of an architecture."""
    kind = operator("neuron", a.neuron)
    genes = {gene: getattr(a, gene) for gene in kind.genes}
    make = partial(kind.load(), **genes, **_options(kind.options, a.options))

    def neuron(threshold: float = 1.0) -> Neuron:  # in units of the gene v_threshold
        made: Neuron = make(v_threshold=threshold * a.v_threshold)
        return made

    return neuron


def build_block(
    stage: Stage,
    mixer: str,
    *,
    grid: tuple[int, int],
    residual: str,
    neuron: Callable[..., nn.Module],
) -> Block:
    """Return one block of a stage, for tokens on ``grid`` (height, width)."""
    kind = operator("mixer", mixer)
    made = kind.load()(
        embed_dim=stage.embed_dim,
        grid=grid,
        neuron=neuron,
        **{gene: getattr(stage, gene) for gene in kind.genes},
        **_options(kind.options, stage.options),
    )
    return Block(
        embed_dim=stage.embed_dim,
        mlp_ratio=stage.mlp_ratio,
        mixer=made,
        residual=residual,
        neuron=neuron,
    )


def _downsampling(
    in_channels: int, stage: Stage, residual: str, neuron: NeuronFactory
) -> nn.Module:
    assert stage.downsampling is not None
    kind = operator("downsampling", stage.downsampling)
    made: nn.Module = kind.load()(
        in_channels=in_channels,
        embed_dim=stage.embed_dim,
        residual=residual,
        neuron=neuron,
        **_options(kind.options, stage.options),
    )
    return made


def _options(known: Mapping[str, Option], given: Options) -> dict[str, Option]:
    """Return those options that one operator reads."""
    return {name: value for name, value in given if name in known}
