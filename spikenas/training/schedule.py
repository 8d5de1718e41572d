"""The learning rate at each step: a linear warm-up, then half a cosine (Loshchilov 2017)."""

from dataclasses import dataclass
from math import cos, pi

from spikenas.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The schedule of a recipe over all ``epochs`` of ``steps_per_epoch``.

    A budget shorter than the recipe's keeps the shape: the warm-up is at most a quarter of it, and
    MixUp and CutMix end at the same fraction of the training.
    """

    recipe: Recipe
    epochs: int
    steps_per_epoch: int

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs."""
        recipe = self.recipe
        warmup = round(min(recipe.warmup_epochs, self.epochs / 4) * self.steps_per_epoch)
        if step < warmup:
            climb = recipe.learning_rate - recipe.warmup_learning_rate
            return recipe.warmup_learning_rate + climb * step / warmup
        done = (step - warmup) / max(1, self.epochs * self.steps_per_epoch - warmup)
        fall = recipe.learning_rate - recipe.min_learning_rate
        return recipe.min_learning_rate + fall * (1 + cos(pi * done)) / 2

    def is_mixing(self, epoch: int) -> bool:
        """Whether MixUp and CutMix are on in an epoch, counted from 0."""
        off = self.recipe.mixup_off_epoch
        return not off or epoch * self.recipe.epochs < off * self.epochs
