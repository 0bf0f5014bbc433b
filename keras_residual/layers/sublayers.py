"""Sublayers: finding them, and storing sequences of them for TensorFlow checkpoints."""

import types
from collections.abc import Iterator
from typing import Any

import keras

from keras_residual.layers.evo_norm import EvoNorm

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    EvoNorm,
)
# Most attributes of a layer, which hold none; looking closer takes long in deep networks.
_PLAIN = (str, int, float, type(None), types.FunctionType)


def attributes_of(layer) -> dict[str, keras.layers.Layer]:
    """Returns the sublayers that are attributes of a layer, by the attribute's name."""
    # On PyTorch a layer is a module, which stores its children apart from other attributes.
    values = {**vars(layer), **vars(layer).get("_modules", {})}
    return {name: v for name, v in values.items() if isinstance(v, keras.layers.Layer)}


def weights_by_path(layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    """Returns a layer's weights by the names of their sublayers and their own, joined by dots.

    In the order of `layer.weights`. Variables that quantization and LoRA add to a built layer have
    no `path` that could be used instead.
    """
    names = {}
    for sublayer in sublayers_of(layer):
        for path, weight in weights_by_path(sublayer).items():
            names[id(weight)] = f"{sublayer.name}.{path}"
    return {names.get(id(weight), weight.name): weight for weight in layer.weights}


def sublayers_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers that a layer holds in its attributes, as Keras tracks them."""
    found = {}
    for value in vars(layer).values():
        if isinstance(value, _PLAIN):
            continue
        items = value.values() if isinstance(value, dict) else value
        items = items if isinstance(value, (list, tuple, dict)) else [value]
        found.update({id(item): item for item in items if isinstance(item, keras.layers.Layer)})
    return list(found.values())


def normalizations_in(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yields every normalization inside a layer."""
    for sublayer in sublayers_of(layer):
        if isinstance(sublayer, NORMALIZATIONS):
            yield sublayer
        else:
            yield from normalizations_in(sublayer)


class SublayerRow:
    """Mixin of layers with a sequence ("row") of sublayers, each an attribute under its own name.

    TensorFlow checkpoints track attributes, but not the contents of Python lists and dicts. Keras'
    file writer names a sublayer after the first attribute that leads to it, so these attributes are
    hidden from `dir`: files keep the paths of the list, as in `units/dense_unit_3`.
    """

    _rows = ()

    def add_to_row(self, row: str, layers: list[Any]) -> None:
        """Sets each of `layers` as an attribute; `self.row(row)` returns the list."""
        names = tuple(layer.name for layer in layers)
        for name, layer in zip(names, layers, strict=True):
            setattr(self, name, layer)
        known = dict(self._rows)
        self._rows = tuple({**known, row: (*known.get(row, ()), *names)}.items())

    def row(self, row: str) -> list[Any]:
        """Returns the sublayers of a row in order."""
        return [getattr(self, name) for name in dict(self._rows).get(row, ())]

    def __dir__(self) -> list[str]:
        hidden = {name for _, names in self._rows for name in names}
        return [name for name in super().__dir__() if name not in hidden]
