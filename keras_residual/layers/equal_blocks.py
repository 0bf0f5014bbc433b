"""The equal blocks of a stage: unrolled or scanned, with one file format for both."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual.layers._loops.blocks import scan_blocks, scan_blocks_rematerialized
from keras_residual.layers._loops.rematerialize import call_in_order
from keras_residual.layers._loops.reversible import call_reversible
from keras_residual.layers._loops.traced_once import call_traced_once, shares_trace
from keras_residual.layers.composite import CompositeLayer, chain, fresh_initializer
from keras_residual.layers.reversible_halves import is_invertible
from keras_residual.layers.sublayers import SublayerRow, normalizations_in, weights_by_path

# Weights of normalizations that never train.
_STATISTICS = ("moving_mean", "moving_variance")


class EqualBlocks(SublayerRow, CompositeLayer):
    """Blocks that keep the shape of their input, applied one after the other.

    If scanned, the layer owns every weight stacked over the blocks, and one template block computes
    with one slice at a time. If unrolled, the blocks are sublayers. Saved files hold the stacked
    arrays either way, under the weight's path inside a block with dots for slashes.
    """

    def __init__(
        self, blocks: list[Any], scanned: bool, rates: list[float], rematerialize: bool, **kwargs
    ):
        super().__init__(**kwargs)
        self.depth = len(rates)
        self.scanned = scanned
        self.rates = rates
        self.rematerialize = rematerialize
        # A template is hidden from Keras' tracking: its variables stand in for the stacked ones.
        self._template = _Hidden(blocks[0]) if scanned else None
        self._stacked_names = ()
        self.add_to_row("blocks", [] if scanned else blocks)

    @property
    def blocks(self) -> list[Any]:
        """The blocks that are layers: none in a scanned stage."""
        return self.row("blocks")

    @property
    def stacked_weights(self) -> dict[str, keras.Variable]:
        """The weights of a scanned stage by their path inside a block, stacked over the blocks."""
        return {name: getattr(self, _attribute(name)) for name in self._stacked_names}

    @property
    def repeats(self) -> int:
        return self.depth if self.scanned else 1

    def check_opens(self):
        if self.scanned:
            raise ValueError(
                f"{self.path!r} computes its {self.depth} blocks in a loop over stacked weights, "
                "so they are not separate layers. Build the network with "
                '`execution="unrolled"`; it reads the same weight files.'
            )

    def plan(self, input_shape):
        blocks = [self._template.layer] if self.scanned else self.blocks
        steps, shape = chain(blocks, input_shape)
        if tuple(shape) != tuple(input_shape):
            raise ValueError(
                "The equal blocks of a stage must keep the shape; strides and new channels belong "
                f"to `first` or `last`. Received: blocks that turn {input_shape} into {shape}"
            )
        return steps, shape

    def build(self, input_shape):
        super().build(input_shape)
        if not self.scanned:
            return
        template = self._template.layer
        weights = named_weights(template)
        kernels = [name for name, weight in weights.items() if len(weight.shape) > 1]
        for name, weight in weights.items():
            position = kernels.index(name) if name in kernels else None
            variable = self.add_weight(
                name=name.replace(".", "_"),
                shape=(self.depth, *weight.shape),
                dtype=weight.dtype,
                initializer=self._stacked_initializer(template, weight, position),
                regularizer=weight.regularizer and _StackedRegularizer(weight.regularizer),
                trainable=weight.trainable,
                # The template casts its weights itself; statistics must keep their dtype.
                autocast=False,
            )
            setattr(self, _attribute(name), variable)
        self._stacked_names = tuple(weights)
        # Keras finds and updates the state of random generators through these attributes.
        self.drop_path_generator = template.drop_path.seed_generator
        self.dropout_generator = template.dropout and template.dropout.seed_generator

    def _stacked_initializer(self, template, weight, position):
        """Returns an initializer: kernels are drawn for every block, vectors are constants.

        `position` counts the kernels of a block, so that seeds equal those of unrolled blocks.
        """
        value = ops.convert_to_numpy(weight)
        if position is None or not value.any():
            return lambda shape, dtype=None: ops.cast(np.broadcast_to(value, shape), dtype)

        def draw(shape, dtype=None):
            kernels = [
                fresh_initializer(template.kernel_initializer, 10 * index + position)(
                    shape[1:], dtype
                )
                for index in range(shape[0])
            ]
            return ops.stack(kernels)

        return draw

    def call(self, inputs, training=None):
        if self.scanned:
            return self._call_scanned(inputs, bool(training))
        x = inputs
        if self.rematerialize and training and is_invertible(self.blocks[0]):
            half = x.shape[self.channel_axis] // 2
            halves = self.channels_from(x, 0, half), self.channels_from(x, half)
            return self.joined(*call_reversible(self.blocks, *halves))
        if self._shares_trace(training):
            return call_traced_once(self.blocks, x)
        return call_in_order(self.blocks, x, training, self.rematerialize)

    def _shares_trace(self, training):
        """Returns whether a training step is traced that computes all blocks alike."""
        if not training or self.rematerialize or any(self.rates):
            return False
        return not self.blocks[0].dropout_rate and shares_trace(self.blocks)

    def _call_scanned(self, inputs, training):
        template = self._template.layer
        self._follow_trainable(template)
        trainable, other = template.trainable_variables, template.non_trainable_variables
        variables = self.stacked_weights
        stacked = {id(weight): name for name, weight in named_weights(template).items()}
        kept = [stacked[id(v)] for v in other if id(v) in stacked]
        values = [ops.convert_to_tensor(variables[stacked[id(v)]]) for v in trainable]
        # Copied, because statistics are overwritten before a recomputing backward pass reads them.
        statistics = [ops.copy(variables[name].value) for name in kept]
        seeds = [self._seeds(v, training) for v in other if id(v) not in stacked]
        rates = [ops.convert_to_tensor(np.asarray(self.rates, "float32"))] * any(self.rates)

        def body(x, *slices):
            weights, slices = slices[: len(values)], iter(slices[len(values) :])
            state = {name: next(slices) for name in kept}
            state = [state[stacked[id(v)]] if id(v) in stacked else next(slices) for v in other]
            x, updated = template.stateless_call(
                weights, state, x, training=training, drop_path_rate=next(slices, None)
            )
            pairs = zip(other, updated, strict=True)
            return x, [value for v, value in pairs if id(v) in stacked]

        rematerialized = self.rematerialize and training
        run = scan_blocks_rematerialized if rematerialized else scan_blocks
        updated = slice(len(values), len(values) + len(statistics))
        x, updates = run(body, inputs, [*values, *statistics, *seeds, *rates], updated)
        if training and self.trainable:
            for name, value in zip(kept, updates, strict=True):
                variables[name].assign(value)
        return x

    def set_normalization_trainable(self, trainable: bool) -> None:
        """Sets whether the normalizations of all blocks train; frozen ones keep their statistics.

        In an unrolled stage they are ordinary layers; in a scanned one this layer owns the weights.
        """
        blocks = [self._template.layer] if self.scanned else self.blocks
        for norm in [norm for block in blocks for norm in normalizations_in(block)]:
            norm.trainable = trainable
            for weight in norm.weights:
                if self.scanned and weight.name not in _STATISTICS:
                    self._stacked_of(weight).trainable = trainable

    def _stacked_of(self, weight):
        prefix = len(self._template.layer.path) + 1
        return self.stacked_weights[weight.path[prefix:].replace("/", ".")]

    def _follow_trainable(self, template) -> None:
        """Copies the `trainable` flags of the stacked weights to the template's variables."""
        if template.trainable != self.trainable:
            template.trainable = self.trainable
        for norm in normalizations_in(template):
            weights = [w for w in norm.weights if w.name not in _STATISTICS]
            if weights:
                wanted = self.trainable and any(self._stacked_of(w).trainable for w in weights)
                if norm.trainable != wanted:
                    norm.trainable = wanted

    def _seeds(self, state, training):
        """Draws a random generator state for each block from one generator.

        Nothing is drawn at inference, so that exported graphs contain no random generator.
        """
        if not training:
            return ops.zeros((self.depth, *state.shape), state.dtype)
        generators = (self.drop_path_generator, self.dropout_generator)
        generator = next(g for g in generators if g is not None and g.state is state)
        seeds = keras.random.randint((self.depth, *state.shape), 0, 2**31 - 1, seed=generator)
        return ops.cast(seeds, state.dtype)

    def get_block_weights(self, index: int) -> dict[str, np.ndarray]:
        """Returns the weights of one block by their path inside it."""
        if self.scanned:
            return {k: ops.convert_to_numpy(v[index]) for k, v in self.stacked_weights.items()}
        return {k: ops.convert_to_numpy(v) for k, v in named_weights(self.blocks[index]).items()}

    def set_block_weights(self, index: int, weights: dict[str, np.ndarray]):
        """Sets the weights of one block by their path inside it."""
        if not self.scanned:
            for name, variable in named_weights(self.blocks[index]).items():
                variable.assign(weights[name])
            return
        for name, variable in self.stacked_weights.items():
            value = ops.convert_to_numpy(variable).copy()
            value[index] = weights[name]
            variable.assign(value)

    def save_own_variables(self, store):
        if self.scanned:
            for name, variable in self.stacked_weights.items():
                store[name] = ops.convert_to_numpy(variable)
            return
        weights = [named_weights(block) for block in self.blocks]
        if any(list(block) != list(weights[0]) for block in weights):
            raise ValueError(
                f"The blocks of {self.path!r} must be quantized and LoRA-adapted alike to be "
                "saved, since files hold their weights stacked"
            )
        for name in weights[0]:
            store[name] = np.stack([ops.convert_to_numpy(block[name]) for block in weights])

    def load_own_variables(self, store):
        weights = None if self.scanned else [named_weights(block) for block in self.blocks]
        shapes = self._saved_shapes(weights)
        found = {name: tuple(store[name].shape) for name in list(store.keys())}
        if found != shapes:
            wrong = sorted(k for k in {*found, *shapes} if found.get(k) != shapes.get(k))
            raise ValueError(
                f"The saved weights do not fit {self.path!r}: "
                + "; ".join(f"{k}: file {found.get(k)}, layer {shapes.get(k)}" for k in wrong)
            )
        for name in shapes:
            values = np.asarray(store[name])
            if self.scanned:
                self.stacked_weights[name].assign(values)
                continue
            for block, value in zip(weights, values, strict=True):
                block[name].assign(value)

    def _saved_shapes(self, weights):
        if self.scanned:
            return {name: tuple(variable.shape) for name, variable in self.stacked_weights.items()}
        return {name: (self.depth, *v.shape) for name, v in weights[0].items()}

    def __dir__(self) -> list[str]:
        # Keras' file writer visits what `dir` lists; the blocks are saved stacked by this layer.
        return [name for name in super().__dir__() if name != "blocks"]


def _attribute(name):
    return "stacked_" + name.replace(".", "_")


class _Hidden:
    """Hides a layer from Keras' tracking of sublayers."""

    def __init__(self, layer):
        self.layer = layer


class _StackedRegularizer(keras.regularizers.Regularizer):
    """The sum of a regularizer's losses over the blocks of a stacked weight."""

    def __init__(self, regularizer):
        self.regularizer = regularizer

    def __call__(self, x):
        return ops.sum(ops.vectorized_map(self.regularizer, ops.convert_to_tensor(x)))


def named_weights(block) -> dict[str, keras.Variable]:
    """Returns a built block's weights by their path inside it, dots for slashes."""
    return weights_by_path(block)
