"""Predictions: a model's outputs with the names of its classes, as text, JSON and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._description import Description
from keras_residual._files import write_text

_PROBABLE = 0.5
# The sum of quantized 8-bit probabilities is off 1 by a few quantization steps.
_SUM_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for one picture, clip or recording.

    Attributes:
        path: The picture.
        task: `"classification"`, `"multilabel"` or `"regression"`.
        answers: `(name, value)` pairs: of a classification the most probable classes with their
            probabilities, best first; of a multi-label model the labels with a probability of at
            least one half; of a regression each number.
        values: All outputs: probabilities, or numbers.
        start: For a recording that was split into pieces, the second at which the piece begins.
    """

    path: str
    task: str
    answers: tuple[tuple[str, float], ...]
    values: np.ndarray
    start: float | None = None

    def __str__(self) -> str:
        where = self.path if self.start is None else f"{self.path}, {self.start:g} s"
        if not self.answers:
            return f"{where}: no label"
        shown = (
            f"{name} {value:.4g}" if self.task == "regression" else f"{name} {value:.1%}"
            for name, value in self.answers
        )
        return f"{where}: {', '.join(shown)}"


def predictions(
    paths: Sequence[str], outputs: np.ndarray, description: Description, top: int
) -> list[Prediction]:
    """Returns one prediction for each row of a model's outputs."""
    task = description.task
    if outputs.ndim != 2 or task not in ("classification", "multilabel", "regression"):
        raise ValueError(
            "`model` must classify, label or measure whole pictures. Received: a model for "
            f"{task} with outputs of shape {outputs.shape[1:]}"
        )
    names = description.class_names or tuple(str(i) for i in range(outputs.shape[1]))
    if task == "classification" and outputs.shape[1] == 1 and len(names) in (1, 2):
        outputs = np.concatenate([1 - _sigmoid(outputs), _sigmoid(outputs)], axis=1)
        names = names if len(names) == 2 else ("0", "1")
    if len(names) != outputs.shape[1]:
        raise ValueError(
            f"`class_names` must be as many as the model's outputs, {outputs.shape[1]}. "
            f"Received: {len(names)} names"
        )
    values = {"classification": _softmax, "multilabel": _sigmoid}.get(task, np.asarray)(outputs)
    return [
        Prediction(str(path), task, _named(row, names, task, top), row)
        for path, row in zip(paths, values, strict=True)
    ]


def _named(row, names, task, top):
    if task == "classification":
        chosen = np.argsort(-row, kind="stable")[:top]
    elif task == "multilabel":
        chosen = [index for index in np.argsort(-row, kind="stable") if row[index] >= _PROBABLE]
    else:
        chosen = range(len(row))
    return tuple((names[index], float(row[index])) for index in chosen)


def _softmax(outputs):
    """Returns probabilities; outputs that are some already stay."""
    outputs = outputs.astype("float64")
    if (outputs >= 0).all() and np.abs(outputs.sum(axis=1) - 1).max() < _SUM_TOLERANCE:
        return outputs
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _sigmoid(outputs):
    """Returns probabilities; outputs that are some already stay."""
    outputs = outputs.astype("float64")
    if outputs.min() >= 0 and outputs.max() <= 1:
        return outputs
    return 1 / (1 + np.exp(-outputs))


def write_predictions(path: Path, answers: Sequence[Prediction]) -> None:
    """Writes predictions atomically, as CSV or JSON by the suffix of `path`.

    Raises:
        ValueError: If the suffix is another.
    """
    path = Path(path)
    _checks.choice("output", path.suffix, (".csv", ".json"))
    write_text(path, _as_csv(answers) if path.suffix == ".csv" else _as_json(answers))


def as_rows(answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Returns predictions as plain dictionaries."""
    return [
        {
            "picture": answer.path,
            **({} if answer.start is None else {"start": answer.start}),
            "answers": [{"name": name, "value": value} for name, value in answer.answers],
        }
        for answer in answers
    ]


def _as_json(answers):
    return json.dumps(as_rows(answers), ensure_ascii=False, indent=2) + "\n"


def _as_csv(answers):
    most = max((len(answer.answers) for answer in answers), default=0)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    places = range(1, most + 1)
    writer.writerow(["picture", *(f"{kind}{k}" for k in places for kind in ("name", "value"))])
    for answer in answers:
        pairs = [cell for name, value in answer.answers for cell in (name, f"{value:.6g}")]
        writer.writerow([answer.path, *pairs, *[""] * (2 * most - len(pairs))])
    return file.getvalue()
