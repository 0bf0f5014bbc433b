"""The report on a classifier: metrics per class on the terminal, and pictures of mistakes."""

import importlib.util
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_residual import analysis
from keras_residual.cli import _figures
from keras_residual.cli._table import columns, print_table
from keras_residual.cli._terminal import console, in_one_line
from keras_residual.cli._units import human_seconds

MATRIX, MISTAKES, CURVES = "confusion_matrix.png", "worst_mistakes.png", "learning_curves.png"
# Number of mistakes that are drawn.
_DRAWN = 18
# With more classes the table or matrix is not readable.
_IN_TABLE, _IN_MATRIX = 20, 40
_COLUMNS = columns("Class", "Precision", "Recall", "F1", "Examples")


@dataclass(frozen=True)
class Mistake:
    """A misclassified picture.

    Attributes:
        number: Its index among the pictures.
        image: `(height, width, channels)` in [0, 1].
        label: The true class.
        predicted: The predicted class.
        certainty: The probability of the predicted class.
    """

    number: int
    image: np.ndarray
    label: int
    predicted: int
    certainty: float


@dataclass
class Answers:
    """A classifier's predictions for a dataset.

    Attributes:
        class_names: One name for each class.
        files: The pictures' files, if there are any.
        labels: The true classes.
        predicted: The predicted classes.
        mistakes: The mistakes with the highest confidence, the worst first.
        seconds: Total time of the predictions.
    """

    class_names: Sequence[str]
    files: Sequence[str] = ()
    labels: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, images: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> None:
        """Adds a batch of examples with their class scores."""
        predicted, certainty = scores.argmax(-1), scores.max(-1)
        for row in np.flatnonzero(predicted != labels):
            self.mistakes.append(
                Mistake(
                    len(self.labels) + int(row),
                    images[row],
                    int(labels[row]),
                    int(predicted[row]),
                    float(certainty[row]),
                )
            )
        self.mistakes.sort(key=lambda mistake: -mistake.certainty)
        del self.mistakes[_DRAWN:]
        self.labels += labels.tolist()
        self.predicted += predicted.tolist()

    def mistakes_as_dicts(self) -> list[dict]:
        """Returns the worst mistakes as JSON types."""
        return [
            {
                "picture": str(self.files[m.number]) if len(self.files) else m.number,
                "is": str(self.class_names[m.label]),
                "taken_for": str(self.class_names[m.predicted]),
                "certainty": round(m.certainty, 4),
            }
            for m in self.mistakes
        ]

    def as_dict(self) -> dict:
        """Returns the report and the worst mistakes as JSON types."""
        return {"report": self.report.as_dict(), "mistakes": self.mistakes_as_dicts()}

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.labels)

    @property
    def report(self) -> analysis.ClassificationReport:
        """Precision, recall and the confusion matrix."""
        return analysis.classification_report(self.labels, self.predicted, self.class_names)

    def print_headline(self, batch_size: int) -> None:
        """Prints the accuracy and the time per image."""
        right = int(self.report.confusion.trace())
        console.print(
            f"Held-out accuracy [bold]{right / self.count:.2%}[/] ({right:,} of {self.count:,}), "
            f"{human_seconds(self.seconds / self.count)} an example in batches of {batch_size}",
            soft_wrap=in_one_line(),
        )

    def print_table(self) -> None:
        """Prints precision and recall of each class, and the most frequent mistakes."""
        report = self.report
        rows = list(range(len(report.class_names)))
        if len(rows) > _IN_TABLE:
            order = np.argsort(np.nan_to_num(report.f1, nan=2.0), kind="stable")
            rows = order[:_IN_TABLE].tolist()
            console.print(f"The {_IN_TABLE} classes with the lowest F1:")
        print_table(_COLUMNS, [_row(report, number) for number in rows])
        console.print(f"Macro F1 {report.macro_f1:.2%}")
        for label, predicted, count in report.confusions():
            console.print(
                f"{label} taken for {predicted}: {count} of "
                f"{report.support[_place(report, label)]}",
                markup=False,
                soft_wrap=in_one_line(),
            )

    def draw(self, folder: Path, history: dict | None = None) -> list[str]:
        """Draws the confusion matrix, the worst mistakes and the learning curves.

        Returns:
            The names of the files. Without matplotlib none are drawn, and a line says so.
        """
        if importlib.util.find_spec("matplotlib") is None:
            console.print('Pictures of it need: pip install "keras-residual[plot]"', markup=False)
            return []
        drawn, report = [], self.report
        if len(report.class_names) <= _IN_MATRIX:
            _figures.confusion_matrix(report.confusion, report.class_names, folder / MATRIX)
            drawn.append(MATRIX)
        (folder / MISTAKES).unlink(missing_ok=True)
        # Time series cannot be drawn as pictures.
        if self.mistakes and self.mistakes[0].image.ndim == 3:
            _figures.worst_mistakes(self.mistakes, report.class_names, folder / MISTAKES)
            drawn.append(MISTAKES)
        if history is not None and {"accuracy", "val_accuracy", "val_loss"} <= set(history):
            _figures.learning_curves(history, folder / CURVES)
            drawn.append(CURVES)
        return drawn


def ask(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable,
    class_names: Sequence[str],
    check: Callable[[tuple], None] = lambda shape: None,
    files: Sequence[str] = (),
) -> Answers:
    """Returns a model's predictions for batches of pictures.

    Args:
        predict: The model.
        batches: Batches `(images, labels)` of NumPy arrays.
        class_names: One name for each class.
        check: Called with the shape of each output.
        files: The pictures' files, in the same order.
    """
    answers = Answers(class_names, files)
    for images, labels in batches:
        started = time.perf_counter()
        scores = np.asarray(predict(images))
        answers.seconds += time.perf_counter() - started
        check(scores.shape)
        answers.add(images, labels, scores)
    return answers


def _row(report, number) -> list[str]:
    """Returns the table row of a class; a dash marks a measure without examples."""
    measures = (report.precision, report.recall, report.f1)
    return [
        report.class_names[number],
        *("–" if np.isnan(values[number]) else f"{values[number]:.1%}" for values in measures),
        f"{report.support[number]:,}",
    ]


def _place(report, name):
    return report.class_names.index(name)
