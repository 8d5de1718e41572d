"""`build_network`: from an Architecture to a PyTorch module.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width.
image [B, C, H, W] -> T times [T, B, C, H, W] -> stem -> stages of blocks -> head -> [B, classes]
The halting runs the blocks of the last stage and the head, and may leave tokens out.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spikenas.architecture import Architecture, Halting
from spikenas.exceptions import UsageError, in_short
from spikenas.nn.block import Block
from spikenas.nn.halting.none import NoHalting
from spikenas.nn.layout import repeat_in_time, steps_first, to_map, to_tokens
from spikenas.nn.module_specs import module_specs, neuron_factory
from spikenas.nn.prediction import prepared
from spikenas.nn.residuals import MembraneResidual, SpikeResidual
from spikenas.preprocessing import Preprocessing
from spikenas.registry import component


class SpikingTransformer(nn.Module):
    """The network of one architecture; membranes are reset at every call."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        self.grids = a.grids()
        self.preprocessing: Preprocessing | None = None
        self.classes: tuple[str, ...] = ()
        neuron = neuron_factory(a)
        built = {
            spec.name: spec.build(neuron=neuron) for spec in module_specs(a) if not spec.is_aside
        }
        self.stem = built.pop("stem")
        self.downsampling = nn.ModuleList()
        self.stages = nn.ModuleList()
        for i, stage in enumerate(a.stages):
            if i:
                self.downsampling.append(built.pop(f"downsampling.{i - 1}"))
            self.stages.append(
                nn.Sequential(*(built.pop(f"stages.{i}.{j}") for j in range(stage.depth)))
            )
        self.head = built.pop("head")
        self.halting = NoHalting() if a.halting is None else _halting(a, a.halting)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] for frames [B, C, H, W] or events [B, T, C, H, W]."""
        return self.with_ponder(x)[0]

    def with_ponder(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits, and in training with halting the ponder loss."""
        x = self._first_tokens(x)
        for i, blocks in enumerate(self.stages[:-1]):
            x = self._next_stage(i, blocks(x))  # [T, B, N, D]
        return self.halting(self.stages[-1], self.head, x)

    def predict(self, images: object, *, batch_size: int = 256) -> Tensor:
        """Return the index of the most likely class, int64 [B], in evaluation mode.

        ``images`` are uint8, or floats in 0..1, [B, C, H, W] or [C, H, W], or counts of events
        [B, T, 2, H, W], as tensors or NumPy arrays. They are rounded to 8 bits, resized and
        normalised as in the search; call ``network(images)`` for images that are already
        normalised. The names of the classes are in ``classes``, if known.
        """
        given = prepared(images, self.preprocessing)
        place = next(self.parameters())
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                indices = [
                    self(batch.to(place.device, place.dtype)).argmax(1).cpu()
                    for batch in torch.split(given, batch_size)
                ]
        finally:
            self.train(was_training)
        return torch.cat(indices)

    def streams(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the stream [T, B, N, D] before the first block and after each one."""
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
                if isinstance(sub_block, SpikeResidual | MembraneResidual):
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
        if not x.is_floating_point():
            raise UsageError(
                f"{spec.kind} must be floats as in training, but are {x.dtype}; network.predict "
                "takes uint8"
            )
        return steps_first(x) if spec.kind == "events" else repeat_in_time(x, a.num_steps)


def build_network(architecture: Architecture) -> SpikingTransformer:
    """Return a freshly initialised network.

    Weights are drawn from PyTorch's global generator. Under ``torch.device("meta")`` no memory is
    allocated. Raises UsageError if the argument is not an Architecture.
    """
    if not isinstance(architecture, Architecture):
        raise UsageError(
            f"build_network is given {in_short(architecture)}; needed: an Architecture, which "
            "Architecture.from_dict makes of a table and spikenas.published of a name"
        )
    return SpikingTransformer(architecture)


def _halting(a: Architecture, halting: Halting) -> nn.Module:
    return component("halting", "act").load()(
        num_blocks=a.stages[-1].depth,
        threshold=halting.threshold,
        ponder_cost=halting.ponder_cost,
    )
