"""Training by recipe: named presets, seeds that make runs equal, checkpoints that resume them."""

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
