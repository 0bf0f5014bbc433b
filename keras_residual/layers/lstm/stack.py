"""How `ResidualLSTM` gets through its layers: which loop, which weights, states and skips."""

import os

import keras
from keras import ops

from keras_residual.layers.devices import on_accelerator
from keras_residual.layers.lstm import loops
from keras_residual.layers.lstm.loops import LoopOptions

# On a CPU, larger batches do better inside the loop, where what a step needs is in the cache.
SMALL_BATCHES = range(1, 5)
# On a CPU, TensorFlow's own products are as quick as XLA's where batch times units are more.
_LARGE_STEP, _USUAL_BATCH, _FEW_STEPS = 2**12, 32, 8
# On a CPU, XLA spreads a wavefront over the cores where its cells, and their products, are so many
# and so large; weights that leave the cache cost more than that gains.
_MANY_CELLS, _LARGE_UNITS, _CACHED_WEIGHTS = 128, 128, 2**20


def state_dtype(layer) -> str:
    """Returns the dtype of cell states: float32 where the layer computes in 16 bits."""
    return "float32" if layer.compute_dtype in ("float16", "bfloat16") else layer.compute_dtype


def loop_options(layer, shape, training: bool) -> LoopOptions:
    """Returns how a loop over `(time, batch, features)` is computed."""
    cell, batch = layer.cells[0], shape[1]
    return LoopOptions(
        activation=cell.activation,
        recurrent_activation=cell.recurrent_activation,
        hoist=on_accelerator() or batch in SMALL_BATCHES,
        rematerialize=layer.rematerialize,
        unroll=layer.unroll,
        training=training,
        compiled=not layer.unroll and compiling_pays(layer.units, shape),
    )


def compiling_pays(units: int, shape) -> bool:
    """Returns whether TensorFlow's loop is quicker when XLA compiles it.

    On a CPU, where nothing compiles a model unless it is asked to, an operation of TensorFlow's
    costs more than the arithmetic of a small step. XLA compiles anew for each number of steps, so
    that must be known.
    """
    if keras.backend.backend() != "tensorflow" or on_accelerator():
        return False
    import tensorflow as tf

    length, batch = shape[:2]
    if tf.executing_eagerly() or not isinstance(length, int) or length < _FEW_STEPS:
        return False
    return units * (_USUAL_BATCH if batch is None else batch) <= _LARGE_STEP


def wavefront_pays(layer, shape, training: bool) -> bool:
    """Returns whether the wavefront is the quicker one for `(time, batch, features)`."""
    if on_accelerator():
        return True
    if training or keras.backend.backend() != "jax" or os.cpu_count() == 1:
        return False
    length, batch, layers = *shape[:2], layer.num_layers
    if not (isinstance(length, int) and isinstance(batch, int)):
        return False
    large = batch * layers >= _MANY_CELLS and layer.units >= _LARGE_UNITS
    return large and length >= 4 * layers and 8 * layers * layer.units**2 <= _CACHED_WEIGHTS


def run(layer, x, states, mask, training: bool):
    """Runs all layers over `x`, `(time, batch, features)`; returns outputs and last states.

    `states` may be `None` for zeros; `mask` is `(time, batch)` or `None`.
    """
    runner = _Run(layer, x, mask, training)
    if mask is not None and states is not None:
        runner.started = ops.expand_dims(ops.cumsum(ops.cast(mask, "int32"), axis=0) > 0, -1)
    pairs = runner.pairs(states or layer.get_initial_state(runner.batch))
    last, index = [], 0
    if layer.bidirectional_bottom:
        x, last = runner.bidirectional(x, pairs)
        pairs, index = pairs[1:], 1
    while index < layer.num_layers:
        if runner.wavefront and index < layer.num_layers - 1 and runner.fits(index, x):
            x, new = runner.run_wavefront(index, x, pairs[index:])
            index = layer.num_layers
        else:
            x, new = runner.run_layerwise(index, x, pairs[index])
            index += 1
        last += new
    return x, last


def step(layer, x, states):
    """Runs all layers for one time step, `x` being `(batch, features)`."""
    options = loop_options(layer, (1, *x.shape), training=False)
    last = []
    for index, cell in enumerate(layer.cells):
        h, c = states[2 * index : 2 * index + 2]
        kernel, recurrent_kernel, bias = _weights(layer, cell)
        # The order of the sums is the loops', so that 16 bits round alike.
        z = ops.matmul(x, kernel) if bias is None else ops.matmul(x, kernel) + bias
        z = z + ops.matmul(ops.cast(h, x.dtype), recurrent_kernel)
        h, c = options.cell(z, ops.cast(c, state_dtype(layer)))
        h = ops.cast(h, x.dtype)
        x = _add_skip(layer, index, x, h)
        last += [h, c]
    return x, last


