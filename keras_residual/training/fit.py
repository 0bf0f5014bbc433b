"""Training that goes on where it was interrupted."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual.training import resume as resuming
from keras_residual.training.averaging import AveragedWeights
from keras_residual.training.inputs import Inputs, number_of_steps, read
from keras_residual.training.journal import MODEL, Journal, columns
from keras_residual.training.loop import fit_in_step
from keras_residual.training.losses import Accuracy
from keras_residual.training.objective import accuracy_of, mixes, objective
from keras_residual.training.recipe import Recipe
from keras_residual.training.recipes import find_recipe
from keras_residual.training.replicas import is_chief, scope_of, statistics_over_all
from keras_residual.training.steps import makes_batches_in_step


def fit(
    model: keras.Model,
    data: object,
    recipe: Recipe | str = "quick",
    output: str | os.PathLike = "runs/train",
    resume: bool = True,
    *,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    loss: str | Callable | None = None,
    metrics: Sequence | None = None,
    seed: int = 0,
    settings: Mapping | None = None,
    checkpoint_seconds: float | None = None,
    steps_per_call: int | None = None,
    jit_compile: bool | str = "auto",
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> dict[str, list[float]]:
    """Trains a model by a recipe, so that it can be interrupted at any moment.

    `output` gets `checkpoint.keras`, which is the model and its optimizer for Keras and also says
    how far the training is, `checkpoint.previous.keras`, the one before, and `log.csv`. Each is
    replaced as a whole: killed at any moment, the same call goes on after the last saved epoch, as
    if nothing had happened provided that `data` repeats itself. After the last epoch it also holds
    `model.keras`, the model without its optimizer and with averaged weights if the recipe averages.

    Batches of `data.in_step` are made inside the compiled step, many steps a call; under
    `keras.distribution.DataParallel` or in a model made under `tf.distribute`, each device takes
    its share of a batch. Other batches go through `model.fit`.

    Args:
        model: The model. It is compiled here and holds the last weights afterwards.
        data: A dataset of `data.load`, arrays `(x, y)`, or `(train, validation)`: each arrays
            `(x, y)`, as `data.in_step` returns it, or batches as `model.fit` takes them; validation
            may be `None`. `train` may be a function from the number of an epoch, from 0, to the
            batches of that epoch and all that follow: then a resumed training sees what the
            uninterrupted would. Images of a dataset are brought to the size that the model takes.
            What a recipe says of images acts on a dataset only.
        recipe: A `Recipe` or the name of one of `recipes`.
        output: The folder to write to.
        resume: Whether to go on with what `output` holds. Otherwise it is removed.
        epochs: Positive integer. Defaults to the recipe's. A finished training goes on if it is
            raised.
        steps_per_epoch: Positive integer, needed if `train` has no length.
        loss: Loss of the model. Defaults to the one that follows from its output, the labels and
            the recipe, see `objective`.
        metrics: Metrics of the model. Default to those that go with the loss.
        seed: Non-negative integer, decides order and augmentation of a dataset.
        settings: What else identifies the training, such as its seed and the name of its data, as
            JSON knows it. A training is resumed only with the same.
        checkpoint_seconds: Least time between two checkpoints. Defaults to what lets them take 3 %
            of the time, at most a minute; `0` for one after each epoch.
        steps_per_call: Steps in one call where batches are made in the step. Defaults to an eighth
            of an epoch.
        jit_compile: Whether the step is compiled by XLA, as in `model.compile`.
        tensorboard: Whether to write a log for TensorBoard to `output/tensorboard`.
        callbacks: More callbacks.
        verbose: As in `model.fit`.

    Returns:
        The value of each metric after each epoch, the epochs before an interruption included.

    Raises:
        CheckpointError: If `output` holds a damaged checkpoint or that of another training.
        FloatingPointError: If the loss becomes NaN or infinite; the last good checkpoint is kept.
        ValueError: If an argument is none of the accepted, or no loss follows from the labels.

    Example:

    >>> dataset = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> history = fit(model, dataset, "quick", "runs/digits")  # doctest: +SKIP
    """
    recipe = find_recipe(recipe)
    epochs = recipe.epochs if epochs is None else _checks.integer("epochs", epochs)
    inputs = read(model, data, recipe, seed)
    steps = number_of_steps(inputs.train, steps_per_epoch)
    output = Path(output)
    settings = {**inputs.settings, **(settings or {})}
    identity = {**recipe.identity(), "model": model.name, "steps_per_epoch": steps, **settings}
    with scope_of(model):
        loss, metrics = _loss_and_metrics(model, inputs, recipe, loss, metrics)
        model.compile(
            recipe.make_optimizer(steps * epochs), loss, metrics=metrics, jit_compile=jit_compile
        )
        # Made inside the first step, its variables have the step traced a second time.
        model.optimizer.build(model.trainable_variables)
        progress = resuming.start(model, output, identity, resume)
    journal = Journal(output, progress, checkpoint_seconds, is_chief(model))
    average = AveragedWeights(inputs.train) if recipe.ema else None
    callbacks = [
        *([average] if average else []),
        *([_tensorboard(output)] if tensorboard else []),
        *callbacks,
        journal,
    ]
    if len(progress.rows) < epochs:
        _train(
            model,
            (inputs.train, inputs.validation),
            (len(progress.rows), epochs, steps),
            callbacks,
            verbose,
            steps_per_call,
        )
    if average:
        average.set_model(model)
        average.put_in_place()
    if journal.writes:
        _save_without_optimizer(model, output / MODEL)
    names = [name for name in columns(progress.rows) if name != "epoch"]
    return {name: [row.get(name, math.nan) for row in progress.rows] for name in names}


def _loss_and_metrics(model, inputs: Inputs, recipe, loss, metrics) -> tuple:
    """Returns what was asked for, and what follows from the labels where nothing was."""
    if loss is None:
        chosen = objective(model, inputs.kind_of_labels(model), recipe)
        if metrics is None:
            return chosen.loss, list(chosen.metrics)
        return chosen.loss, _with_accuracy(metrics, lambda: accuracy_of(chosen))
    if metrics is None:
        try:
            metrics = objective(model, inputs.kind_of_labels(model), recipe).metrics
        except ValueError:
            # A loss of the user's own may go with labels of which nothing is known here.
            metrics = ()
    return loss, _with_accuracy(metrics, Accuracy) if mixes(recipe) else metrics


def _with_accuracy(metrics, make: Callable):
    """Puts a metric in the place of the word, which Keras reads by shapes alone."""
    if not isinstance(metrics, (list, tuple)):
        return metrics
    return [make() if isinstance(m, str) and m in ("accuracy", "acc") else m for m in metrics]


def _train(model, data, span, callbacks, verbose, steps_per_call):
    """Runs the epochs from the first to before the last of `span`, of so many steps each."""
    (train, validation), (done, epochs, steps) = data, span
    if makes_batches_in_step(train):
        with statistics_over_all(model, getattr(train, "batch_size", None)):
            fit_in_step(model, train, validation, done, epochs, callbacks, verbose, steps_per_call)
        return
    known = not callable(train) and hasattr(train, "__len__")
    model.fit(
        train(done) if callable(train) else train,
        validation_data=validation,
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=None if known and steps == len(train) else steps,
        shuffle=False,
        callbacks=callbacks,
        verbose=verbose,
    )


def _tensorboard(output):
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'TensorBoard logs need: pip install "keras-residual[tensorboard]"'
        ) from error
    return keras.callbacks.TensorBoard(output / "tensorboard")


def _save_without_optimizer(model, path):
    with replacing(path) as partial:
        # A model of the same layers that has not been compiled has no optimizer to save.
        keras.Model(model.input, model.output, name=model.name).save(partial)
