"""Progress bars on the terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_residual.cli._terminal import console

# How metrics are shown; others have their name and four digits.
_SHOWN = {
    "accuracy": ("accuracy", ".1%"),
    "character_error_rate": ("character error rate", ".1%"),
    "mean_absolute_error": ("mean absolute error", ".4g"),
    "batch_psnr": ("PSNR", ".2f"),
}


def _bar(text: str) -> Progress:
    """Returns a bar that shows counts, their unit and the remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(text),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        disable=not console.is_terminal,
    )


class EpochBar(keras.callbacks.Callback):
    """A bar over all epochs with the latest metrics; without a terminal, a line per epoch.

    Args:
        epochs: Number of epochs.
        steps: Number of batches per epoch.
        metric: Name of the metric to show, such as `"accuracy"`.
    """

    def __init__(self, epochs: int, steps: int, metric: str = "accuracy"):
        super().__init__()
        self.epochs, self.steps, self.metric = epochs, steps, metric
        self.done = 0
        self._bar = _bar("epochs {task.fields[measures]}")
        self._frozen_bar = _bar("images")
        self._task = self._kept = None

    def on_train_begin(self, logs=None):
        # Keras calls this at the start of each phase of a training.
        if self._task is None:
            self._task = self._bar.add_task("Training", total=self.epochs, measures="")
        self._bar.start()

    def on_frozen_images(self, done, total):
        """Shows how many images the frozen layers, whose outputs are cached, have processed."""
        if self._kept is None:
            self._kept = self._frozen_bar.add_task("Frozen layers", total=total)
            self._frozen_bar.start()
        self._frozen_bar.update(self._kept, completed=done, total=total)
        if done == total:
            self._frozen_bar.stop()
            self._kept = None

    def on_epoch_begin(self, epoch, logs=None):
        self.done = epoch
        self._bar.update(self._task, completed=epoch)

    def on_train_batch_end(self, batch, logs=None):
        # An epoch is finished once it has been evaluated and saved.
        part = 0.99 * (batch + 1) / self.steps
        self._bar.update(self._task, completed=self.done + part)

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        # For multi-label models Keras prefixes the name with `binary_`.
        name = self.metric if self.metric in logs else f"binary_{self.metric}"
        measures = self._measures(logs[name], logs[f"val_{name}"])
        self._bar.update(self._task, completed=self.done, measures=measures)
        if not console.is_terminal and (self.done % max(1, self.epochs // 10) == 0):
            console.print(f"epoch {self.done}/{self.epochs}: {measures}", soft_wrap=True)

    def _measures(self, training, held_out):
        name, form = _SHOWN.get(self.metric, (self.metric.replace("_", " "), ".4g"))
        unit = " dB" if name == "PSNR" else ""
        return f"{name} {training:{form}}{unit}, held-out {held_out:{form}}{unit}"

    def stop(self) -> None:
        """Closes the bars, also after an interruption."""
        self._frozen_bar.stop()
        self._bar.stop()


@contextlib.contextmanager
def counting(batches: Any, total: int) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Yields the batches of a dataset as NumPy arrays, and shows how many examples are done."""
    with _bar_of_things("Evaluating", "examples", shown=True) as progress:

        def counted():
            done = 0
            for batch in batches.as_numpy_iterator():
                yield batch
                done += len(batch[0])
                progress(done, total)

        yield counted()


def window_bar() -> contextlib.AbstractContextManager[Callable[[int, int], None]]:
    """Returns the bar for enlarging a picture window by window."""
    return _bar_of_things("Enlarging", "windows", shown=True)


def picture_bar(
    shown: bool, verb: str = "Looking"
) -> contextlib.AbstractContextManager[Callable[[int, int], None]]:
    """Returns the bar for predicting or explaining pictures one after the other."""
    return _bar_of_things(verb, "pictures", shown=shown)


@contextlib.contextmanager
def _bar_of_things(verb: str, things: str, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Yields a function that advances a bar to the number of finished things out of all."""
    columns = (TextColumn(verb), BarColumn(24), MofNCompleteColumn(), TextColumn(things))
    hidden = not (shown and console.is_terminal)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=hidden, transient=True
    ) as bar:
        task = bar.add_task("")
        yield lambda done, total: bar.update(task, completed=done, total=total)
