"""Training that goes on where it was interrupted."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import keras

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual.training import checkpoint
from keras_residual.training.averaging import AveragedWeights
from keras_residual.training.journal import CHECKPOINT, LOG, MODEL, Journal, columns
from keras_residual.training.loop import fit_in_step
from keras_residual.training.losses import Accuracy, CrossEntropy
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
    metrics: Sequence = ("accuracy",),
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
        data: A dataset of `data.load`, or `(train, validation)`: each as `data.in_step` returns it
            or batches as `model.fit` takes them; validation may be `None`. `train` may be a
            function from the number of an epoch, from 0, to the batches of that epoch and all that
            follow: then a resumed training sees what the uninterrupted would.
        recipe: A `Recipe` or the name of one of `recipes`.
        output: The folder to write to.
        resume: Whether to go on with what `output` holds. Otherwise it is removed.
        epochs: Positive integer. Defaults to the recipe's. A finished training goes on if it is
            raised.
        steps_per_epoch: Positive integer, needed if `train` has no length.
        loss: Loss of the model. Defaults to the recipe's, against integer labels.
        metrics: Metrics of the model.
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
        FloatingPointError: If the loss is no longer a number; the last good checkpoint is kept.

    Example:

    >>> dataset = keras_residual.data.load("digits")  # doctest: +SKIP
    >>> history = fit(model, dataset, "quick", "runs/digits")  # doctest: +SKIP
    """
    recipe = find_recipe(recipe)
    epochs = recipe.epochs if epochs is None else _checks.integer("epochs", epochs)
    settings = dict(settings or {})
    if hasattr(data, "batches"):
        _check_sizes(model, data, recipe)
        settings = {"dataset": data.name, "seed": seed, **settings}
        data = data.batches(seed=seed, **recipe.batch_options())
    train, validation = _checked_data(data)
    steps = _steps(train, steps_per_epoch)
    output = Path(output)
    identity = {**recipe.identity(), "model": model.name, "steps_per_epoch": steps, **settings}
    with scope_of(model):
        model.compile(
            recipe.make_optimizer(steps * epochs),
            loss or _loss(model, recipe),
            metrics=[Accuracy() if _mixes(recipe) and m == "accuracy" else m for m in metrics],
            jit_compile=jit_compile,
        )
        progress = _start(model, output, identity, resume)
    journal = Journal(output, progress, checkpoint_seconds, is_chief(model))
    average = AveragedWeights(train) if recipe.ema else None
    callbacks = [
        *([average] if average else []),
        *([_tensorboard(output)] if tensorboard else []),
        *callbacks,
        journal,
    ]
    if len(progress.rows) < epochs:
        _train(
            model,
            (train, validation),
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


def finished_epochs(output: str | os.PathLike) -> int:
    """Returns how many epochs the checkpoint of a training in `output` has behind it.

    Args:
        output: The folder given to `fit`.

    Raises:
        CheckpointError: If the checkpoint is damaged.
    """
    found = checkpoint.find(Path(output) / CHECKPOINT)
    return len(found[1].rows) if found else 0


def _check_sizes(model, data, recipe):
    """Raises for a model of one size where images are tested at another than they train at."""
    if recipe.test_image_size is None or None in model.input_shape[1:3]:
        return
    sizes = [side and (side, side) for side in (recipe.image_size, recipe.test_image_size)]
    if sizes[1] == (sizes[0] or data.image_shape[:2]):
        return
    raise ValueError(
        f"`model` must take images of any size, as one built with input_shape=(None, None, "
        f"{data.image_shape[-1]}), for a recipe with image_size={recipe.image_size!r} and "
        f"test_image_size={recipe.test_image_size!r}. Received: model.input_shape="
        f"{model.input_shape}"
    )


def _checked_data(data):
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            "`data` must be a dataset or (train, validation), batches or a function from the "
            "number of an epoch to batches; validation may be None. "
            f"Received: data={data!r}"
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


def _loss(model, recipe):
    activation = getattr(model.layers[-1], "activation", None)
    logits = activation is not keras.activations.softmax
    if recipe.loss == "cross_entropy" and not recipe.label_smoothing and not _mixes(recipe):
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    return CrossEntropy(recipe.loss, recipe.label_smoothing, from_logits=logits)


def _mixes(recipe):
    return bool(recipe.mixup or recipe.cutmix)


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


def _start(model, output, settings, resume) -> checkpoint.Progress:
    """Returns the progress of the training in `output`, with the model brought to its state."""
    path = output / CHECKPOINT
    found = checkpoint.find(path) if resume else None
    if found is None:
        output.mkdir(parents=True, exist_ok=True)
        for old in (path, checkpoint.before(path), output / LOG, output / MODEL):
            old.unlink(missing_ok=True)
        return checkpoint.Progress(settings)
    path, progress = found
    earlier = {**Recipe().identity(), **progress.settings}
    other = [key for key in settings if earlier.get(key) != settings[key]]
    if other:
        differences = ", ".join(
            f"{key}={earlier.get(key)!r} (now {settings[key]!r})" for key in other
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


def _save_without_optimizer(model, path):
    with replacing(path) as partial:
        # A model of the same layers that has not been compiled has no optimizer to save.
        keras.Model(model.input, model.output, name=model.name).save(partial)
