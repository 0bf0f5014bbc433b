"""Pairs for super-resolution: patches of photographs and their downscaled versions."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_residual import _checks, _needs
from keras_residual._words import counted
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.bicubic import luminance, reduced
from keras_residual.data.pictures.files import (
    ORIENTATION,
    PICTURE_SUFFIXES,
    files_below,
    pillow,
    read_picture,
)

if TYPE_CHECKING:
    import tensorflow as tf

# The kernel of bicubic downscaling reaches two reduced pixels to each side.
_MARGIN = 3
_IN_MEMORY_BYTES = 2**30
_NAMED = 100


class ImagePairs:
    """Photographs paired with downscaled versions, cut into patches on demand.

    They are downscaled as by MATLAB's `imresize`, which papers use, 8 bits in and out, see
    `reduced`. Pictures are read on demand; up to 1 GiB of them is cached.

    Args:
        source: A folder with PNG, JPEG and WebP files, also in subfolders; or a sequence of such
            files and of `(height, width, 1 or 3)` uint8 arrays.
        scale: Integer of at least 2.
        luminance: Whether to convert pictures to their luminance, one channel, as for `VDSR`.

    Raises:
        DatasetError: If there is no picture, or one is damaged; the message names it.

    Example:

    >>> pairs = ImagePairs("photographs", scale=4)  # doctest: +SKIP
    >>> train, held_out = pairs.hold_out(0.1)  # doctest: +SKIP
    >>> small, large = next(iter(train.patches(batch_size=16)))  # doctest: +SKIP
    """

    def __init__(
        self, source: str | os.PathLike[str] | Sequence[Any], scale: int, luminance: bool = False
    ):
        self.scale = _checks.integer("scale", scale, 2)
        self.luminance = _checks.boolean("luminance", luminance)
        self._items = _items(source)
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __str__(self) -> str:
        return f"{counted(len(self), 'picture')}, reduced by {self.scale}"

    @property
    def channels(self) -> int:
        return 1 if self.luminance else 3

    def hold_out(self, fraction: float = 0.1, seed: int = 0) -> "tuple[ImagePairs, ImagePairs]":
        """Returns two parts, the second with `fraction` of the pictures, at least one each."""
        _checks.real("fraction", fraction, 0, 1, open_end=True)
        if len(self) < 2:
            raise DatasetError("Holding out needs at least 2 pictures. Received: 1")
        order = np.random.default_rng(_checks.seed(seed)).permutation(len(self))
        count = min(max(1, round(fraction * len(self))), len(self) - 1)
        return tuple(
            ImagePairs([self._items[index] for index in part], self.scale, self.luminance)
            for part in (np.sort(order[count:]), np.sort(order[:count]))
        )

    def name(self, index: int) -> str:
        """Returns the name of a picture's file, or its number."""
        item = self._items[index]
        return f"picture {index}" if isinstance(item, np.ndarray) else item.name

    def large(self, index: int) -> np.ndarray:
        """Returns a picture, cut to a multiple of the scale, as uint8."""
        if index in self._kept:
            return self._kept[index]
        item = self._items[index]
        pixels = item if isinstance(item, np.ndarray) else _eight_bits(item)
        height, width = (size // self.scale * self.scale for size in pixels.shape[:2])
        if not height * width:
            raise DatasetError(f"{self.name(index)} is smaller than {self.scale} pixels.")
        pixels = pixels[:height, :width]
        if pixels.shape[-1] != self.channels:
            pixels = luminance(pixels) if self.luminance else np.repeat(pixels, 3, axis=-1)
        if sum(kept.nbytes for kept in self._kept.values()) + pixels.nbytes <= _IN_MEMORY_BYTES:
            self._kept[index] = pixels
        return pixels

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a downscaled picture and the original, float32 in [0, 1]."""
        large = self.large(index)
        return _unit(reduced(large, self.scale)), _unit(large)

    def patches(
        self,
        batch_size: int = 16,
        patch_size: int = 48,
        *,
        seed: int = 0,
        epoch: int = 0,
        steps_per_epoch: int = 100,
    ) -> "tf.data.Dataset[Any]":
        """Returns endless batches of `(small, large)` patches, float32 in [0, 1].

        Each patch is cropped at random, and rotated and mirrored into one of eight orientations.
        All draws depend only on the seed and the number of steps since epoch 0.

        Args:
            batch_size: Positive integer.
            patch_size: Positive integer, the side of a reduced patch.
            seed: Integer.
            epoch: Non-negative integer, number of the first epoch.
            steps_per_epoch: Positive integer, number of batches in an epoch.

        Returns:
            A prefetched `tf.data.Dataset`.

        Raises:
            ValueError: If an argument is out of range, or a reduced picture is smaller than a
                patch.
        """
        _needs.tensorflow("`ImagePairs.patches`")
        import tensorflow as tf

        _checks.integer("batch_size", batch_size)
        self.check_sizes(_checks.integer("patch_size", patch_size))
        seed, epoch = _checks.seed(seed), _checks.integer("epoch", epoch, 0)
        first = epoch * _checks.integer("steps_per_epoch", steps_per_epoch)

        def batches() -> Iterator[Any]:
            step = first
            while True:
                draw = np.random.default_rng((seed, step))
                drawn = [self._patch(draw, patch_size) for _ in range(batch_size)]
                yield tuple(np.stack(part) for part in zip(*drawn, strict=True))
                step += 1

        signature = tuple(
            tf.TensorSpec((batch_size, side, side, self.channels), tf.float32)
            for side in (patch_size, self.scale * patch_size)
        )
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    def _patch(self, draw, side):
        large = self.large(int(draw.integers(len(self))))
        top, left = (int(draw.integers(size // self.scale - side + 1)) for size in large.shape[:2])
        turns, mirrored = draw.integers(4), draw.integers(2)
        parts = [np.rot90(part, turns) for part in self._cut(large, top, left, side)]
        return [_unit(part[:, ::-1] if mirrored else part) for part in parts]

    def _cut(self, large, top, left, side):
        """Crops a patch and downscales it with its surroundings, as in the whole picture."""
        around, inside, exact = [], [], []
        for start in (top, left):
            begin = max(0, start - _MARGIN)
            around.append(slice(begin * self.scale, (start + side + _MARGIN) * self.scale))
            inside.append(slice(start - begin, start - begin + side))
            exact.append(slice(start * self.scale, (start + side) * self.scale))
        small = reduced(large[tuple(around)], self.scale)
        return small[tuple(inside)], large[tuple(exact)]

    def check_sizes(self, patch_size: int) -> None:
        """Raises a DatasetError that names all pictures that are damaged or too small for a patch.

        Sizes are read from the files' headers.
        """
        wrong = []
        for index, item in enumerate(self._items):
            try:
                size = item.shape[:2] if isinstance(item, np.ndarray) else _size_in_file(item)
            except DatasetError as error:
                wrong.append(str(error))
                continue
            if min(size) // self.scale < patch_size:
                wrong.append(
                    f"{self.name(index)} is {size[1]}×{size[0]} pixels, too small for patches of "
                    f"patch_size={patch_size} at scale {self.scale}."
                )
        if wrong:
            raise DatasetError(" ".join(wrong[:_NAMED]))


def _items(source) -> list[Path | np.ndarray]:
    if isinstance(source, str | os.PathLike):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise DatasetError(f"{folder} is not a folder of PNG, JPEG or WebP pictures.")
        source = [path for path in files_below(folder) if path.suffix.lower() in PICTURE_SUFFIXES]
        if not source:
            raise DatasetError(f"{folder} holds no PNG, JPEG or WebP pictures.")
    valid = isinstance(source, Sequence) and len(source) > 0
    if not valid or not all(_is_picture(item) for item in source):
        raise DatasetError(
            "`source` must be a folder, or a sequence of picture files and of uint8 arrays "
            f"(height, width, 1 or 3). Received: source of type {type(source).__name__}"
        )
    return [item if isinstance(item, np.ndarray) else Path(item) for item in source]


def _is_picture(item) -> bool:
    if isinstance(item, np.ndarray):
        return item.dtype == np.uint8 and item.ndim == 3 and item.shape[-1] in (1, 3)
    return isinstance(item, str | os.PathLike)


def _size_in_file(path: Path) -> tuple[int, int]:
    """Returns the height and width of the upright picture from a file's header."""
    image_module, _ = pillow()
    try:
        with image_module.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1) >= 5
            return (image.width, image.height) if turned else (image.height, image.width)
    except Exception as error:
        raise DatasetError(f"{path} is damaged or not a picture.") from error


def _eight_bits(path: Path) -> np.ndarray:
    picture = read_picture(path)
    if picture.pixels.dtype != np.uint8:
        raise DatasetError(f"{path} has 16 bits: convert it to 8 bits first.")
    return picture.pixels


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255
