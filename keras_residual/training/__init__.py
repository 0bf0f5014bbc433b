"""Training: recipes as data and a fit that survives a crash."""

from keras_residual.training.checkpoint import CheckpointError
from keras_residual.training.fit import finished_epochs, fit
from keras_residual.training.recipe import Recipe, recipes

__all__ = ["CheckpointError", "Recipe", "finished_epochs", "fit", "recipes"]
