"""Datasets of TensorFlow Datasets: prepared data first, downloads only if a network responds."""

import http.client
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._words import first_line
from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.arrays import from_arrays
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.recordings import check_rate, checked_samples, from_recordings
from keras_residual.data.sources.rows import Labels
from keras_residual.data.sources.tfds_stream import StreamSplit, import_tfds, keys_of
from keras_residual.data.splits import default_augmentation

_IN_MEMORY_BYTES = 2**30
_PROBE_SECONDS = 2.0


def _reachable(url: str, seconds: float = _PROBE_SECONDS) -> bool:
    """Returns whether the host of `url` responds at all, through the proxy if one is set."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=seconds).close()
        except (urllib.error.HTTPError, http.client.HTTPException):
            pass
        except OSError:
            return
        answered.set()

    # Name resolution has no timeout: the thread is abandoned if it takes longer.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return answered.is_set()


def _prepare(builder: Any, hint: str) -> None:
    """Downloads and prepares missing data, unless that cannot succeed."""
    try:
        builder.as_dataset()
        return
    # Raised by TFDS for data that is not prepared. Opening also works under
    # `tfds.testing.mock_data`, unlike `is_prepared`.
    except AssertionError:
        pass
    missing = f"TFDS dataset {builder.name!r} is not prepared in {builder.data_path}"
    url = next(iter(builder.url_infos or ()), None)
    if url and not _reachable(url):
        raise DatasetError(
            f"{missing} and {urllib.parse.urlsplit(url).hostname} cannot be reached. {hint}".strip()
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise DatasetError(
            f"{missing} and preparing it failed: {first_line(error)} {hint}".strip()
        ) from error


def _splits(builder: Any, test_fraction: float) -> tuple[str, str]:
    """Returns TFDS's names of the training and the held-out split."""
    # Under `mock_data` the splits are unknown, and every name is accepted.
    names = list(builder.info.splits) or ["train", "test"]
    if "train" not in names:
        raise DatasetError(
            f"TFDS dataset {builder.name!r} has no split named train. Received: {', '.join(names)}"
        )
    label_key = keys_of(builder)[1]
    for name in ("test", "validation"):
        # Challenges publish their test images with -1 for a label.
        if name in names and all(
            example[label_key] >= 0 for example in builder.as_dataset(split=name).take(1)
        ):
            return "train", name
    boundary = round(100 * (1 - test_fraction))
    return f"train[:{boundary}%]", f"train[{boundary}%:]"


def _arrays(builder: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    batches = list(
        builder.as_dataset(split=split, as_supervised=True).batch(1024).as_numpy_iterator()
    )
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def _recordings(builder, splits, class_names, options: Options) -> Dataset:
    """Returns a dataset of recordings, such as `spoken_digit` and `speech_commands`."""
    where = f"TFDS dataset {builder.name!r}"
    audio = builder.info.features[keys_of(builder)[0]]
    recordings, labels, parts = [], [], []
    for split in splits:
        start = len(recordings)
        for samples, label in builder.as_dataset(
            split=split, as_supervised=True
        ).as_numpy_iterator():
            name = f"{where}, recording {len(recordings)},"
            recordings.append(checked_samples(samples, name))
            labels.append(label)
        parts.append(np.arange(start, len(recordings)))
    rate = check_rate(audio.sample_rate, options, where)
    kept = Labels(np.array(labels, np.int32), "classes", class_names)
    return from_recordings(builder.name, where, recordings, rate, kept, options, tuple(parts))


def from_builder(builder: Any, options: Options, hint: str = "") -> Dataset:
    """Returns a dataset from a TFDS builder, which is downloaded and prepared if needed.

    Images of one size up to 1 GiB are read into memory, others streamed.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        options: The loading options: the held-out fraction if there is neither a test nor a
            validation split, and those of recordings.
        hint: Advice for the case that it cannot be downloaded.

    Raises:
        DatasetError: If it cannot be prepared or holds no images with labels.
    """
    import tensorflow as tf

    image_key, label_key = keys_of(builder)
    _prepare(builder, hint)
    image, label = (builder.info.features[key] for key in (image_key, label_key))
    class_names = label.names or [str(number) for number in range(label.num_classes)]
    where = f"TFDS dataset {builder.name!r}"
    try:
        splits = _splits(builder, options.test_fraction)
        counts = [int(builder.as_dataset(split=split).cardinality()) for split in splits]
        if not all(counts):
            raise DatasetError(f"{where} has an empty split. Received: {splits} of {counts}")
        if hasattr(image, "sample_rate"):
            return _recordings(builder, splits, tuple(class_names), options)
        if None not in image.shape and sum(counts) * np.prod(image.shape) <= _IN_MEMORY_BYTES:
            arrays = [array for split in splits for array in _arrays(builder, split)]
            return from_arrays(*arrays, class_names, name=builder.name, where=where)
    except tf.errors.OpError as error:
        raise DatasetError(
            f"{where} in {builder.data_path} is damaged ({first_line(error)}): prepare it again."
        ) from error
    kind = {
        "image_shape": tuple(image.shape),
        "scale": float(np.iinfo(image.np_dtype).max),
        "augmentation": default_augmentation(builder.name, image.shape),
    }
    train, test = (
        StreamSplit(builder=builder, split=split, count=count, **kind)
        for split, count in zip(splits, counts, strict=True)
    )
    return Dataset(builder.name, train, test, tuple(class_names))


def from_tfds(name: str, data_dir: Path | None, options: Options, places: list[Path]) -> Dataset:
    """Returns a dataset by its TFDS name, e.g. `"cifar10"` or `"svhn_cropped"`.

    Args:
        name: TFDS's name, optionally with configuration and version.
        data_dir: Folder of TFDS for prepared data. Defaults to that of TFDS.
        options: See `from_builder`.
        places: The `.npz` files that would have had precedence.
    """
    npz = " or ".join(str(place) for place in places)
    try:
        tfds = import_tfds()
    except ImportError as error:
        raise ImportError(f"{error} (or put an .npz of {name!r} at {npz})") from error
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    # Unknown names and configurations, and damaged metadata of prepared data.
    except Exception as error:
        reason = first_line(error)
        try:
            _checks.known("dataset", re.split("[/:]", name)[0], ["digits", *tfds.list_builders()])
        except ValueError as unknown:
            reason = str(unknown)
        raise DatasetError(
            f"{reason} Accepted: 'digits', a TFDS name, an .npz file, a folder of images by class."
        ) from error
    hint = (
        f"Put an .npz with x_train, y_train, x_test, y_test at {npz}, or run python -c "
        f"\"import tensorflow_datasets as t; t.load('{name}')\" where there is a network and copy "
        f"that folder."
    )
    return from_builder(builder, options, hint)
