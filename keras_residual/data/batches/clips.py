"""Sampling frames of clips, and applying image augmentation equally to all frames of a clip."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_residual.data.keyed import DRAWS, namespace, random_integers

Tensor = Any

_FINE = 2**24


@dataclass(frozen=True, eq=False)
class Frames:
    """The sampling of frames from stored clips.

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
        """Takes a segment of each clip: at random in training, else from its middle.

        If a clip is shorter, its last frame is repeated.

        Args:
            clips: `(batch, stored, height, width, channels)`.
            seed: Integer.
            epoch: Integer or int32 scalar tensor.
            index: `(batch,)` integers, the numbers of the clips in their dataset.
            training: Whether the position is drawn by `(seed, epoch, index)`.

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
        # Index in the batch; the batch size of tf.data is unknown when it is traced.
        batch = xp.cumsum(xp.ones_like(place[:, :1]), axis=0, dtype="int32") - 1
        sides = tuple(int(size) for size in clips.shape[2:])
        return xp.take(xp.reshape(clips, (-1, *sides)), batch * stored + place, axis=0)


def as_images(clips: Tensor) -> Tensor:
    """Returns clips as images with the channels of all frames concatenated.

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
    """Inverts `as_images`."""
    xp = namespace(images)
    height, width, channels = (int(size) for size in images.shape[1:])
    apart = xp.reshape(images, (-1, height, width, frames, channels // frames))
    return xp.transpose(apart, (0, 3, 1, 2, 4))
