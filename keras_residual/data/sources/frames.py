"""The number of frames to take of each clip."""

from collections.abc import Collection
from dataclasses import replace

from keras_residual.data.errors import DatasetError
from keras_residual.data.sources.options import Options

_USUAL_FRAMES = 16


def with_frames(options: Options, lengths: Collection[int], where: str) -> Options:
    """Returns the options with the number of frames to take of each clip.

    Args:
        options: The loading options.
        lengths: Frames of each clip.
        where: Name of the clips in error messages.

    Raises:
        DatasetError: If a clip has fewer frames than are taken.
    """
    shortest = min(lengths)
    message = too_short(shortest, options)
    if message:
        raise DatasetError(f"{where}: {message}")
    most = (shortest - 1) // options.stride + 1
    return replace(options, frames=options.frames or min(_USUAL_FRAMES, most))


def too_short(length: int, options: Options) -> str:
    """Returns an error message for a clip of that length, `""` if it is long enough."""
    frames, stride = options.frames or 2, options.stride
    needed = (frames - 1) * stride + 1
    if length >= needed:
        return ""
    if options.frames is None and length == 1:
        return "a clip of 1 frame is a picture; clips need at least 2."
    return (
        f"a clip of {length} frame{'s' if length > 1 else ''} is too short: frames={frames} with "
        f"stride={stride} take {needed}. Ask for fewer."
    )
