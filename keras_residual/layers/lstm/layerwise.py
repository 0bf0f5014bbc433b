"""One pass of a recurrent stack over a batch of sequences, one layer after the other."""

import keras
from keras import ops

from keras_residual.layers._loops.backends import scan_steps


def add_skip(layer, index, x, h):
    """Returns the input of the layer above layer `index`, from its input and output."""
    if not layer.is_residual(index):
        return h
    projection = layer.projections.get(str(index))
    return h + (x if projection is None else projection(x))


def groups_of(layer, states) -> list[tuple]:
    """Returns states as one tuple for each layer and direction, in the dtypes of the loops."""
    dtypes = layer.state_dtypes
    count = len(dtypes)
    flat = [ops.cast(ops.convert_to_tensor(s), dtypes[i % count]) for i, s in enumerate(states)]
    return [tuple(flat[start : start + count]) for start in range(0, len(flat), count)]


def weights_of(layer, cell) -> tuple:
    """Returns the weights of a cell in the compute dtype of the layer."""
    return tuple(
        weight if weight is None else ops.cast(weight, layer.compute_dtype)
        for weight in layer.cell_weights(cell)
    )


def where_started(started, outputs, before=None):
    """Returns the outputs where `started` is true or `None`, else `before`, 0 by default."""
    if started is None:
        return outputs
    before = ops.zeros((), outputs.dtype) if before is None else before
    return ops.where(started, outputs, before)


def step(layer, x, states):
    """Runs all layers for one time step, `x` being `(batch, features)`."""
    last, below = [], None
    for index, (cell, own) in enumerate(zip(layer.cells, groups_of(layer, states), strict=True)):
        weights = weights_of(layer, cell)
        projected = layer.project(weights, x)
        more = () if below is None else (below,)
        h, *rest = layer.advance(weights, projected, own, None, *more)
        h = ops.cast(h, x.dtype)
        x = add_skip(layer, index, x, h)
        last += [h, *rest]
        below = rest[0] if layer.hands_memory_up else None
    return x, last


class Layerwise:
    """One pass over one batch of sequences.

    Args:
        layer: The stack.
        x: `(time, batch, features)`.
        mask: `(time, batch)`, false where a step is to be passed over, or `None`.
        training: Whether dropout applies.
    """

    def __init__(self, layer, x, mask, training: bool):
        self.layer, self.mask, self.training = layer, mask, training
        self.step_mask = None if mask is None else ops.expand_dims(mask, -1)
        self.started = None
        self.length, self.batch = ops.shape(x)[:2]
        self.rates = (layer.dropout, layer.recurrent_dropout) if training else (0.0, 0.0)
        # The memory at every step that the layer below passes up, in addition to its outputs.
        self.below = None

    def run(self, x, states):
        """Runs all layers; returns outputs and last states. `states` may be `None` for zeros."""
        layer = self.layer
        if self.mask is not None and states is not None:
            started = ops.cumsum(ops.cast(self.mask, "int32"), axis=0) > 0
            self.started = ops.expand_dims(started, -1)
        groups = groups_of(layer, states or layer.get_initial_state(self.batch))
        last, index = [], 0
        if layer.bidirectional_bottom:
            x, last = self.bidirectional(x, groups)
            # The remaining states start at the index of their layer.
            groups, index = groups[1:], 1
        while index < layer.num_layers:
            x, new, index = self.run_next(index, x, groups)
            last += new
        return x, last

    def run_next(self, index, x, groups):
        """Runs layer `index`; returns outputs, its last states, and the index of the next."""
        x, new = self.run_layerwise(index, x, groups[index])
        return x, new, index + 1

    def run_layerwise(self, index, x, states):
        """Runs one layer; returns the input of the layer above, and its last states."""
        h, *last = self.direction(self.layer.cells[index], x, states, self.step_mask)
        return add_skip(self.layer, index, x, self.once_started(h)), last

    def direction(self, cell, x, states, mask):
        """Runs one cell over the sequence; returns its outputs and its last states."""
        layer, weights = self.layer, weights_of(self.layer, cell)
        by_x, by_h = self.dropout(x.shape[-1])
        projected = layer.project(weights, x if by_x is None else x * by_x)

        def step(states, inputs):
            projected, mask, *below = inputs
            new = layer.advance(weights, projected, states, by_h, *below)
            new = [ops.cast(a, b.dtype) for a, b in zip(new, states, strict=True)]
            if mask is not None:
                new = [ops.where(mask, a, b) for a, b in zip(new, states, strict=True)]
            return tuple(new), tuple(new[:emitted])

        emitted = 2 if layer.hands_memory_up else 1
        specs = [(state.shape, state.dtype) for state in states[:emitted]]
        inputs = (projected, mask, *([] if self.below is None else [self.below]))
        last, outputs = scan_steps(
            step, states, inputs, specs, self.length, unroll=layer.unroll, differentiated=True
        )
        self.below = outputs[1] if layer.hands_memory_up else None
        return outputs[0], *last

    def dropout(self, width):
        """Draws the dropout factors of a layer's inputs and of its `h`, the same for all steps."""
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

    def once_started(self, outputs, before=None):
        """Returns the outputs from the first unmasked step on, and `before` until then.

        An initial `h` is not an output, as in Keras on TensorFlow and PyTorch.
        """
        return where_started(self.started, outputs, before)

    def bidirectional(self, x, groups):
        """Runs the bottom layer in both directions; masked steps give zero, as in Keras."""
        layer = self.layer
        h, *last = self.direction(layer.cells[0], x, groups[0], self.step_mask)
        mask = None if self.step_mask is None else ops.flip(self.step_mask, axis=0)
        back, *last_back = self.direction(layer.backward_cell, ops.flip(x, axis=0), groups[1], mask)
        both = ops.concatenate([h, ops.flip(back, axis=0)], axis=-1)
        if self.step_mask is not None:
            both = ops.where(self.step_mask, both, ops.zeros((), both.dtype))
        return add_skip(layer, 0, x, both), [*last, *last_back]
