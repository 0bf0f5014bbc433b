"""Datasets, input pipelines and augmentation."""

from keras_residual.data.batches import augment
from keras_residual.data.batches.augmentation import Augmentation
from keras_residual.data.batches.in_step import BatchesInStep, in_step
from keras_residual.data.batches.mixing import mix
from keras_residual.data.batches.pipeline import pipeline
from keras_residual.data.batches.randaugment import rand_augment
from keras_residual.data.dataset import Dataset, EpochBatches, training_batches
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.bicubic import luminance, reduced, resized
from keras_residual.data.pictures.files import (
    Picture,
    check_writable,
    read_picture,
    write_picture,
)
from keras_residual.data.pictures.pairs import ImagePairs
from keras_residual.data.pictures.tiling import upscale
from keras_residual.data.sources.clip_files import VIDEO_SUFFIXES, read_clip
from keras_residual.data.sources.digits import digits, digits_builder
from keras_residual.data.sources.load import load
from keras_residual.data.splits import ArraySplit, Split
from keras_residual.data.statistics import channel_statistics

__all__ = [
    "VIDEO_SUFFIXES",
    "ArraySplit",
    "Augmentation",
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
    "read_clip",
    "read_picture",
    "reduced",
    "resized",
    "training_batches",
    "upscale",
    "write_picture",
]
