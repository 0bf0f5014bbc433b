"""Frames drawn from clips, and the augmentation of images applied to all frames of a clip alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_residual.data.keyed import DRAWS, namespace, random_integers

Tensor = Any

_FINE = 2**24


@dataclass(frozen=True, eq=False)
class Frames:
    """Which frames of stored clips are taken.

    Attributes:
        count: Number of frames taken.
        stride: Distance between them.
        lengths: `(n,)` int32, the frames that each clip of the split has.
    """

    count: int
    stride: int
    lengths: np.ndarray

    def __call__(
        self, clips: Tensor, seed: int, epoch: Tensor, index: Tensor, training: bool
    ) -> Tensor:
        """Takes a stretch of each clip: at random in training, else from its middle.

        The last frame is repeated where a clip is shorter.

        Args:
            clips: `(batch, stored, height, width, channels)`.
            seed: Integer.
            epoch: Integer or int32 scalar tensor.
            index: `(batch,)` integers, the numbers of the clips in their dataset.
            training: Whether the place is drawn by `(seed, epoch, index)`.

        Returns:
            `(batch, count, height, width, channels)`.
        """
        xp = namespace(clips)
        stored = int(clips.shape[1])
        lengths = xp.take(xp.array(self.lengths, dtype="int32"), index % len(self.lengths), axis=0)
        room = xp.clip(lengths - ((self.count - 1) * self.stride + 1), 0, stored)
        start = room // 2
        if training:
            drawn = random_integers(_FINE, seed, epoch, index, DRAWS["clip_start"][0])
            share = xp.array(drawn, dtype="float32") * (1 / _FINE)
            start = xp.floor(share * xp.array(room + 1, dtype="float32"))
        start = xp.array(start, dtype="int32")[:, None]
        place = start + self.stride * xp.arange(self.count, dtype="int32")[None]
        place = xp.where(place < lengths[:, None], place, lengths[:, None] - 1)
        # The position in the batch; a tf.data batch does not know its size when it is traced.
        batch = xp.cumsum(xp.ones_like(place[:, :1]), axis=0, dtype="int32") - 1
        sides = tuple(int(size) for size in clips.shape[2:])
        return xp.take(xp.reshape(clips, (-1, *sides)), batch * stored + place, axis=0)


def as_images(clips: Tensor) -> Tensor:
    """Returns clips as images whose channels are those of all frames.

    Args:
        clips: `(batch, frames, height, width, channels)`.

    Returns:
        `(batch, height, width, frames * channels)`.
    """
    xp = namespace(clips)
    frames, height, width, channels = (int(size) for size in clips.shape[1:])
    lying = xp.transpose(clips, (0, 2, 3, 1, 4))
    return xp.reshape(lying, (-1, height, width, frames * channels))


def as_clips(images: Tensor, frames: int) -> Tensor:
    """Returns what `as_images` came from."""
    xp = namespace(images)
    height, width, channels = (int(size) for size in images.shape[1:])
    apart = xp.reshape(images, (-1, height, width, frames, channels // frames))
    return xp.transpose(apart, (0, 3, 1, 2, 4))
