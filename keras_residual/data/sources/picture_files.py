"""Splits of picture files, decoded on demand, or at once if they fit into memory."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual import _needs
from keras_residual._words import counted
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.headers import (
    LARGEST_PICTURE,
    is_whole,
    read_header,
    upright,
)
from keras_residual.data.sources.damage import tell_of_damaged
from keras_residual.data.sources.options import Options
from keras_residual.data.splits import ArraySplit, Split, default_augmentation

if TYPE_CHECKING:
    import tensorflow as tf

# A few seconds of decoding: up to this number every image is read when the dataset is loaded.
_READ_AT_LOAD_BYTES = 2**28
_IN_MEMORY_BYTES = 2**30


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FileSplit(Split):
    """Image files, decoded on demand.

    Attributes:
        paths: `(n,)` strings.
        max_pixels: Maximal number of pixels of a picture.
        typical_side: Median of the pictures' shorter sides, in pixels; `None` if unknown.
    """

    paths: np.ndarray
    max_pixels: int = LARGEST_PICTURE
    typical_side: int | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"FileSplit({counted(len(self), 'image')} of {self.image_shape})"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset[Any]":
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU:0"):
            paths, labels = tf.convert_to_tensor(self.paths), tf.convert_to_tensor(self.y)

        def read(index: tf.Tensor) -> tuple[Any, ...]:
            path = tf.gather(paths, index)
            image = tf.numpy_function(self._decode_or_empty, [path], tf.uint8, stateful=False)
            image.set_shape((None, None, self.image_shape[2]))
            whole = tf.debugging.Assert(tf.size(image) > 0, ["damaged image file:", path])
            with tf.control_dependencies([whole]):
                return tf.identity(image), tf.gather(labels, index), index

        order = tf.data.Dataset.from_tensor_slices(self.order(seed, epoch, shuffle)[:count])
        return order.map(read, num_parallel_calls=tf.data.AUTOTUNE)

    def _decode_or_empty(self, path: bytes) -> np.ndarray:
        """Returns the image, or an empty one: an error inside a graph would hide the file name."""
        try:
            return decode(path.decode(), self.image_shape[2], self.max_pixels)
        except (DatasetError, OSError):
            return np.zeros((0, 0, self.image_shape[2]), np.uint8)

    def part(self, index: np.ndarray) -> "FileSplit":
        return replace(self, paths=self.paths[index], **self._labels_of(index))


def decode(path: str, channels: int = 0, max_pixels: int = LARGEST_PICTURE) -> np.ndarray:
    """Reads an image file as `(height, width, channels)` uint8, upright by its EXIF orientation.

    Args:
        path: A PNG or JPEG file.
        channels: 1 for greyscale, 3 for colour, 0 for the number in the file.
        max_pixels: Maximal number of pixels of a picture.

    Raises:
        DatasetError: If the file is damaged, of another format or too large.
    """
    _needs.tensorflow("Decoding the picture files of a dataset")
    import tensorflow as tf

    header = read_header(path, max_pixels)
    try:
        with tf.device("CPU:0"):
            image = tf.io.decode_image(
                Path(path).read_bytes(), channels, expand_animations=False
            ).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise DatasetError(f"{path} is damaged or is not a PNG or JPEG image.") from error
    return np.ascontiguousarray(upright(image, header.orientation))


def check_ends(path: Path, max_pixels: int = LARGEST_PICTURE) -> None:
    """Raises if a file is not a complete PNG or JPEG, without decoding it."""
    header = read_header(path, max_pixels)
    if not is_whole(path, header.format):
        raise DatasetError(f"{path} is truncated or is not a PNG or JPEG image.")


def picture_splits(
    name: str,
    parts: Sequence[tuple[Sequence[Path], dict[Any, Any]]],
    options: Options,
) -> tuple[list[Split], tuple[str, ...]]:
    """Returns a split of each part's files, and the damaged files that were left out.

    Small collections are decoded now, so that damaged files are found before training. Of larger
    ones, the start and end of each file and one image in a thousand are checked, or all images if
    damaged ones are to be left out. Images of one size that fit into memory become arrays.

    Args:
        name: Name of the dataset, which may determine its default augmentation.
        parts: For each part its files and the fields of its labels, at least `y`.
        options: The loading options.

    Raises:
        DatasetError: If files are damaged and are not to be left out; the message names them all.
    """
    paths = [path for files, _ in parts for path in files]
    shapes, images, errors = _look_at(paths, options)
    if errors:
        tell_of_damaged(errors, len(paths), options.damaged, "pictures")
    whole = np.array([str(path) not in errors for path in paths])
    channels = 1 if all(shape[2] <= 2 for shape in shapes) else 3
    sizes = {shape[:2] for shape in shapes}
    known = images is not None and len(sizes) == 1
    shape = (*(sizes.pop() if known else (None, None)), channels)
    splits, start = [], 0
    for files, labels in parts:
        kept = whole[start : start + len(files)]
        index = np.flatnonzero(kept)
        fields = {**labels, "image_shape": shape, "augmentation": default_augmentation(name, shape)}
        fields |= {
            key: labels[key][index] for key in ("y", "groups") if labels.get(key) is not None
        }
        if images:
            taken = np.stack([images[start + place] for place in index])[..., :channels]
            splits.append(ArraySplit(x=taken, **fields))
        else:
            names = np.array([str(files[place]) for place in index])
            side = _typical_side(shapes)
            splits.append(
                FileSplit(paths=names, max_pixels=options.max_pixels, typical_side=side, **fields)
            )
        start += len(files)
    return splits, tuple(errors)


def _typical_side(shapes: Counter[tuple[int, ...]]) -> int:
    sides = sorted(min(shape[:2]) for shape in shapes.elements())
    return sides[len(sides) // 2]


def _look_at(
    paths: list[Path], options: Options
) -> tuple[Counter[tuple[int, ...]], dict[Any, Any] | None, dict[str, str]]:
    """Returns the counted shapes of images, the images if all fit into memory, and errors by file.

    `None` in place of images where not all were read, an empty dictionary where they do not fit.
    """
    errors = {}
    for path in paths:
        try:
            check_ends(path, options.max_pixels)
        except DatasetError as error:
            errors[str(path)] = str(error)
    whole = [place for place, path in enumerate(paths) if str(path) not in errors]
    size = sum(paths[place].stat().st_size for place in whole)
    every = size <= _READ_AT_LOAD_BYTES or options.damaged == "leave_out"
    looked_at = whole if every else whole[:: max(1, len(whole) // 1000)]

    def read(place: int) -> tuple[Any, ...]:
        try:
            return place, decode(str(paths[place]), max_pixels=options.max_pixels), None
        except DatasetError as error:
            return place, None, str(error)

    shapes, images, fits = Counter(), {}, every
    with ThreadPoolExecutor() as pool:
        for place, image, error in pool.map(read, looked_at):
            if error is not None:
                errors[str(paths[place])] = error
                continue
            shapes[image.shape] += 1
            fits = fits and len(shapes) == 1 and len(paths) * image.size <= _IN_MEMORY_BYTES
            if fits:
                images[place] = image
            else:
                images.clear()
    return shapes, images if every else None, errors
