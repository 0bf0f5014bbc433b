"""Training: recipes as data and a fit that survives a crash."""

from keras_residual.training.checkpoint import CheckpointError
from keras_residual.training.fit import fit
from keras_residual.training.recipe import Recipe, recipes

__all__ = ["CheckpointError", "Recipe", "fit", "recipes"]
