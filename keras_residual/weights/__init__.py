"""Published weights: sources, safe reading of files, preprocessing and class names."""

from keras_residual.weights._readers.keras_archive import check_keras_archive
from keras_residual.weights.arrays import Arrays, LayerEntry
from keras_residual.weights.cache import cache_directory, cached_path, fetch
from keras_residual.weights.description import described_by, description_of
from keras_residual.weights.download import DownloadError
from keras_residual.weights.errors import WeightsError
from keras_residual.weights.files import detect, read
from keras_residual.weights.freezing import freeze
from keras_residual.weights.inference import (
    checked_inclusion,
    decode_predictions,
    preprocess,
    preprocessing_for_factory,
    preprocessing_of,
)
from keras_residual.weights.labels import class_names
from keras_residual.weights.loading import (
    from_torch,
    load,
    load_for_factory,
    options_for_factory,
    to_torch,
)
from keras_residual.weights.matching import MismatchError
from keras_residual.weights.preprocessing import Preprocessing
from keras_residual.weights.pushing import push
from keras_residual.weights.sources import (
    WeightSource,
    find,
    find_named,
    forbids_commerce,
    list_sources,
    remember,
    source_of,
)

__all__ = [
    "Arrays",
    "DownloadError",
    "LayerEntry",
    "MismatchError",
    "Preprocessing",
    "WeightSource",
    "WeightsError",
    "cache_directory",
    "cached_path",
    "check_keras_archive",
    "checked_inclusion",
    "class_names",
    "decode_predictions",
    "described_by",
    "description_of",
    "detect",
    "fetch",
    "find",
    "find_named",
    "forbids_commerce",
    "freeze",
    "from_torch",
    "list_sources",
    "load",
    "load_for_factory",
    "options_for_factory",
    "preprocess",
    "preprocessing_for_factory",
    "preprocessing_of",
    "push",
    "read",
    "remember",
    "source_of",
    "to_torch",
]
