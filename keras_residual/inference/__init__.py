"""Inference from files: predictions, explanations and transcripts of a model in any format."""

from keras_residual._transcripts import edit_distance
from keras_residual.inference.alignment import align
from keras_residual.inference.answers import Prediction, as_rows, write_predictions
from keras_residual.inference.clip_list import clip_paths
from keras_residual.inference.decoding import Transcript, decode_beam, decode_greedy
from keras_residual.inference.explanation import explain
from keras_residual.inference.picture_list import picture_paths, recording_paths
from keras_residual.inference.predict import paths_for, predict
from keras_residual.inference.predictor import Predictor, load_keras, load_predictor
from keras_residual.inference.streaming import TranscriptStream
from keras_residual.inference.transcribe import transcribe
from keras_residual.inference.word_decoding import decode_words

__all__ = [
    "Prediction",
    "Predictor",
    "Transcript",
    "TranscriptStream",
    "align",
    "as_rows",
    "clip_paths",
    "decode_beam",
    "decode_greedy",
    "decode_words",
    "edit_distance",
    "explain",
    "load_keras",
    "load_predictor",
    "paths_for",
    "picture_paths",
    "predict",
    "recording_paths",
    "transcribe",
    "write_predictions",
]
