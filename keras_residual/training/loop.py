"""The epochs of a training whose batches are made inside the compiled step."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_residual.layers.devices import on_accelerator
from keras_residual.training.steps import InStep, compile_steps, makes_batches_in_step

# Calls per epoch, enough for a progress bar, if starting a call is cheap.
_CALLS_AN_EPOCH = 8
# The same if it is expensive.
_STEPS_ON_ACCELERATOR = 500


def fit_in_step(
    model: keras.Model,
    train: InStep,
    validation: InStep | Iterable[Any] | None,
    initial_epoch: int,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: str | int,
    steps_per_call: int | None = None,
) -> None:
    """Works like `model.fit`, with many steps per call.

    Callbacks are notified of the last batch of each call.
    """
    calls = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        add_progbar=verbose != 0,
        verbose=1 if verbose == "auto" else verbose,
        epochs=epochs,
        steps=len(train),
        model=model,
    )
    steps_per_call = steps_per_call or _default_steps_per_call(len(train))
    run = compile_steps(model, train, "train")
    evaluate = _evaluation(model, validation, calls)
    model.stop_training = False
    calls.on_train_begin()
    logs = {}
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        calls.on_epoch_begin(epoch)
        logs = _epoch(model, run, train.order(epoch), epoch, steps_per_call, calls)
        logs.update({f"val_{name}": value for name, value in evaluate().items()})
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)


def _default_steps_per_call(steps):
    one_loop = keras.backend.backend() == "jax" and on_accelerator()
    fewest = math.ceil(steps / _STEPS_ON_ACCELERATOR) if one_loop else _CALLS_AN_EPOCH
    # XLA compiles again for every different length of a call.
    equal = [calls for calls in range(fewest, 2 * fewest + 1) if steps % calls == 0]
    return math.ceil(steps / (equal or [fewest])[0])


def _epoch(model, run, orders, epoch, steps_per_call, calls):
    """Runs the steps of one epoch and returns the metrics over all of it."""
    done = 0
    for order in orders:
        for start in range(0, len(order), steps_per_call):
            part = order[start : start + steps_per_call]
            calls.on_train_batch_begin(done)
            run(part, epoch)
            done += len(part)
            logs = _metrics(model)
            calls.on_train_batch_end(done - 1, logs)
            if model.stop_training or not math.isfinite(logs["loss"]):
                return logs
    return logs


def _evaluation(model, validation, calls):
    """Returns a function that evaluates the model and returns the metrics."""
    if validation is None:
        return dict
    if not makes_batches_in_step(validation):
        return lambda: model.evaluate(validation, verbose=0, return_dict=True, callbacks=calls)
    run = compile_steps(model, validation, "test")
    orders = validation.order(0)

    def evaluate():
        model.reset_metrics()
        calls.on_test_begin()
        for order in orders:
            run(order, 0)
        logs = _metrics(model)
        calls.on_test_end(logs)
        return logs

    return evaluate


def _metrics(model) -> dict[str, float]:
    result = model.get_metrics_result()
    return {name: float(np.mean(keras.ops.convert_to_numpy(v))) for name, v in result.items()}
