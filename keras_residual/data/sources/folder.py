"""Datasets from folders of images, one folder a class."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.splits import (
    ArraySplit,
    DatasetError,
    Split,
    default_augmentation,
    parts_to_hold_out,
    stratified,
)

if TYPE_CHECKING:
    import tensorflow as tf

ACCEPTED_FOLDER = (
    "a folder with one subfolder of PNG or JPEG images for each class, or with train/ and test/ of "
    "that form"
)
_HELD_OUT_FOLDERS = ("test", "val", "validation")
_SUFFIXES = {".png", ".jpg", ".jpeg"}
_FOREIGN_SUFFIXES = {".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".avif", ".ppm", ".pgm"}
# A few seconds of decoding: below this every image is read when the dataset is loaded.
_READ_AT_LOAD_BYTES = 2**28
_IN_MEMORY_BYTES = 2**30


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FileSplit(Split):
    """Image files, decoded when they are needed.

    Attributes:
        paths: `(n,)` strings.
        y: `(n,)` int32.
    """

    paths: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"FileSplit({len(self)} images of {self.image_shape})"

    def examples(
        self, seed: int, epoch: "tf.Tensor", shuffle: bool, count: int | None = None
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        with tf.init_scope(), tf.device("CPU:0"):
            paths, labels = tf.convert_to_tensor(self.paths), tf.convert_to_tensor(self.y)

        def read(index: tf.Tensor) -> tuple:
            path = tf.gather(paths, index)
            image = tf.numpy_function(self._decode_or_empty, [path], tf.uint8, stateful=False)
            image.set_shape((None, None, self.image_shape[2]))
            whole = tf.debugging.Assert(tf.size(image) > 0, ["damaged image file:", path])
            with tf.control_dependencies([whole]):
                return tf.identity(image), tf.gather(labels, index), index

        order = tf.data.Dataset.from_tensor_slices(self.order(seed, epoch, shuffle)[:count])
        return order.map(read, num_parallel_calls=tf.data.AUTOTUNE)

    def _decode_or_empty(self, path: bytes) -> np.ndarray:
        """The image, or one without pixels: Python's errors in a graph bury the file's name."""
        try:
            return decode(path.decode(), self.image_shape[2])
        except (DatasetError, OSError):
            return np.zeros((0, 0, self.image_shape[2]), np.uint8)

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "tuple[FileSplit, FileSplit]":
        return tuple(
            replace(self, paths=self.paths[part], y=self.y[part])
            for part in parts_to_hold_out(self.y, fraction, seed)
        )


def decode(path: str, channels: int = 0) -> np.ndarray:
    """Reads an image file as `(height, width, channels)` uint8.

    Args:
        path: A PNG or JPEG file.
        channels: 1 for grey, 3 for colour, 0 for what the file holds.

    Raises:
        DatasetError: If the file is damaged or of another format.
    """
    import tensorflow as tf

    try:
        with tf.device("CPU:0"):
            return tf.io.decode_image(
                Path(path).read_bytes(), channels, expand_animations=False
            ).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise DatasetError(f"{path} is damaged or is not a PNG or JPEG image.") from error


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class, in sorted order."""
    classes = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name.startswith("."):
            continue
        files = sorted(
            path
            for path in place.rglob("*")
            if path.is_file()
            and not any(part.startswith(".") for part in path.parts[len(place.parts) :])
        )
        foreign = [path for path in files if path.suffix.lower() in _FOREIGN_SUFFIXES]
        if foreign:
            raise DatasetError(f"{foreign[0]} is not a PNG or JPEG image: convert it or remove it.")
        classes[place.name] = [path for path in files if path.suffix.lower() in _SUFFIXES]
        if not classes[place.name]:
            raise DatasetError(f"{place} holds no images. Accepted: {ACCEPTED_FOLDER}.")
    return classes


