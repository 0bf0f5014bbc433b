"""Runs a training from the command line, with a progress bar and safe interruption."""

from pathlib import Path

import keras

from keras_residual import training
from keras_residual.cli._progress import EpochBar
from keras_residual.cli._terminal import (
    INTERRUPTED,
    bold,
    console,
    fail,
    in_one_line,
    quiet,
    refusing,
)


def run(
    model: keras.Model,
    batches,
    recipe: training.Recipe,
    output: Path,
    resume: bool,
    *,
    epochs: int,
    settings: dict,
    tensorboard: bool,
    again: str,
    loss: str | None = None,
    metric="accuracy",
    **options,
) -> dict[str, list[float]]:
    """Trains, and returns the history of all epochs.

    Args:
        again: The command that resumes an interrupted training.
        loss: As in `training.fit`.
        metric: The metric to show: `"accuracy"`, another of Keras, or a function in decibels.
        **options: More arguments of `training.fit`.
    """
    shown = getattr(metric, "name", None) or getattr(metric, "__name__", metric)
    bar = EpochBar(epochs, batches.steps_per_epoch, shown)
    try:
        with refusing(), quiet():
            return training.fit(
                model,
                batches.data,
                recipe,
                output,
                resume,
                epochs=epochs,
                steps_per_epoch=batches.steps_per_epoch,
                loss=loss,
                metrics=[metric],
                settings=settings,
                tensorboard=tensorboard,
                callbacks=[bar],
                verbose=0,
                **options,
            )
    except FloatingPointError as error:
        fail(error, code=1)
    except KeyboardInterrupt:
        bar.stop()
        _print_how_to_resume(output, epochs, again)
        raise SystemExit(INTERRUPTED) from None
    finally:
        bar.stop()


def _print_how_to_resume(output, epochs, again):
    done = training.finished_epochs(output)
    if done:
        console.print(
            f"\nInterrupted. {output / 'checkpoint.keras'} holds epoch {done} of {epochs}.",
            markup=False,
            soft_wrap=in_one_line(),
        )
    else:
        console.print("\nInterrupted before the first epoch was finished.")
    console.print(f"To resume: {bold(again)}", soft_wrap=True)
