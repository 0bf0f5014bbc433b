"""How `ResidualLSTM` runs its layers: one by one, or all together as a wavefront."""

import os

import keras
from keras import ops

from keras_residual.layers.devices import on_accelerator
from keras_residual.layers.lstm import loops, transposed
from keras_residual.layers.lstm.layerwise import Layerwise, add_skip, weights_of, where_started
from keras_residual.layers.lstm.loops import LoopOptions
from keras_residual.layers.lstm.wavefront import run_wavefront

# On a CPU, the input products of larger batches are faster inside the loop, where they stay cached,
# but not where XLA compiles TensorFlow's loop.
SMALL_BATCHES = range(1, 5)
# On a CPU, loops are faster compiled by XLA up to this batch size times units.
_LARGE_STEPS, _USUAL_BATCH, _FEW_STEPS = 2**16, 32, 8
# On a CPU, JAX's loops are faster with transposed states from so many units on, at larger batches.
_TRANSPOSED_UNITS = 256
# On several cores a compiled loop runs in so many parts of the sequence, each of at least so many
# steps, so that one layer is at later parts while the next is at earlier ones: in two of a small
# batch, whose steps take little more than starting a loop. On one core the parts take as long as
# the whole.
_MOST_PARTS, _SMALLEST_PART = 4, 16
# On a CPU, XLA parallelizes a wavefront only from these many cells and units on; the gain is lost
# if the weights do not fit into the cache.
_MANY_CELLS, _LARGE_UNITS, _CACHED_WEIGHTS = 128, 128, 2**20


def state_dtype(layer) -> str:
    """Returns the dtype of cell states: float32 where the layer computes in 16 bits."""
    return "float32" if layer.compute_dtype in ("float16", "bfloat16") else layer.compute_dtype


def loop_options(layer, shape, training: bool) -> LoopOptions:
    """Returns the options of a loop over `(time, batch, features)`."""
    cell, batch = layer.cells[0], shape[1]
    # TensorFlow cannot differentiate what is compiled by itself.
    known = loops.gradient_known(cell.activation, cell.recurrent_activation)
    compiled = known and not layer.unroll and compiling_pays(layer.units, shape)
    small = on_accelerator() or batch in SMALL_BATCHES
    return LoopOptions(
        activation=cell.activation,
        recurrent_activation=cell.recurrent_activation,
        hoist=small or (compiled and not layer.rematerialize),
        factors_first=small,
        rematerialize=layer.rematerialize,
        unroll=layer.unroll,
        training=training,
        compiled=compiled,
        transposed=known and not training and transposing_pays(layer, batch),
    )


def compiling_pays(units: int, shape) -> bool:
    """Returns whether TensorFlow's loop is faster when compiled by XLA.

    On a CPU, models are not compiled by default, and the overhead of an operation exceeds the
    arithmetic of a small step. The number of steps must be known, as XLA compiles once for each.
    """
    if keras.backend.backend() != "tensorflow" or on_accelerator():
        return False
    import tensorflow as tf

    length, batch = shape[:2]
    if tf.executing_eagerly() or not isinstance(length, int) or length < _FEW_STEPS:
        return False
    return units * (_USUAL_BATCH if batch is None else batch) <= _LARGE_STEPS


def transposing_pays(layer, batch) -> bool:
    """Returns whether JAX's loop is faster with transposed states, if no gradient is needed."""
    if keras.backend.backend() != "jax" or on_accelerator() or not isinstance(batch, int):
        return False
    plain = not (layer.unroll or layer.rematerialize)
    return plain and batch not in SMALL_BATCHES and layer.units >= _TRANSPOSED_UNITS


