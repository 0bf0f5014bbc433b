"""Training: recipes as data, and `fit`, which resumes after a crash."""

from keras_residual.training.checkpoint import CheckpointError
from keras_residual.training.ctc import CTC
from keras_residual.training.describing import describe
from keras_residual.training.error_rates import CharacterErrorRate, WordErrorRate
from keras_residual.training.fit import fit
from keras_residual.training.layerwise import LayerwiseAdamW, LayerwiseLamb, LayerwiseSGD
from keras_residual.training.losses import Accuracy, CrossEntropy
from keras_residual.training.objective import Objective, objective
from keras_residual.training.recipe import Recipe
from keras_residual.training.recipes import find_recipe, recipes
from keras_residual.training.resume import finished_epochs
from keras_residual.training.room_for_labels import check_transcripts_fit
from keras_residual.training.schedules import OneCycle, Steps
from keras_residual.training.variables import build

__all__ = [
    "CTC",
    "Accuracy",
    "CharacterErrorRate",
    "CheckpointError",
    "CrossEntropy",
    "LayerwiseAdamW",
    "LayerwiseLamb",
    "LayerwiseSGD",
    "Objective",
    "OneCycle",
    "Recipe",
    "Steps",
    "WordErrorRate",
    "build",
    "check_transcripts_fit",
    "describe",
    "find_recipe",
    "finished_epochs",
    "fit",
    "objective",
    "recipes",
]
