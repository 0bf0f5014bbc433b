"""Averaged weights in evaluation, with statistics of normalizations that belong to them."""

import itertools
from collections.abc import Callable

import keras
import numpy as np

from keras_residual.training.steps import compile_steps, makes_batches_in_step

# With a momentum of 0.9, half a percent is left of what the statistics were before.
_BATCHES = 50


class AveragedWeights(keras.callbacks.Callback):
    """Puts the optimizer's moving average of the weights in their place during evaluation.

    The moving statistics of batch normalization follow the weights of the last steps, not the
    average of many. So some training batches are run through the averaged model first, as in
    stochastic weight averaging. Afterwards everything is as it was, bit for bit.

    Args:
        train: The training batches given to `fit`.

    Reference:
        - [Izmailov et al., 2018](https://arxiv.org/abs/1803.05407), section 3.1
    """

    def __init__(self, train: object):
        super().__init__()
        self.train = train
        self._forward = None

    def put_in_place(self) -> None:
        """Gives the model the averaged weights and their statistics."""
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        # Copied, as an array of JAX's may be a view of memory that is used again.
        self._before = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in variables]
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self._forward is None:
            self._forward = _forward(self.model, self.train)
        self._forward()

    def on_test_begin(self, logs=None):
        self.put_in_place()

    def on_test_end(self, logs=None):
        for variable, value in self._before:
            variable.assign(value)


def _forward(model, train) -> Callable[[], None]:
    """Returns what runs some training batches through the model, as training does."""
    if makes_batches_in_step(train):
        run, order = compile_steps(model, train, "forward"), train.order(0)[0]
        order = order[np.arange(_BATCHES) % len(order)]
        return lambda: run(order, 0)

    def forward():
        batches = train(0) if callable(train) else train
        # What can be read only once must not be read here.
        if iter(batches) is not batches:
            for inputs, *_ in itertools.islice(batches, _BATCHES):
                model(inputs, training=True)

    return forward