def number_of_parts(length: int, batch: int | None) -> int:
    """Returns in how many parts compiled loops over a sequence run."""
    most = 2 if batch in SMALL_BATCHES else _MOST_PARTS
    return 1 if os.cpu_count() == 1 else min(most, length // _SMALLEST_PART)


def wavefront_pays(layer, shape, training: bool) -> bool:
    """Returns whether the wavefront is faster for inputs of shape `(time, batch, features)`."""
    if on_accelerator():
        return True
    if training or keras.backend.backend() != "jax" or os.cpu_count() == 1:
        return False
    length, batch, layers = *shape[:2], layer.num_layers
    if not (isinstance(length, int) and isinstance(batch, int)):
        return False
    large = batch * layers >= _MANY_CELLS and layer.units >= _LARGE_UNITS
    return large and length >= 4 * layers and 8 * layers * layer.units**2 <= _CACHED_WEIGHTS


class LSTMPass(Layerwise):
    """One forward pass of a `ResidualLSTM`, whose loops have hand-written gradients."""

    def __init__(self, layer, x, mask, training: bool):
        super().__init__(layer, x, mask, training)
        self.options = loop_options(layer, x.shape, training)
        self.wavefront = layer.implementation == "wavefront" or (
            layer.implementation == "auto" and wavefront_pays(layer, x.shape, training)
        )

    def direction(self, cell, x, states, mask):
        [h], last = self.run_parts(cell, [x], [self.length], states, [mask])
        return h, *last

    def run_parts(self, cell, parts, lengths, states, masks):
        """Runs one cell over successive parts of a sequence; returns outputs and last states."""
        weights, dropout = weights_of(self.layer, cell), self.dropout(parts[0].shape[-1])
        outputs = []
        for x, length, mask in zip(parts, lengths, masks, strict=True):
            run = (transposed if self.options.transposed else loops).run_layer
            h, *states = run(self.options, length, x, weights, states, mask, dropout)
            outputs.append(h)
        return outputs, states

    def run_next(self, index, x, groups):
        count = self.layer.num_layers
        if index == count - 1:
            return super().run_next(index, x, groups)
        if self.wavefront and self.fits(index, x):
            return *self.run_wavefront(index, x, groups[index:]), count
        parts = number_of_parts(self.length, x.shape[1]) if self.options.compiled else 1
        if parts > 1 and not self.wavefront:
            return *self.run_pipeline(index, x, groups[index:], parts), count
        return super().run_next(index, x, groups)

    def run_pipeline(self, index, x, groups, count):
        """Runs layer `index` and those above it in parts, several of them at the same time."""
        size = -(-self.length // count)
        ends = list(range(size, self.length, size))
        parts, masks, started = (
            [None] * (len(ends) + 1) if value is None else ops.split(value, ends, axis=0)
            for value in (x, self.step_mask, self.started)
        )
        lengths = [part.shape[0] for part in parts]
        last = []
        for number, states in enumerate(groups, index):
            cell = self.layer.cells[number]
            outputs, new = self.run_parts(cell, parts, lengths, states, masks)
            outputs = map(where_started, started, outputs)
            pairs = zip(parts, outputs, strict=True)
            parts = [add_skip(self.layer, number, x, h) for x, h in pairs]
            last += new
        return ops.concatenate(parts, axis=0), last

    def fits(self, index, x):
        """Returns whether layer `index` and those above it can run as a wavefront."""
        return x.shape[-1] <= self.layer.units and str(index) not in self.layer.projections

    def run_wavefront(self, index, x, pairs):
        """Runs layer `index` and those above it as one wavefront."""
        layer = self.layer
        missing = layer.units - x.shape[-1]
        kernels, biases, factors = [], [], []
        for number, cell in enumerate(layer.cells[index:]):
            kernel, recurrent_kernel, bias = weights_of(layer, cell)
            rows = missing if number == 0 else 0
            kernels += [_pad(kernel, (0, rows), (0, 0)) if rows else kernel, recurrent_kernel]
            biases.append(bias)
            factors += self._side_by_side(layer.units - rows, rows)
        weights = ops.reshape(
            ops.concatenate(kernels, axis=0), (len(pairs), 2 * layer.units, 4 * layer.units)
        )
        biases = None if biases[0] is None else ops.expand_dims(ops.stack(biases), 1)
        states = tuple(ops.stack(column) for column in zip(*pairs, strict=True))
        residual = tuple(layer.is_residual(i) for i in range(index, layer.num_layers))
        x = _pad(x, (0, 0), (0, 0), (0, missing)) if missing else x
        outputs, h, c = run_wavefront(
            self.options,
            self.length,
            x,
            (weights, biases),
            states,
            residual,
            self.mask,
            ops.stack(factors) if factors else None,
        )
        outputs = self.once_started(outputs, x if all(residual) else None)
        return outputs, [state[i] for i in range(len(pairs)) for state in (h, c)]

    def _side_by_side(self, width, missing):
        """Returns the dropout factors of a layer's inputs and state as `[tensor]`, or `[]`."""
        if not any(self.rates):
            return []
        ones = ops.ones((self.batch, self.layer.units), self.layer.compute_dtype)
        by_x, by_h = self.dropout(width)
        by_x = ones if by_x is None else _pad(by_x, (0, 0), (0, missing))
        return [ops.concatenate([by_x, ones if by_h is None else by_h], axis=-1)]


def _pad(x, *widths):
    return ops.pad(x, widths)
