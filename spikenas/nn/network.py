"""`build_network`: from an Architecture, which says everything, to a PyTorch module.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width.
image [B, C, H, W] -> T times [T, B, C, H, W] -> stem -> stages of blocks -> head -> [B, classes]
The last stage's blocks and the head are run by the halting, which may leave tokens out.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from torch import Tensor, nn

from spikenas.architecture import Architecture, Halting, Options, Stage
from spikenas.nn.block import Block
from spikenas.nn.halting.none import NoHalting
from spikenas.nn.layout import repeat_in_time, steps_first, to_map, to_tokens
from spikenas.nn.neurons.neuron import Neuron, NeuronFactory
from spikenas.nn.residuals import Residual
from spikenas.registry import Option, operator


class SpikingTransformer(nn.Module):
    """The network of one architecture; membranes start anew at every call."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        neuron = _neuron_factory(a)
        stem = operator("stem", a.stem)
        self.stem = stem.load()(
            in_channels=a.input.channels,
            embed_dim=a.stages[0].embed_dim,
            patch_size=a.patch_size,
            residual=a.residual,
            neuron=neuron,
            **_options(stem.options, a.options),
        )
        self.grids = a.grids()
        self.downsampling = nn.ModuleList()
        self.stages = nn.ModuleList()
        for i, stage in enumerate(a.stages):
            if i:
                self.downsampling.append(_downsampling(a, i, neuron))
            self.stages.append(
                build_blocks(stage, grid=self.grids[i], residual=a.residual, neuron=neuron)
            )
        head = operator("head", a.head)
        self.head = head.load()(
            embed_dim=a.stages[-1].embed_dim,
            num_classes=a.num_classes,
            residual=a.residual,
            neuron=neuron,
            **_options(head.options, a.options),
        )
        self.halting = NoHalting() if a.halting is None else _halting(a, a.halting)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] for frames [B, C, H, W] or events [B, T, C, H, W]."""
        return self.with_ponder(x)[0]

    def with_ponder(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits, and the ponder loss while a network with halting is trained."""
        x = self._first_tokens(x)
        for i, blocks in enumerate(self.stages[:-1]):
            x = self._next_stage(i, blocks(x))  # [T, B, N, D]
        logits: tuple[Tensor, Tensor | None] = self.halting(self.stages[-1], self.head, x)
        return logits

    def streams(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the stream [T, B, N, D] before the first block and behind each one."""
        x = self._first_tokens(x)
        yield x
        for i, blocks in enumerate(self.stages):
            assert isinstance(blocks, nn.Sequential)
            for block in blocks:
                x = block(x)
                yield x
            if i + 1 < len(self.stages):
                x = self._next_stage(i, x)

    def drop_blocks(self, rate: float) -> None:
        """Set stochastic depth: from 0 in the first block evenly to ``rate`` in the last."""
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        for i, block in enumerate(blocks):
            for sub_block in block.sub_blocks:
                if isinstance(sub_block, Residual):
                    sub_block.drop_probability = rate * i / max(1, len(blocks) - 1)

    def _first_tokens(self, x: Tensor) -> Tensor:
        return to_tokens(self.stem(self._over_time(x)))

    def _next_stage(self, i: int, x: Tensor) -> Tensor:
        return to_tokens(self.downsampling[i](to_map(x, self.grids[i])))

    def _over_time(self, x: Tensor) -> Tensor:
        a, spec = self.architecture, self.architecture.input
        axes = {"channels": spec.channels, "height": spec.height, "width": spec.width}
        if spec.kind == "events":
            axes = {"num_steps": a.num_steps, **axes}
        if tuple(x.shape[1:]) != tuple(axes.values()):
            expected = ", ".join(f"{axis}={size}" for axis, size in axes.items())
            raise ValueError(f"{spec.kind} must have shape [B, {expected}], but have {[*x.shape]}")
        return steps_first(x) if spec.kind == "events" else repeat_in_time(x, a.num_steps)


def build_network(architecture: Architecture) -> SpikingTransformer:
    """Return a freshly initialised network.

    It draws from PyTorch's generator. Under ``torch.device("meta")`` nothing is allocated.
    """
    return SpikingTransformer(architecture)


def build_blocks(
    stage: Stage, *, grid: tuple[int, int], residual: str, neuron: NeuronFactory
) -> nn.Sequential:
    """Return the blocks of one stage, for tokens on ``grid`` (height, width)."""
    blocks = nn.Sequential()
    for name in stage.mixer:
        kind = operator("mixer", name)
        mixer = kind.load()(
            embed_dim=stage.embed_dim,
            grid=grid,
            neuron=neuron,
            **{gene: getattr(stage, gene) for gene in kind.genes},
            **_options(kind.options, stage.options),
        )
        blocks.append(
            Block(
                embed_dim=stage.embed_dim,
                mlp_ratio=stage.mlp_ratio,
                mixer=mixer,
                residual=residual,
                neuron=neuron,
            )
        )
    return blocks


def _neuron_factory(a: Architecture) -> NeuronFactory:
    kind = operator("neuron", a.neuron)
    genes = {gene: getattr(a, gene) for gene in kind.genes}
    make = partial(kind.load(), **genes, **_options(kind.options, a.options))

    def neuron(threshold: float = 1.0) -> Neuron:  # in units of the gene v_threshold
        made: Neuron = make(v_threshold=threshold * a.v_threshold)
        return made

    return neuron


def _downsampling(a: Architecture, i: int, neuron: NeuronFactory) -> nn.Module:
    name = a.stages[i].downsampling
    assert name is not None
    kind = operator("downsampling", name)
    made: nn.Module = kind.load()(
        in_channels=a.stages[i - 1].embed_dim,
        embed_dim=a.stages[i].embed_dim,
        residual=a.residual,
        neuron=neuron,
        **_options(kind.options, a.stages[i].options),
    )
    return made


def _halting(a: Architecture, halting: Halting) -> nn.Module:
    made: nn.Module = operator("halting", "act").load()(
        num_blocks=a.stages[-1].depth,
        threshold=halting.threshold,
        ponder_cost=halting.ponder_cost,
    )
    return made


def _options(known: Mapping[str, Option], given: Options) -> dict[str, Option]:
    """Return those options that one operator reads."""
    return {name: value for name, value in given if name in known}
