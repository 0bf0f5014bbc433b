"""Asking a model about pictures: from files to class names, whatever the model is stored as."""

from keras_residual.inference.answers import Prediction, as_rows, write_predictions
from keras_residual.inference.explanation import explain
from keras_residual.inference.picture_list import picture_paths
from keras_residual.inference.predict import predict
from keras_residual.inference.predictor import Predictor, load_keras, load_predictor

__all__ = [
    "Prediction",
    "Predictor",
    "as_rows",
    "explain",
    "load_keras",
    "load_predictor",
    "picture_paths",
    "predict",
    "write_predictions",
]
