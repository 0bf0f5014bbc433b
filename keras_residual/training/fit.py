"""Training that goes on where it was interrupted."""

import csv
import io
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import keras

from keras_residual import _checks
from keras_residual._files import replacing, write_text
from keras_residual.training import checkpoint
from keras_residual.training.recipe import Recipe, find_recipe

CHECKPOINT, LOG, MODEL = "checkpoint.keras", "log.csv", "model.keras"


def fit(
    model: keras.Model,
    data: tuple,
    recipe: Recipe | str = "quick",
    output: str | os.PathLike = "runs/train",
    resume: bool = True,
    *,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    loss: str | Callable | None = None,
    metrics: Sequence = ("accuracy",),
    settings: Mapping | None = None,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> dict[str, list[float]]:
    """Trains a model by a recipe, so that it can be interrupted at any moment.

    After each epoch `output` holds `checkpoint.keras`, which is the model and its optimizer for
    Keras and also says how far the training is, and `log.csv`. Both are replaced as a whole: killed
    at any moment, the same call goes on after the last finished epoch, as if nothing had happened
    provided that `data` repeats itself. After the last epoch it also holds `model.keras`, the model
    without its optimizer.

    Args:
        model: The model. It is compiled here and holds the last weights afterwards.
        data: `(train, validation)`, batches as `model.fit` takes them; validation may be `None`.
            `train` may be a function from the number of an epoch, from 0, to the batches of that
            epoch and all that follow: then a resumed training sees what the uninterrupted would.
        recipe: A `Recipe` or the name of one of `recipes`.
        output: The folder to write to.
        resume: Whether to go on with what `output` holds. Otherwise it is removed.
        epochs: Positive integer. Defaults to the recipe's. A finished training goes on if it is
            raised.
        steps_per_epoch: Positive integer, needed if `train` has no length.
        loss: Loss of the model. Defaults to cross-entropy against integer labels.
        metrics: Metrics of the model.
        settings: What else identifies the training, such as its seed and the name of its data, as
            JSON knows it. A training is resumed only with the same.
        tensorboard: Whether to write a log for TensorBoard to `output/tensorboard`.
        callbacks: More callbacks.
        verbose: As in `model.fit`.

    Returns:
        The value of each metric after each epoch, the epochs before an interruption included.

    Raises:
        CheckpointError: If `output` holds a damaged checkpoint or that of another training.
        FloatingPointError: If the loss is no longer a number; the last good checkpoint is kept.

    Example:

    >>> dataset = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> history = fit(model, (lambda epoch: keras_residual.data.pipeline(
    ...     dataset.train, training=True, epoch=epoch, repeat=True
    ... ), keras_residual.data.pipeline(dataset.test)), steps_per_epoch=12)  # doctest: +SKIP
    """
    recipe = find_recipe(recipe)
    epochs = recipe.epochs if epochs is None else _checks.integer("epochs", epochs)
    train, validation = _checked_data(data)
    steps = _steps(train, steps_per_epoch)
    output = Path(output)
    identity = {
        **_plain(recipe),
        "model": model.name,
        "steps_per_epoch": steps,
        **(settings or {}),
    }
    model.compile(
        recipe.make_optimizer(steps * epochs), loss or _loss(model), metrics=list(metrics)
    )
    progress = _start(model, output, identity, resume)
    done = len(progress.rows)
    if done < epochs:
        model.fit(
            train(done) if callable(train) else train,
            validation_data=validation,
            initial_epoch=done,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            callbacks=[
                _EndOfEpoch(output, progress),
                *([_tensorboard(output)] if tensorboard else []),
                *callbacks,
            ],
            verbose=verbose,
        )
    with replacing(output / MODEL) as partial:
        # A model of the same layers that has not been compiled has no optimizer to save.
        keras.Model(model.inputs, model.outputs, name=model.name).save(partial)
    names = [name for name in _columns(progress.rows) if name != "epoch"]
    return {name: [row.get(name, math.nan) for row in progress.rows] for name in names}


def finished_epochs(output: str | os.PathLike) -> int:
    """Returns how many epochs the checkpoint of a training in `output` has behind it.

    Args:
        output: The folder given to `fit`.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    path = Path(output) / CHECKPOINT
    return len(checkpoint.read_progress(path).rows) if path.exists() else 0


def _checked_data(data):
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`data` must be (train, validation), batches or a function from the number of an epoch "
            f"to batches; validation may be None. Received: data={data!r}"
        )
    return data


def _steps(train: Iterable | Callable, steps_per_epoch: int | None) -> int:
    if steps_per_epoch is not None:
        return _checks.integer("steps_per_epoch", steps_per_epoch)
    try:
        return len(train)
    except TypeError as error:
        raise ValueError(
            "`steps_per_epoch` must be given for training data without a length."
        ) from error


def _loss(model):
    activation = getattr(model.layers[-1], "activation", None)
    logits = activation is not keras.activations.softmax
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _plain(recipe: Recipe) -> dict:
    """The recipe as JSON reads it back, without what a training may change when it goes on."""
    settings = asdict(recipe)
    del settings["epochs"], settings["batch_size"]
    return {**settings, "drops": list(recipe.drops)}


def _start(model, output, settings, resume) -> checkpoint.Progress:
    """Returns the progress of the training in `output`, with the model brought to its state."""
    path = output / CHECKPOINT
    if not resume or not path.exists():
        output.mkdir(parents=True, exist_ok=True)
        for name in (CHECKPOINT, LOG, MODEL):
            (output / name).unlink(missing_ok=True)
        return checkpoint.Progress(settings)
    progress = checkpoint.read_progress(path)
    other = [key for key in settings if progress.settings.get(key) != settings[key]]
    if other:
        differences = ", ".join(
            f"{key}={progress.settings.get(key)!r} (now {settings[key]!r})" for key in other
        )
        raise checkpoint.CheckpointError(
            f"{output} holds a training with {differences}. Choose another output, or "
            "start anew, without resuming."
        )
    checkpoint.restore(path, model, progress)
    return progress


def _tensorboard(output):
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'TensorBoard logs need: pip install "keras-residual[tensorboard]"'
        ) from error
    return keras.callbacks.TensorBoard(output / "tensorboard")


class _EndOfEpoch(keras.callbacks.Callback):
    """Writes the log and the checkpoint."""

    def __init__(self, output: Path, progress: checkpoint.Progress):
        super().__init__()
        self.output, self.progress = output, progress

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(values["loss"]):
            raise FloatingPointError(
                f"The loss became {values['loss']} in epoch {epoch + 1}. {self.output / CHECKPOINT}"
                " holds the epoch before, if there was one. A lower learning rate may help."
            )
        self.progress.rows.append(
            {
                "epoch": epoch + 1,
                **values,
                "learning_rate": float(keras.ops.convert_to_numpy(self._rate())),
                "seconds": round(time.perf_counter() - self.began, 3),
            }
        )
        # The checkpoint holds the log too, so that a log one row ahead is cut when resumed.
        write_text(self.output / LOG, _csv(self.progress.rows))
        checkpoint.save(self.output / CHECKPOINT, self.model, self.progress)

    def _rate(self):
        return self.model.optimizer.learning_rate


def _columns(rows: list[dict]) -> list[str]:
    """The names in all rows: a resumed training may have got validation data."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
