"""Checks that a model leaves enough steps for the transcripts of a dataset."""

from typing import Any

import keras
import numpy as np

# Number of recordings to check, those with the least room.
_ASKED = 4


def check_transcripts_fit(model: keras.Model, dataset: Any) -> None:
    """Raises if the model reduces a recording to fewer steps than its transcript needs.

    CTC needs a step for each character, and one more between equal neighbours.

    Args:
        model: A model from `(batch, samples, ...)` to `(batch, steps, units)`.
        dataset: A dataset of `data.load` with transcripts.

    Raises:
        ValueError: If a transcript does not fit, naming the recording and both numbers.
    """
    for part, split in {"training": dataset.train, "held-out": dataset.test}.items():
        y, total = split.y, split.image_shape[0]
        lengths = np.full(len(y), total) if split.lengths is None else split.lengths
        equal = (y[:, 1:] == y[:, :-1]) & (y[:, 1:] >= 0)
        needed = (y >= 0).sum(axis=1) + equal.sum(axis=1)
        steps_of_all = _steps(model, total, split.image_shape)
        slack = lengths * steps_of_all / total - needed
        for index in np.argsort(slack, kind="stable")[:_ASKED].tolist():
            steps = _steps(model, int(lengths[index]), split.image_shape)
            if steps < needed[index]:
                raise ValueError(
                    f"`model` must leave a step for each character and one between equal ones: "
                    f"{part} recording {index} of {dataset.name} needs {needed[index]} steps, and "
                    f"{lengths[index]:,} samples become {steps}. A smaller stride helps, or "
                    "leaving such recordings out."
                )


def _steps(model, length, shape) -> int:
    return model.compute_output_shape((1, length, *shape[1:]))[1]
