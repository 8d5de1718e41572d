"""Reproducible training by recipe, with named presets and checkpoints to resume from."""

from spikenas.training.loop import Epoch, TrainingResult, train
from spikenas.training.presets import default_recipe, recipe, recipe_names
from spikenas.training.recipe import Recipe

__all__ = [
    "Epoch",
    "Recipe",
    "TrainingResult",
    "default_recipe",
    "recipe",
    "recipe_names",
    "train",
]
