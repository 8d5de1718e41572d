"""`train`: the training loop. Equal seeds give equal weights, also after resuming.

Training runs on the device of the network. The caller initialises its weights; all other random
numbers (order, augmentation, and those of the network) depend on (seed, epoch), and the initial
weights of side heads on the seed. On a GPU this holds as far as its kernels are deterministic.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spikenas.data import Augmentation, ImageSet
from spikenas.exceptions import DataError, DivergedError, UsageError
from spikenas.training import checkpoint as checkpoints
from spikenas.training.objective import TrainingObjective
from spikenas.training.recipe import Recipe
from spikenas.training.schedule import Schedule

_RESIDENT_BYTES = 2**31  # data sets up to this size are moved to the GPU as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A finished epoch: ``epoch`` of ``epochs``, from 1, with its mean loss.

    ``loss`` is the total that is minimised; ``ponder`` is the unweighted rho of halting networks.
    """

    epoch: int
    epochs: int
    loss: float
    learning_rate: float  # of its last step
    seconds: float
    ponder: float | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the JSON form, without figures that the network does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """The record of each `Epoch`, and the checkpoint to continue from."""

    history: tuple[dict[str, float], ...]
    checkpoint: bytes


def train(
    network: nn.Module,
    train_set: ImageSet,
    recipe: Recipe,
    *,
    epochs: int | None = None,
    stop_after: int | None = None,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoint: bytes | None = None,
) -> TrainingResult:
    """Train the network in place.

    Args:
        network: maps images [B, C, H, W] or events [B, T, C, H, W] to logits [B, num_classes].
        train_set: at least two images; an incomplete last batch is dropped.
        recipe: its schedule spans ``epochs``.
        epochs: the budget, by default that of the recipe; see `Schedule` for shorter ones.
        stop_after: stop after this epoch, to be resumed later.
        seed: of all random numbers except the initial weights of the network.
        on_epoch: called after each epoch; an exception from it ends the training.
        checkpoint: of a training with the same settings, to continue from.

    Raises:
        DivergedError: at the first loss or gradient that is not finite.
        UsageError: the checkpoint has other settings, or the recipe does not fit the network or
            the data.
        ArtefactError: the checkpoint is damaged.
    """
    recipe.check_kind("events" if train_set.images.dim() == 5 else "frames")
    if len(train_set) < 2:
        raise DataError(f"training needs at least 2 images; there are {len(train_set)}")
    epochs = recipe.epochs if epochs is None else epochs
    if epochs < 1:
        raise UsageError(f"epochs = {epochs}; at least 1 is needed")
    batch_size = min(recipe.batch_size, len(train_set))
    steps_per_epoch = len(train_set) // batch_size
    schedule = Schedule(recipe=recipe, epochs=epochs, steps_per_epoch=steps_per_epoch)
    objective = _objective(network, recipe, seed)
    optimizer = _optimizer(objective, recipe)
    terms = {
        "recipe": recipe.fingerprint,
        "epochs": epochs,
        "steps_per_epoch": steps_per_epoch,
        "seed": seed,
    }
    progress = checkpoints.Progress(epoch=0, terms=terms, history=())
    if checkpoint is not None:
        progress = checkpoints.unpack(checkpoint, objective, optimizer)
        _same_terms(progress.terms, terms)
    device = next(network.parameters()).device
    if train_set.images.nbytes <= _RESIDENT_BYTES:
        train_set = train_set.to(device)

    last = epochs if stop_after is None else min(stop_after, epochs)
    for epoch in range(progress.epoch, last):
        start = time.perf_counter()
        forked = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked), objective.dropping_blocks():
            loss, ponder = _train_epoch(
                objective,
                train_set,
                optimizer=optimizer,
                schedule=schedule,
                epoch=epoch,
                seed=seed,
            )
        done = Epoch(
            epoch=epoch + 1,
            epochs=epochs,
            loss=loss,
            learning_rate=optimizer.param_groups[0]["lr"],
            seconds=time.perf_counter() - start,
            ponder=ponder,
        )
        progress = replace(progress, epoch=epoch + 1, history=(*progress.history, done.to_dict()))
        if on_epoch:
            on_epoch(done)
    return TrainingResult(
        history=tuple(dict(record) for record in progress.history),
        checkpoint=checkpoints.pack(objective, optimizer, progress),
    )


