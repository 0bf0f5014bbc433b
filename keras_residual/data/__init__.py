"""Datasets, input pipelines and augmentation."""

from keras_residual.data import augment
from keras_residual.data.dataset import ArraySplit, Dataset, DatasetError, Split
from keras_residual.data.embedded_digits import digits, digits_builder
from keras_residual.data.input_pipeline import pipeline
from keras_residual.data.sources import load
from keras_residual.data.statistics import channel_statistics

__all__ = [
    "ArraySplit",
    "Dataset",
    "DatasetError",
    "Split",
    "augment",
    "channel_statistics",
    "digits",
    "digits_builder",
    "load",
    "pipeline",
]
