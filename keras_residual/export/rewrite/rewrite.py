"""Rebuilds a functional model with other layers and the same outputs."""

from dataclasses import dataclass

import keras

from keras_residual.export.rewrite import blocks
from keras_residual.export.rewrite.folding import can_fold, set_folded_weights
from keras_residual.export.rewrite.graph import graph_of
from keras_residual.layers.adaptation import is_adapted, merged_layer_weights, plain_config
from keras_residual.layers.stochastic_depth import StochasticDepth
from keras_residual.layers.sublayers import weights_by_path

_HALVES = ("float16", "bfloat16")
_TRAINING_ONLY = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    StochasticDepth,
)


@dataclass(frozen=True)
class Folding:
    """What `fold` did to a model; `str` gives a line.

    Attributes:
        folded: Batch normalizations folded into the preceding convolution or dense layer.
        affine: Those without such a layer, replaced by a scale and an offset per channel.
        kept: Those left unchanged, in a layer or branch that `fold` cannot analyse.
        removed: Layers that are active only in training.
    """

    folded: tuple[str, ...] = ()
    affine: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.folded)} normalizations folded"]
        if self.affine:
            parts.append(f"{len(self.affine)} turned to a scale and an offset")
        if self.kept:
            parts.append(f"{len(self.kept)} kept")
        if self.removed:
            parts.append(f"{len(self.removed)} dropout layers removed")
        return ", ".join(parts)


class Rewrite:
    """Rebuilds models, and records in `folding` what was folded.

    Args:
        fold: Whether batch normalizations are folded and training-only layers removed.
        float32: Whether layers in half precision are changed to float32.
        unrolled: Whether scanned stages become one layer per block.
    """

    def __init__(self, fold: bool = False, float32: bool = False, unrolled: bool = False):
        self.fold, self.float32, self.unrolled = fold, float32, unrolled
        self._folded, self._affine, self._kept, self._removed = [], [], [], []

    def __call__(self, model: keras.Model) -> keras.Model:
        """Returns the new model, with weights of its own."""
        model = _functional(model)
        removed = self._training_only(model) if self.fold else set()
        if removed:
            model = self._rebuilt(model, {}, removed)
        return self._rebuilt(model, self._pairs(model) if self.fold else {}, set())

    def folding(self) -> Folding:
        """What was folded in all models so far."""
        lists = (self._folded, self._affine, self._kept, self._removed)
        return Folding(*map(tuple, lists))

    def _training_only(self, model):
        graph = graph_of(model)
        names = {
            layer.name
            for layer in model.layers
            if isinstance(layer, _TRAINING_ONLY) and not graph.may_train(layer.name)
        }
        self._removed += sorted(names)
        return names

    def _pairs(self, model):
        """Returns the batch normalization to fold into each layer, by that layer's name."""
        graph, layers, pairs = graph_of(model), {layer.name: layer for layer in model.layers}, {}
        for norm in model.layers:
            if not isinstance(norm, keras.layers.BatchNormalization):
                continue
            producer = layers.get(graph.only_source(norm.name))
            fixed = not graph.may_train(norm.name)
            if fixed and producer is not None and can_fold(producer, norm):
                pairs[producer.name] = norm
                self._folded.append(norm.name)
            else:
                self._kept.append(norm.name)
        return pairs

    def _rebuilt(self, model, pairs, left_out):
        copies = []
        left_out = left_out | {norm.name for norm in pairs.values()}

        def copy(layer):
            new = layer if layer.name in left_out else self._copy(layer, layer.name in pairs)
            copies.append((layer, new))
            return new

        def call(layer, *args, **kwargs):
            return args[0] if layer.name in left_out else layer(*args, **kwargs)

        new = keras.models.clone_model(model, clone_function=copy, call_function=call)
        for layer, copied in copies:
            if copied is not layer:
                self._copy_weights(layer, copied, pairs.get(layer.name))
        return new

    def _copy(self, layer, with_bias):
        if _has_graph(layer):
            return self(layer)
        # State outside the configuration cannot be rebuilt, only shared.
        if isinstance(layer, (keras.Model, keras.layers.Lambda)):
            return layer
        if with_bias or isinstance(layer, blocks.KINDS):
            return self._built_again(layer, with_bias)
        try:
            return self._built_again(layer, with_bias)
        except (NotImplementedError, TypeError, ValueError):
            return layer

    def _built_again(self, layer, with_bias):
        if isinstance(layer, blocks.KINDS):
            config = blocks.changed_config(layer, folded=self.fold, unrolled=self.unrolled)
        else:
            config = plain_config(layer.get_config())
        if self.float32 and getattr(layer, "compute_dtype", None) in _HALVES:
            config["dtype"] = "float32"
        if with_bias:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def _copy_weights(self, layer, new, norm):
        if _has_graph(layer) or not isinstance(layer, keras.layers.Layer):
            return
        if norm is not None:
            set_folded_weights(new, layer, norm)
        elif isinstance(layer, blocks.KINDS):
            for path, folded in blocks.copy_weights(layer, new, folded=self.fold).items():
                (self._folded if folded else self._affine).append(path)
        elif is_adapted(layer):
            plain = merged_layer_weights(layer)
            for path, variable in weights_by_path(new).items():
                variable.assign(plain[path])
        else:
            new.set_weights(layer.get_weights())


def _has_graph(model) -> bool:
    if isinstance(model, keras.Sequential):
        return model.built
    return isinstance(model, keras.Model) and bool(getattr(model, "operations", None))


def _functional(model):
    if not _has_graph(model):
        raise ValueError(
            "`model` must be a built functional or sequential model. "
            f"Received: {model!r} of type {type(model).__name__}"
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model
