"""Datasets, input pipelines and augmentation."""

from keras_residual.data import augment
from keras_residual.data.bicubic import luminance, reduced, resized
from keras_residual.data.dataset import ArraySplit, Dataset, DatasetError, Split
from keras_residual.data.embedded_digits import digits, digits_builder
from keras_residual.data.image_pairs import ImagePairs
from keras_residual.data.in_step import BatchesInStep, in_step
from keras_residual.data.input_pipeline import pipeline
from keras_residual.data.mixing import mix
from keras_residual.data.picture_files import (
    Picture,
    check_writable,
    read_picture,
    write_picture,
)
from keras_residual.data.randaugment import rand_augment
from keras_residual.data.sources import load
from keras_residual.data.statistics import channel_statistics
from keras_residual.data.tiling import upscale
from keras_residual.data.training_batches import EpochBatches, training_batches

__all__ = [
    "ArraySplit",
    "BatchesInStep",
    "Dataset",
    "DatasetError",
    "EpochBatches",
    "ImagePairs",
    "Picture",
    "Split",
    "augment",
    "channel_statistics",
    "check_writable",
    "digits",
    "digits_builder",
    "in_step",
    "load",
    "luminance",
    "mix",
    "pipeline",
    "rand_augment",
    "read_picture",
    "reduced",
    "resized",
    "training_batches",
    "upscale",
    "write_picture",
]
