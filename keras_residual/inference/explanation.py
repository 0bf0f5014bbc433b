"""Grad-CAM heat maps drawn over the pictures that a model classified."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_residual._files import replacing
from keras_residual.analysis import grad_cam
from keras_residual.data import read_picture
from keras_residual.data.pictures.files import pillow
from keras_residual.inference.answers import Prediction
from keras_residual.inference.predictor import Predictor

# A perceptual colour scale from black through red to yellow.
_SCALE = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], "float32"
)
_OPACITY = 0.6
_SIDE = 448
# Pictures that one call of the compiled function processes; more would exhaust the memory.
_AT_ONCE = 32


def explain(
    predictor: Predictor,
    answers: list[Prediction],
    folder: Path,
    layer: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Writes each picture with a heat map of the evidence for its top prediction, as PNG.

    Args:
        predictor: The model that made the predictions, a Keras model.
        answers: What `predict` returned.
        folder: Where to write; `dog.jpg` becomes `dog.png`, and equal names are numbered.
        layer: As in `analysis.grad_cam`.
        progress: Called after each picture with the number of finished pictures and of all.

    Returns:
        The files, in the order of the answers.

    Raises:
        ValueError: If the model is an exported file, which has no gradients, or takes clips.
    """
    if predictor.takes_clips:
        raise ValueError(
            f"An explanation is drawn on a picture. Received: {predictor.name}, which takes clips"
        )
    if predictor.model is None:
        raise ValueError(
            f"An explanation needs a Keras model: of the exported file {predictor.name} no "
            "gradient is known. Give the .keras file that it was exported from."
        )
    written: list[Path] = []
    for start in range(0, len(answers), _AT_ONCE):
        part = answers[start : start + _AT_ONCE]
        fitted = [predictor.fitted(read_picture(answer.path)) for answer in part]
        classes = [_explained(predictor, answer) for answer in part]
        heats = grad_cam(predictor.model, predictor.inputs(fitted), classes, layer)
        for answer, pixels, heat in zip(part, fitted, heats, strict=True):
            path = _free(folder, Path(answer.path).stem, written)
            written.append(path)
            _write(path, overlay(pixels, heat), _title(answer))
            if progress is not None:
                progress(len(written), len(answers))
    return written


def _explained(predictor, answer):
    """Returns the index of the output to explain: the top class, or the only output."""
    return int(answer.values.argmax()) if predictor.model.output_shape[-1] > 1 else 0


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Returns a picture blended with a heat map.

    Args:
        pixels: `(height, width, 3)`, 0…255.
        heat: `(height, width)` in [0, 1].

    Returns:
        `(height, width, 3)` uint8.
    """
    position = np.clip(heat, 0, 1) * (len(_SCALE) - 1)
    low = np.minimum(position.astype(int), len(_SCALE) - 2)
    share = (position - low)[..., None]
    colours = _SCALE[low] * (1 - share) + _SCALE[low + 1] * share
    opacity = _OPACITY * np.clip(heat, 0, 1)[..., None]
    grey = pixels.mean(axis=-1, keepdims=True) * 0.5 + pixels * 0.5
    return np.rint(np.clip(grey * (1 - opacity) + colours * opacity, 0, 255)).astype("uint8")


def _title(answer):
    name, value = answer.answers[0] if answer.answers else ("no label", float("nan"))
    return f"{name} {value:.4g}" if answer.task == "regression" else f"{name} {value:.1%}"


def _free(folder, stem, taken):
    path, number = folder / f"{stem}.png", 1
    while path in taken:
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path


def _write(path, pixels, title):
    image_module, _ = pillow()
    from PIL import ImageDraw, ImageFont

    picture = image_module.fromarray(pixels)
    factor = max(1, round(_SIDE / max(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor))
    strip = max(18, picture.height // 14)
    sheet = image_module.new("RGB", (picture.width, picture.height + strip), "white")
    sheet.paste(picture, (0, strip))
    font = ImageFont.load_default(size=round(strip * 0.7))
    ImageDraw.Draw(sheet).text((4, strip // 2), title, fill="black", anchor="lm", font=font)
    with replacing(path) as partial:
        sheet.save(partial)