def _check_ends(path: Path) -> None:
    """Raises if a file is not a whole PNG or JPEG, by its first and last bytes alone."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, path.stat().st_size - 2**16))
        tail = file.read()
    whole = (head == b"\x89PNG\r\n\x1a\n" and b"IEND" in tail) or (
        head.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in tail
    )
    if not whole:
        raise DatasetError(f"{path} is truncated or is not a PNG or JPEG image.")


def _read(paths: list[Path]) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda path: decode(str(path)), paths)


def _storage(paths: list[Path], name: str) -> tuple[dict, np.ndarray | None]:
    """The common fields of the splits over `paths`, and the images if all are of one size.

    Collections small enough are decoded now, so that a damaged file is found before training;
    of larger ones each file's ends and one image in a thousand are looked at.
    """
    for path in paths:
        _check_ends(path)
    all_now = sum(path.stat().st_size for path in paths) <= _READ_AT_LOAD_BYTES
    shapes, images = set(), []
    for image in _read(paths if all_now else paths[:: max(1, len(paths) // 1000)]):
        shapes.add(image.shape)
        if all_now and len(shapes) == 1 and len(paths) * image.size <= _IN_MEMORY_BYTES:
            images.append(image)
        else:
            images.clear()
    channels = 1 if all(shape[2] <= 2 for shape in shapes) else 3
    sizes = {shape[:2] for shape in shapes}
    shape = (*(sizes.pop() if all_now and len(sizes) == 1 else (None, None)), channels)
    kind = {"image_shape": shape, "augmentation": default_augmentation(name, shape)}
    return kind, np.stack(images)[..., :channels] if images else None


def _labelled_files(folder: Path, test_fraction: float, seed: int) -> tuple:
    """Training and held-out files with labels, and the class names."""
    held_out = next((folder / name for name in _HELD_OUT_FOLDERS if (folder / name).is_dir()), None)
    divided = (folder / "train").is_dir()
    place = folder / "train" if divided else folder
    classes = _classes(place)
    if len(classes) < 2:
        raise DatasetError(
            f"{place} must hold at least 2 class folders. Received: "
            f"{', '.join(classes) or 'none'}. Accepted: {ACCEPTED_FOLDER}."
        )
    names = list(classes)

    def labelled(groups: dict[str, list[Path]]) -> tuple[list[Path], np.ndarray]:
        files = [path for group in groups.values() for path in group]
        labels = [names.index(name) for name, group in groups.items() for _ in group]
        return files, np.array(labels, np.int32)

    files, labels = labelled(classes)
    if divided and held_out:
        test_classes = _classes(held_out)
        unknown = sorted(set(test_classes) - set(classes))
        if unknown or not test_classes:
            raise DatasetError(
                f"{held_out} must hold classes of {place}: {', '.join(names)}. "
                f"Received: {', '.join(unknown) or 'none'}"
            )
        return (files, labels), labelled(test_classes), tuple(names)
    parts = stratified(labels, test_fraction, seed)
    return *(([files[i] for i in part], labels[part]) for part in parts), tuple(names)


def from_folder(folder: Path, test_fraction: float, seed: int) -> Dataset:
    """A dataset of PNG and JPEG files.

    `folder/train/CLASS/...` and `folder/test/CLASS/...` (or `val`, `validation`) if they are there;
    else `folder/CLASS/...`, of which a stratified `test_fraction` is held out. Classes are numbered
    in the order of their names. Images are grey if all files are, else RGB; transparency is
    dropped. Images of one size that fit into memory become arrays, others are decoded on demand.

    Args:
        folder: The folder.
        test_fraction: Number in (0, 1), the held-out share if there is no test folder.
        seed: Integer, of the division.

    Raises:
        DatasetError: If the folder has not that form or a file is damaged; the message names it.
    """
    try:
        train, test, names = _labelled_files(folder, test_fraction, seed)
        if not test[0]:
            raise DatasetError(f"{folder} holds too few images to hold out {test_fraction:g} of.")
        kind, images = _storage(train[0] + test[0], folder.name)
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be read ({error.strerror}).") from error

    def split(part: slice, files: list[Path], labels: np.ndarray) -> Split:
        if images is not None:
            return ArraySplit(x=images[part], y=labels, **kind)
        return FileSplit(paths=np.array([str(path) for path in files]), y=labels, **kind)

    boundary = len(train[0])
    return Dataset(
        folder.name, split(slice(boundary), *train), split(slice(boundary, None), *test), names
    )
