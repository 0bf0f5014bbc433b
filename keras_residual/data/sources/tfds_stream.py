"""Examples of TensorFlow Datasets, read as a stream."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual import _checks, _needs
from keras_residual._words import counted
from keras_residual.data import keyed
from keras_residual.data.errors import DatasetError
from keras_residual.data.splits import Split

if TYPE_CHECKING:
    import tensorflow as tf

_SHUFFLE_BUFFER = 16_384
_ACCEPTED = "a dataset with an image or a recording and a class label (`supervised_keys`)"


def import_tfds() -> Any:
    """Imports TensorFlow Datasets, or raises an ImportError that says how to install it."""
    _needs.tensorflow("TensorFlow Datasets")
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            'This needs TensorFlow Datasets: pip install "keras-residual[data]"'
        ) from error
    return tfds


def keys_of(builder: Any) -> tuple[str, str]:
    """Returns the names of the input and of the label among the features."""
    tfds = import_tfds()
    features = dict(builder.info.features.items())
    keys = builder.info.supervised_keys or ()
    kinds = [type(features[key]) for key in keys if key in features]
    inputs = (tfds.features.Image, tfds.features.Audio)
    if len(kinds) != 2 or kinds[0] not in inputs or kinds[1] is not tfds.features.ClassLabel:
        raise DatasetError(
            f"TFDS dataset {builder.name!r} is not for classification: {_ACCEPTED} is accepted. "
            f"Received: features {', '.join(features)}"
        )
    return keys


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StreamSplit(Split):
    """A split of a TFDS builder that does not fit into memory, read as a stream.

    An epoch is shuffled by a buffer of 16,384 encoded examples over the stored order, because
    examples cannot be accessed at random.

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
        return f"StreamSplit({self.builder.name} {self.split}, {counted(self.count, 'example')})"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset[Any]":
        import tensorflow as tf

        tfds = import_tfds()
        image_key, label_key = keys_of(self.builder)
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

        def decode(index: tf.Tensor, example: dict[str, Any]) -> tuple[Any, ...]:
            label = tf.cast(example[label_key], tf.int32)
            return image.decode_example(example[image_key]), label, tf.cast(index, tf.int32)

        return stored.map(decode, num_parallel_calls=tf.data.AUTOTUNE)

    def part(self, index: np.ndarray) -> "StreamSplit":
        raise ValueError(f"A stream has no random access. Received: a part of {self!r}")

    def _held_out(self, fraction, seed, groups, held_out):
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


def _shuffled(
    stored: "tf.data.Dataset[Any]", seed: int, epoch: "tf.Tensor"
) -> "tf.data.Dataset[Any]":
    """Computes `stored.shuffle(...)` by the raw operation.

    The method would mix in TensorFlow's global seed, and refuses a tensor as the seed if that is 0.
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
