"""Super-resolution of colour and grey pictures by networks for colours or luminance."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_residual import data
from keras_residual.cli import _model_files

_TILE, _PROBE = 192, 16
# An equal change of all three colours changes the luminance by this share of it.
_LUMINANCE_OF_GREY = float(data.luminance(np.ones((1, 1, 3)))[0, 0, 0] - 16 / 255)


class Enlarger:
    """A super-resolution network in a file, applied to pictures.

    Args:
        path: A `.keras` or `.tflite` file, the folder of a SavedModel or that of a training.
        runtime: `"auto"`, `"keras"` or `"litert"`; the last finds `model.tflite` in a folder.
        tile: Side of the windows, `None` for the network's own or 192.
        overlap: Width of a window's border that is discarded where a neighbour covers it.

    Attributes:
        scale: The factor by which it enlarges.

    Raises:
        ValueError: If the file holds no network from images to larger images.
    """

    def __init__(self, path: Path, runtime: str, tile: int | None, overlap: int):
        path = _chosen(path, runtime)
        self._predict, shape = _model_files.load_predictor(path)
        if len(shape) != 3 or shape[-1] not in (1, 3):
            raise ValueError(f"{path} takes inputs of {shape}, not pictures of 1 or 3 channels.")
        *sizes, self._channels = shape
        self._fixed = None not in sizes
        if self._fixed and tile is not None and [tile, tile] != sizes:
            raise ValueError(f"`--tile` must be {sizes[0]}, the size that {path} is made for.")
        self._tile = tuple(sizes) if self._fixed else (tile or _TILE,) * 2
        # The two borders must not fill the window.
        self._overlap = min(overlap, (min(self._tile) - 1) // 2) if tile is None else overlap
        self.scale = self._probed_scale(path, sizes if self._fixed else [_PROBE] * 2)

    def _probed_scale(self, path, sizes):
        output = np.asarray(self._predict(np.zeros((1, *sizes, self._channels), np.float32))).shape
        scale = output[1] // sizes[0] if len(output) == 4 else 0
        if scale < 1 or output[1:] != (sizes[0] * scale, sizes[1] * scale, self._channels):
            raise ValueError(
                f"{path} turns pictures of {(*sizes, self._channels)} into {output[1:]}, which is "
                "no enlargement."
            )
        return scale

    def __call__(self, picture: data.Picture, progress: Callable | None = None) -> data.Picture:
        """Returns the enlarged picture; transparency is enlarged by cubic interpolation."""
        unit = picture.pixels.astype(np.float32) / picture.white
        colours = unit.shape[-1]
        if colours == self._channels:
            enlarged = self._enlarge(unit, progress)
        elif colours == 1:
            enlarged = self._enlarge(unit.repeat(3, -1), progress).mean(-1, keepdims=True)
        else:
            enlarged = self._with_luminance(picture.pixels, unit, progress)
        pixels = np.round(np.clip(enlarged, 0, 1) * picture.white).astype(picture.pixels.dtype)
        alpha = picture.alpha
        if alpha is not None:
            alpha = data.resized(alpha[..., None], *pixels.shape[1::-1])[..., 0]
        return replace(picture, pixels=pixels, alpha=alpha)

    def _enlarge(self, image, progress):
        return data.upscale(
            self._predict,
            image,
            self.scale,
            self._tile,
            self._overlap,
            fixed=self._fixed,
            progress=progress,
        )

    def _with_luminance(self, pixels, unit, progress):
        """Enlarges colours by cubic interpolation and gives them the network's luminance."""
        size = (self.scale * pixels.shape[1], self.scale * pixels.shape[0])
        cubic = data.resized(pixels, *size).astype(np.float32) / 255
        found = self._enlarge(data.luminance(unit).astype(np.float32), progress)
        return cubic + (found - data.luminance(cubic)) / _LUMINANCE_OF_GREY


def _chosen(path: Path, runtime: str) -> Path:
    inside = path / "model.tflite"
    if runtime == "litert" and inside.is_file():
        return inside
    if runtime == "litert" and path.suffix != ".tflite":
        raise ValueError(
            f"`--runtime litert` needs a .tflite file, or a folder with model.tflite. "
            f"Received: {path}"
        )
    if runtime == "keras" and path.suffix == ".tflite":
        raise ValueError(f"`--runtime keras` needs a .keras file. Received: {path}")
    return path