def last_step(x, mask):
    """Returns the last output that is not masked; zero where there is none."""
    if mask is None:
        return ops.sum(x[-1:], axis=0)
    later = ops.flip(ops.cumsum(ops.flip(ops.cast(mask, "int32"), axis=0), axis=0), axis=0)
    last = ops.expand_dims(ops.logical_and(mask, later == 1), -1)
    return ops.sum(ops.where(last, x, ops.zeros((), x.dtype)), axis=0)


def _weights(layer, cell):
    weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
    return tuple(w if w is None else ops.cast(w, layer.compute_dtype) for w in weights)


def _add_skip(layer, index, x, h):
    if not layer.is_residual(index):
        return h
    projection = layer.projections.get(str(index))
    return h + (x if projection is None else projection(x))


class _Run:
    """One pass over one batch of sequences."""

    def __init__(self, layer, x, mask, training):
        self.layer, self.mask = layer, mask
        self.step_mask = None if mask is None else ops.expand_dims(mask, -1)
        self.started = None
        self.options = loop_options(layer, x.shape, training)
        self.length, self.batch = ops.shape(x)[:2]
        self.rates = (layer.dropout, layer.recurrent_dropout) if training else (0.0, 0.0)
        self.wavefront = layer.implementation == "wavefront" or (
            layer.implementation == "auto" and wavefront_pays(layer, x.shape, training)
        )

    def pairs(self, states):
        """Returns the states as `(h, c)` of each layer and direction, as the loops take them."""
        dtypes = (self.layer.compute_dtype, state_dtype(self.layer))
        flat = [ops.cast(ops.convert_to_tensor(s), dtypes[i % 2]) for i, s in enumerate(states)]
        return list(zip(flat[::2], flat[1::2], strict=True))

    def dropout(self, width):
        """Draws what multiplies a layer's inputs and its `h`, the same for all steps."""
        return tuple(
            keras.random.dropout(
                ops.ones((self.batch, size), self.layer.compute_dtype),
                rate,
                seed=self.layer.seed_generator,
            )
            if rate
            else None
            for rate, size in zip(self.rates, (width, self.layer.units), strict=True)
        )

    def direction(self, cell, x, states, mask):
        weights = _weights(self.layer, cell)
        dropout = self.dropout(x.shape[-1])
        return loops.run_layer(self.options, self.length, x, weights, states, mask, dropout)

    def run_layerwise(self, index, x, states):
        """Runs one layer; returns what the layer above gets, and `[h, c]`."""
        h, *last = self.direction(self.layer.cells[index], x, states, self.step_mask)
        return _add_skip(self.layer, index, x, self.once_started(h)), last

    def once_started(self, outputs, before=None):
        """Returns the outputs from the first step on that is not masked, and `before` until then.

        As on TensorFlow and PyTorch in Keras, an initial `h` is no output.
        """
        if self.started is None:
            return outputs
        before = ops.zeros((), outputs.dtype) if before is None else before
        return ops.where(self.started, outputs, before)

    def bidirectional(self, x, pairs):
        """Runs the bottom layer in both directions; masked steps give zero, as in Keras."""
        layer = self.layer
        h, *last = self.direction(layer.cells[0], x, pairs[0], self.step_mask)
        mask = None if self.step_mask is None else ops.flip(self.step_mask, axis=0)
        back, *last_back = self.direction(layer.backward_cell, ops.flip(x, axis=0), pairs[1], mask)
        both = ops.concatenate([h, ops.flip(back, axis=0)], axis=-1)
        if self.step_mask is not None:
            both = ops.where(self.step_mask, both, ops.zeros((), both.dtype))
        return _add_skip(layer, 0, x, both), [*last, *last_back]

    def fits(self, index, x):
        """Returns whether layer `index` and all above can run together."""
        return x.shape[-1] <= self.layer.units and str(index) not in self.layer.projections

    def run_wavefront(self, index, x, pairs):
        """Runs layer `index` and all above as one wavefront."""
        layer = self.layer
        missing = layer.units - x.shape[-1]
        kernels, biases, factors = [], [], []
        for number, cell in enumerate(layer.cells[index:]):
            kernel, recurrent_kernel, bias = _weights(layer, cell)
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
        outputs, h, c = loops.run_wavefront(
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
        """Returns `[factors]` of a layer's inputs and `h` in one tensor, `[]` without dropout."""
        if not any(self.rates):
            return []
        ones = ops.ones((self.batch, self.layer.units), self.layer.compute_dtype)
        by_x, by_h = self.dropout(width)
        by_x = ones if by_x is None else _pad(by_x, (0, 0), (0, missing))
        return [ops.concatenate([by_x, ones if by_h is None else by_h], axis=-1)]


def _pad(x, *widths):
    return ops.pad(x, widths)
