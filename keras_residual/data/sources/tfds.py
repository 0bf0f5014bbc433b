"""Datasets of TensorFlow Datasets, prepared ones first, downloads only where a network answers."""

import http.client
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual import _checks
from keras_residual.data import keyed
from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.arrays import from_arrays
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.recordings import (
    Labels,
    check_rate,
    checked_samples,
    from_recordings,
)
from keras_residual.data.splits import Split, default_augmentation

if TYPE_CHECKING:
    import tensorflow as tf

_IN_MEMORY_BYTES = 2**30
_SHUFFLE_BUFFER = 16_384
_PROBE_SECONDS = 2.0
_ACCEPTED = "a dataset with an image or a recording and a class label (`supervised_keys`)"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StreamSplit(Split):
    """A split of a TFDS builder too large or too varied for memory, read in a stream.

    The order of an epoch comes from a buffer of 16,384 encoded examples that runs over the stored
    order, as examples cannot be read at random.

    Attributes:
        builder: The prepared `tfds.core.DatasetBuilder`.
        split: TFDS's name of the split, slices included.
        count: Number of examples.
    """

    builder: Any
    split: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"StreamSplit({self.builder.name} {self.split}, {self.count} examples)"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        tfds = import_tfds()
        image_key, label_key = _keys(self.builder)
        image = self.builder.info.features[image_key]
        with tf.init_scope():
            stored = self.builder.as_dataset(
                split=self.split, decoders={image_key: tfds.decode.SkipDecoding()}
            ).enumerate()
        if count is not None:
            chosen = tf.argsort(self.order(seed, epoch, shuffle)) < count
            stored = stored.filter(lambda index, example: tf.gather(chosen, index))
        if shuffle:
            stored = _shuffled(stored, seed, epoch)

        def decode(index: tf.Tensor, example: dict) -> tuple:
            label = tf.cast(example[label_key], tf.int32)
            return image.decode_example(example[image_key]), label, tf.cast(index, tf.int32)

        return stored.map(decode, num_parallel_calls=tf.data.AUTOTUNE)

    def part(self, index: np.ndarray) -> "StreamSplit":
        raise ValueError(f"A stream has no random access. Received: a part of {self!r}")

    def hold_out(
        self,
        fraction: float = 0.1,
        seed: int = 0,
        groups: Sequence | None = None,
        held_out: Sequence | None = None,
    ) -> "tuple[StreamSplit, StreamSplit]":
        """The stored order's end is held out, whatever the seed: a stream has no random access."""
        if groups is not None or held_out is not None:
            raise ValueError(
                f"`groups` and `held_out` need a split in memory or of files. Received: {self!r}"
            )
        _checks.real("fraction", fraction, 0, 1, open_end=True)
        boundary = self.count - round(self.count * fraction)
        if "[" in self.split or not 0 < boundary < self.count:
            raise ValueError(
                f"`fraction` must divide a whole split in two parts with examples. "
                f"Received: fraction={fraction!r} of {self!r}"
            )
        return (
            replace(self, split=f"{self.split}[:{boundary}]", count=boundary),
            replace(self, split=f"{self.split}[{boundary}:]", count=self.count - boundary),
        )


def _shuffled(stored: "tf.data.Dataset", seed: int, epoch: "tf.Tensor") -> "tf.data.Dataset":
    """`stored.shuffle(...)` by the raw operation.

    The method mixes TensorFlow's global seed in, and refuses a tensor as the seed where that is 0.
    """
    import tensorflow as tf

    bits = [
        keyed.random_integers(2**31 - 1, seed, epoch, tf.zeros((1,), tf.int32), draw)[0] + 1
        for draw in keyed.DRAWS["stream_buffer"]
    ]
    specs = tf.nest.flatten(stored.element_spec)
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(stored),
        buffer_size=_SHUFFLE_BUFFER,
        seed=tf.cast(bits[0], tf.int64),
        seed2=tf.cast(bits[1], tf.int64),
        output_types=[spec.dtype for spec in specs],
        output_shapes=[spec.shape for spec in specs],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, stored.element_spec)


def import_tfds() -> Any:
    """TensorFlow Datasets, or an ImportError that says how to install it."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            'This needs TensorFlow Datasets: pip install "keras-residual[data]"'
        ) from error
    return tfds


def _keys(builder: Any) -> tuple[str, str]:
    """The names of the image and of the label among the features."""
    tfds = import_tfds()
    features = dict(builder.info.features.items())
    keys = builder.info.supervised_keys or ()
    kinds = [type(features[key]) for key in keys if key in features]
    inputs = (tfds.features.Image, tfds.features.Audio)
    if len(kinds) != 2 or kinds[0] not in inputs or kinds[1] is not tfds.features.ClassLabel:
        raise DatasetError(
            f"TFDS dataset {builder.name!r} is no classification: {_ACCEPTED} is accepted. "
            f"Received: features {', '.join(features)}"
        )
    return keys


def _reachable(url: str, seconds: float = _PROBE_SECONDS) -> bool:
    """Whether the host of `url` answers anything at all, asked through the proxy if one is set."""
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

    # Name resolution knows no timeout: the thread is left behind if it takes longer.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    return answered.is_set()


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _prepare(builder: Any, hint: str) -> None:
    """Downloads and prepares what is not there yet, unless that cannot succeed."""
    try:
        builder.as_dataset()
        return
    # TFDS's answer to data that is not prepared. Opening also works under `tfds.testing.mock_data`,
    # where `is_prepared` does not.
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
            f"{missing} and preparing it failed: {_first_line(error)} {hint}".strip()
        ) from error


def _splits(builder: Any, test_fraction: float) -> tuple[str, str]:
    """TFDS's names of the training and the held-out split."""
    # Under `mock_data` the splits are unknown, and every name is answered.
    names = list(builder.info.splits) or ["train", "test"]
    if "train" not in names:
        raise DatasetError(
            f"TFDS dataset {builder.name!r} has no split named train. Received: {', '.join(names)}"
        )
    label_key = _keys(builder)[1]
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
    """A dataset of recordings, as `spoken_digit` and `speech_commands` are."""
    where = f"TFDS dataset {builder.name!r}"
    audio = builder.info.features[_keys(builder)[0]]
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
    """A dataset of a TFDS builder, downloaded and prepared if it is not yet.

    Images of one size up to 1 GiB are read into memory, others streamed.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        options: How to load: the held-out share where there is neither a test nor a validation
            split, and what belongs to recordings.
        hint: What to do where it cannot be downloaded.

    Raises:
        DatasetError: If it cannot be prepared or holds no images with labels.
    """
    import tensorflow as tf

    image_key, label_key = _keys(builder)
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
            f"{where} in {builder.data_path} is damaged ({_first_line(error)}): prepare it again."
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
    """A dataset by its TFDS name, e.g. `"cifar10"` or `"svhn_cropped"`.

    Args:
        name: TFDS's name, with configuration and version where wanted.
        data_dir: Where TFDS keeps prepared data. Defaults to TFDS's own place.
        options: See `from_builder`.
        places: The `.npz` files that would have been taken instead.
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
        reason = _first_line(error)
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
