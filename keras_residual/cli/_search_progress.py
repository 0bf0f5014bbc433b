"""Progress of a running search: a live table, or one line per trial without a terminal."""

import time
from dataclasses import dataclass, field

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from keras_residual import tuning
from keras_residual._words import counted
from keras_residual.cli._terminal import console
from keras_residual.cli._units import human_minutes

# Trials in the table, and messages below it.
_TRIALS, _MESSAGES = 12, 3
# Narrower terminals have no room for the recipe.
_WIDE = 110
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass
class _Row:
    """A trial as the table shows it."""

    number: str
    network: str
    recipe: str
    parameters: int
    qualities: list[float] = field(default_factory=list)
    reached: str = ""
    seconds: str = ""


class SearchProgress(tuning.Listener):
    """Shows the search while it runs.

    Args:
        space: The space.
        max_trials: The most trials.
        epochs: Epochs of a trial.
        max_minutes: The most minutes of the search, `None` for no limit.
    """

    def __init__(self, space, max_trials: int, epochs: int, max_minutes: float | None = None):
        self.space, self.max_trials, self.epochs = space, max_trials, epochs
        self.max_minutes = max_minutes
        self.ended = self.ended_before = 0
        self._began = time.monotonic()
        self.best = None
        self._rows, self._lines = [], []
        self._live = Live(
            get_renderable=self._table, console=console, refresh_per_second=2, transient=True
        )

    def __enter__(self):
        if console.is_terminal:
            self._live.start()
            self._refresh()
        return self

    def __exit__(self, *exception) -> None:
        self._live.stop()

    def search_began(self, ended):
        self.ended = self.ended_before = len(ended)
        self._began = time.monotonic()
        completed = [trial for trial in ended if trial.status == "COMPLETED"]
        for trial in completed:
            self._rate(self._value(trial))
            self._rows.append(self._row(trial))
            self._end(self._rows[-1], trial)
        if ended:
            self.message(f"resuming after {counted(len(ended), 'trial')}")

    def trial_began(self, trial):
        self._rows.append(self._row(trial))
        self._refresh()

    def epoch_ended(self, trial, epoch, logs):
        quality = self.space.measure.quality(logs)
        if quality is not None and self._rows:
            row = self._rows[-1]
            row.qualities.append(quality)
            total = trial.hyperparameters.values.get("tuner/epochs", self.epochs)
            row.reached = self.space.measure.text(abs(quality))
            row.seconds = f"{epoch + 1}/{total}"
        self._refresh()

    def trial_ended(self, trial):
        self.ended += 1
        title, text = self.space.measure.title, self.space.measure.text
        if trial.status == "COMPLETED":
            value = self._value(trial)
            seconds = trial.metrics.get_last_value("seconds")
            line = f"trial {trial.trial_id}: {title} {text(value)} in {seconds:.0f} s"
            if trial.metrics.exists("stopped"):
                epoch = trial.metrics.get_last_value("stopped")
                line += f", ended after epoch {epoch:.0f} by its curve"
            if self._rate(value):
                line += ", the best so far"
        else:
            line = f"trial {trial.trial_id} failed: {trial.message}"
        for row in self._rows:
            if row.number == trial.trial_id:
                self._end(row, trial)
        self._tell(line, in_table=trial.status == "COMPLETED")

    def message(self, line):
        self._tell(line)

    def _tell(self, line, in_table=False):
        """Prints a line, or shows it below the table, which has what a completed trial says."""
        if not console.is_terminal:
            console.print(escape(line), soft_wrap=True)
            return
        if not in_table:
            self._lines = [*self._lines, line][-_MESSAGES:]
        self._refresh()

    def _value(self, trial):
        return trial.metrics.get_last_value(f"val_{self.space.measure.metric}")

    def _rate(self, value) -> bool:
        """Returns whether a value is the best so far, and remembers it then."""
        sign = -1 if self.space.measure.is_error else 1
        better = self.best is None or sign * value > sign * self.best
        if better:
            self.best = value
        return better

    def _row(self, trial):
        values = self.space.values(trial.hyperparameters)
        network = self.space.in_words(self.space.options(values))
        recipe = self.space.recipe(values)
        words = f"{recipe.optimizer} {recipe.learning_rate:.2g}, {recipe.schedule}"
        words += f", {recipe.batch_size}"
        parameters = self.space.cost(values, timed=False).parameters
        return _Row(trial.trial_id, network, words, parameters)

    def _end(self, row, trial):
        if trial.status != "COMPLETED":
            row.reached, row.seconds = "failed", ""
            return
        row.reached = self.space.measure.text(self._value(trial))
        row.seconds = f"{trial.metrics.get_last_value('seconds'):.0f} s"

    def _refresh(self):
        if console.is_terminal:
            self._live.refresh()

    def _table(self):
        measure = self.space.measure
        best = "" if self.best is None else f", best {measure.title} {measure.text(self.best)}"
        table = Table(
            title=f"[bold]{self.ended} of at most {counted(self.max_trials, 'trial')}[/]{best}"
            f"{self._remaining()}",
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        is_wide = console.width >= _WIDE
        for heading in ("trial", "network", *(["recipe"] if is_wide else [])):
            table.add_column(heading, overflow="fold", justify="left")
        for heading in ("parameters", "curve", measure.title, "time"):
            table.add_column(
                heading, justify="left" if heading == "curve" else "right", no_wrap=True
            )
        shown = self._rows[-_TRIALS:]
        qualities = [quality for row in shown for quality in row.qualities]
        low, high = min(qualities, default=0.0), max(qualities, default=1.0)
        for row in shown:
            is_best = self.best is not None and row.reached == measure.text(self.best)
            table.add_row(
                row.number,
                escape(row.network),
                *([row.recipe] if is_wide else []),
                f"{row.parameters:,}",
                _blocks(row.qualities, low, high),
                row.reached,
                row.seconds,
                style="bold" if is_best else None,
            )
        grid = Table.grid()
        grid.add_row(table)
        for line in self._lines:
            grid.add_row(f"[dim]{escape(line)}[/]")
        return grid

    def _remaining(self) -> str:
        """Returns how long the search may yet take, as long as its trials have taken so far."""
        spent, ended = time.monotonic() - self._began, self.ended - self.ended_before
        left = [60 * self.max_minutes - spent] if self.max_minutes else []
        if ended:
            left.append(spent / ended * (self.max_trials - self.ended))
        return f", at most {human_minutes(max(0, min(left)))} left" if left else ""


def _blocks(values, low, high) -> str:
    """Returns a learning curve as blocks, such as `▁▄▆▇█`; of many epochs the last."""
    span = max(high - low, 1e-12)
    places = [int((value - low) / span * (len(_BLOCKS) - 1) + 0.5) for value in values[-16:]]
    return "".join(_BLOCKS[place] for place in places)