def _train_epoch(
    objective: TrainingObjective,
    train_set: ImageSet,
    *,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    epoch: int,
    seed: int,
) -> tuple[float, float | None]:
    """Train for one epoch, counted from 0; return its mean loss, and mean ponder if any."""
    recipe, steps = schedule.recipe, schedule.steps_per_epoch
    device = next(objective.parameters()).device
    # Reseed both generators each epoch, so that a checkpoint need not contain their state.
    epoch_seed = (seed * 1_000_003 + epoch) % 2**63
    torch.default_generator.manual_seed(epoch_seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(epoch_seed)
    generator = torch.Generator().manual_seed(epoch_seed)
    augment = _augmentation(train_set, recipe, is_mixing=schedule.is_mixing(epoch))
    total = torch.zeros((), device=device)
    ponders: list[Tensor] = []
    objective.train()
    batches = train_set.batches(
        min(recipe.batch_size, len(train_set)),
        generator=generator,
        augment=augment,
        drop_last=True,
    )
    for step, (images, labels) in enumerate(batches, start=epoch * steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate(step)
        loss = objective(images.to(device), labels.to(device))
        optimizer.zero_grad()
        loss.total.backward()
        norm = nn.utils.clip_grad_norm_(objective.parameters(), recipe.gradient_clip or math.inf)
        _check_finite(loss.total.detach(), norm, optimizer, epoch, step % steps)
        optimizer.step()
        total += loss.total.detach()
        if loss.ponder is not None:
            ponders.append(loss.ponder)
    return float(total) / steps, float(torch.stack(ponders).mean()) if ponders else None


def _objective(network: nn.Module, recipe: Recipe, seed: int) -> TrainingObjective:
    """Return the objective on the network's device; the seed determines the side heads."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed((seed * 1_000_003 - 1) % 2**63)  # differs from epochs
        return TrainingObjective(network, recipe).to(next(network.parameters()).device)


def _check_finite(
    loss: Tensor, norm: Tensor, optimizer: torch.optim.Optimizer, epoch: int, step: int
) -> None:
    if torch.isfinite(loss + norm):
        return
    rate = optimizer.param_groups[0]["lr"]
    raise DivergedError(
        f"training diverged in epoch {epoch + 1}, step {step + 1}: loss {float(loss):g}, gradient "
        f"norm {float(norm):g}, at learning rate {rate:g}; "
        "a lower learning_rate or a gradient_clip may hold it"
    )


def _optimizer(objective: TrainingObjective, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW without weight decay on 1-d parameters (biases and norms), as in timm."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _augmentation(train_set: ImageSet, recipe: Recipe, *, is_mixing: bool) -> Augmentation:
    return Augmentation(
        num_classes=train_set.num_classes,
        fill=tuple(255 * mean for mean in train_set.mean),
        random_crop_padding=recipe.random_crop_padding,
        horizontal_flip=recipe.horizontal_flip,
        rand_augment_ops=recipe.rand_augment_ops,
        rand_augment_magnitude=recipe.rand_augment_magnitude,
        random_erasing=recipe.random_erasing,
        event_drop=recipe.event_drop,
        snn_augment_wide=recipe.snn_augment_wide,
        mixup=recipe.mixup if is_mixing else 0.0,
        cutmix=recipe.cutmix if is_mixing else 0.0,
    )


def _same_terms(have: Mapping[str, Any], need: Mapping[str, Any]) -> None:
    differing = [name for name in need if have.get(name) != need[name]]
    if differing:
        pairs = "; ".join(f"{name} {have.get(name)} there, {need[name]} here" for name in differing)
        raise UsageError(f"the checkpoint is of a training with other settings: {pairs}")
