"""The result of a search, as data, as a table and as files."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras_tuner.engine.trial import TrialStatus

from keras_residual import _checks
from keras_residual._files import write_text
from keras_residual._words import counted
from keras_residual.training import Recipe
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.measure import Measure
from keras_residual.tuning.recipe_knobs import recipe_in_words
from keras_residual.tuning.trials_file import trials_csv

BEST, TRIALS = "best.json", "trials.csv"


@dataclass(frozen=True)
class TrialRow:
    """One trial of a search.

    Attributes:
        trial: Number of the trial, as text.
        status: `"COMPLETED"`, `"FAILED"`, or Keras Tuner's status of a trial in progress.
        metrics: The metrics of its last epoch.
        values: The values of its knobs.
        cost: Cost of the network, `None` if the trial's file was damaged or latency is unknown.
        reason: Why the trial failed.
        curve: The quality after each epoch, larger is better: the accuracy, or the negative error.
    """

    trial: str
    status: str
    metrics: dict[str, float]
    values: dict[str, Any]
    cost: Cost | None
    reason: str = ""
    curve: tuple[float, ...] = dataclasses.field(default=(), compare=False)

    @property
    def accuracy(self) -> float:
        """Accuracy on the held-out examples; with several labels each, the share of right labels.

        Raises:
            KeyError: If the labels are numbers; `SearchResult.value` returns the error instead.
        """
        several = self.metrics.get("val_binary_accuracy")
        return self.metrics["val_accuracy"] if several is None else several


def rows_of(oracle, hypermodel: HyperNetwork) -> tuple[TrialRow, ...]:
    """Returns the trials of an oracle, in their order."""
    return tuple(
        dataclasses.replace(_row(trial, hypermodel), curve=oracle.curves.of(trial.trial_id))
        for trial in in_order(oracle)
    )


def in_order(oracle):
    """Returns the trials by number, as ids of different lengths would sort wrongly as text."""
    return [oracle.trials[trial_id] for trial_id in sorted(oracle.trials, key=int)]


def _row(trial, hypermodel):
    values = {
        name: value
        for name, value in trial.hyperparameters.values.items()
        if not name.startswith("tuner/")
    }
    metrics = {name: float(trial.metrics.get_last_value(name)) for name in trial.metrics.metrics}
    cost = None
    if values or not hypermodel.knobs:
        with contextlib.suppress(ValueError):
            cost = hypermodel.cost(values)
    return TrialRow(trial.trial_id, trial.status, metrics, values, cost, trial.message or "")


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Attributes:
        hypermodel: The space.
        rows: All trials.
        output: The folder of the search.
        epochs: The epochs of a trial.
        rejected: Number of points rejected before training, over budget or impossible.
        settings: The settings that identify the search.
        retrained: Metrics of the best network trained from scratch, if it had inherited weights.
    """

    hypermodel: HyperNetwork
    rows: tuple[TrialRow, ...]
    output: Path
    epochs: int
    rejected: int
    settings: dict[str, Any]
    retrained: dict[str, float] | None = None

    @property
    def completed(self) -> list[TrialRow]:
        """The completed trials, the best first."""
        completed = [row for row in self.rows if row.status == TrialStatus.COMPLETED]
        return sorted(completed, key=lambda row: -row.metrics["score"])

    @property
    def failed(self) -> list[TrialRow]:
        return [row for row in self.rows if row.status == TrialStatus.FAILED]

    @property
    def best(self) -> TrialRow:
        """The best trial.

        Raises:
            ValueError: If no trial completed.
        """
        if not self.completed:
            raise ValueError(f"No trial of {self.output} completed.")
        return self.completed[0]

    @property
    def measure(self) -> Measure:
        """The metric that networks are compared by."""
        return self.hypermodel.measure

    def value(self, row: TrialRow) -> float:
        """Returns the accuracy or the error of a completed trial on the held-out examples."""
        return self.measure.value(row.metrics)

    def in_words(self, row: TrialRow) -> str:
        """Returns the network of a trial in a few words."""
        return self.hypermodel.in_words(self._options(row))

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs in the objective; without any, those in the budget, or multiply–accumulates."""
        objective = self.settings.get("objective", ())
        traded = tuple(name for name in objective if name != self.measure.metric)
        bounds = dataclasses.asdict(self.hypermodel.budget).items()
        bounded = tuple(name.removeprefix("max_") for name, most in bounds if most is not None)
        return traded or bounded or ("macs",)

    def pareto(self, *costs: str) -> list[TrialRow]:
        """Returns the Pareto front of accuracy and costs, sorted by the first cost.

        Args:
            *costs: Some of `"parameters"`, `"macs"`, `"file_size"` and `"latency_ms"`. Defaults to
                `costs`.
        """
        names = [field.name for field in dataclasses.fields(Cost)]
        costs = tuple(_checks.choice("costs", cost, names) for cost in costs) or self.costs
        points = {}
        for row in self.completed:
            used = tuple(getattr(row.cost, name) for name in costs)
            if None not in used:
                # Of trials with equal costs and quality, the first is reported.
                points.setdefault((*used, -self.measure.quality(row.metrics)), row)
        return [row for point, row in sorted(points.items()) if not _beaten(point, points)]

    def network(self, row: TrialRow | None = None) -> keras.Model:
        """Returns the untrained network of a trial, by default the best."""
        return self.hypermodel.network(self._options(row or self.best))

    def recipe(self, row: TrialRow | None = None) -> Recipe:
        """Returns the `training.Recipe` of a trial, by default the best."""
        recipe = self.hypermodel.recipe(self.hypermodel.values((row or self.best).values))
        return dataclasses.replace(recipe, epochs=self.epochs)

    def _options(self, row):
        return self.hypermodel.options(self.hypermodel.values(row.values))

    def as_dict(self, row: TrialRow | None = None) -> dict[str, Any]:
        """Returns a trial, by default the best, in the form of `best.json`."""
        row = row or self.best
        return {
            "model": self.hypermodel.builder,
            "input_shape": self.hypermodel.input_shape,
            "classes": self.hypermodel.classes,
            "options": self._options(row),
            "recipe": dataclasses.asdict(self.recipe(row)),
            "metrics": row.metrics,
            **({"retrained": self.retrained} if self.retrained and row is self.best else {}),
            "cost": dataclasses.asdict(row.cost),
            "trial": row.trial,
            "knobs": row.values,
        }

    def report(self, pictures: bool = True, dataset: str = "DATASET") -> list[Path]:
        """Writes `best.json`, `trials.csv`, `report.html` and the pictures.

        Args:
            pictures: Whether to draw the pictures. Defaults to `True`.
            dataset: What the page's command trains on, as `keras-residual train` takes it. Defaults
                to the placeholder `"DATASET"`.

        Returns:
            The files, the most important first.
        """
        from keras_residual.tuning import page
        from keras_residual.tuning import pictures as drawing

        write_text(self.output / TRIALS, trials_csv(self))
        files = [self.output / TRIALS]
        if self.completed:
            write_text(self.output / BEST, json.dumps(self.as_dict(), indent=2) + "\n")
            drawn = drawing.draw(self) if pictures else []
            files = [self.output / BEST, *files, page.write(self, drawn, dataset), *drawn]
        return files

    def table(self, count: int = 10) -> list[list[str]]:
        """Returns the best trials as rows of text, headings first."""
        costs = [("parameters", "parameters"), ("macs", "MACs"), ("file_size", "int8 bytes")]
        measured = any(row.cost.latency_ms is not None for row in self.completed)
        costs += [("latency_ms", "ms")] if measured else []
        shown, titles = self.completed[:count], [title for _, title in costs]
        heading, words = "network", {row.trial: self.in_words(row) for row in shown}
        if len(set(words.values())) < len(shown):
            # Of equal networks the recipes differ.
            heading = "network; recipe"
            for row in shown:
                words[row.trial] += f"; {recipe_in_words(self.recipe(row))}"
        lines = [["trial", self.measure.title, *titles, "seconds", heading]]
        for row in shown:
            numbers = [_number(getattr(row.cost, name)) for name, _ in costs]
            seconds = f"{row.metrics['seconds']:.1f}"
            value = self.measure.text(self.value(row))
            lines.append([row.trial, value, *numbers, seconds, words[row.trial]])
        return lines

    def __str__(self) -> str:
        lines = self.table()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = "\n".join(_aligned(line, widths) for line in lines)
        return "\n".join([text, *self.remarks()])

    def remarks(self) -> list[str]:
        """Returns the remarks below the table, one per line."""
        lines = [
            f"{counted(len(self.completed), 'trial')} completed, {len(self.failed)} failed, "
            f"{counted(self.rejected, 'point')} outside the budget or impossible"
        ]
        if self.completed:
            front = [row.trial for row in self.pareto()]
            trials = f"{'trial' if len(front) == 1 else 'trials'} {', '.join(front)}"
            if self.retrained is not None:
                text, title = self.measure.text, self.measure.title
                from_scratch = text(self.measure.value(self.retrained))
                lines.append(
                    f"The best, trial {self.best.trial}, has {title} {text(self.value(self.best))} "
                    f"with inherited weights and {from_scratch} trained from scratch for "
                    f"{counted(self.epochs, 'epoch')}"
                )
            if ended := [row.trial for row in self.completed if "stopped" in row.metrics]:
                lines.append(f"Ended early by their learning curves: {len(ended)}")
            costs = ", ".join(self.costs)
            lines.append(f"Pareto front of {self.measure.title} and {costs}: {trials}")
        return lines


def _beaten(point, points) -> bool:
    """Returns whether another point is at least as small in every coordinate."""
    return any(
        other != point and all(a <= b for a, b in zip(other, point, strict=True))
        for other in points
    )


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(line[:-1], widths, strict=False)]
    return "  ".join([*cells, line[-1]])


def _number(value):
    return "" if value is None else f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
