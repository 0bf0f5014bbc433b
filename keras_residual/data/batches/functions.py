"""Augmentation by layers of Keras and by functions, keyed by `(seed, epoch, image)`."""

import inspect
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_residual.data import keyed

if TYPE_CHECKING:
    import tensorflow as tf

_ACCEPTED = (
    "a preprocessing layer of Keras, a function of `image`, of `image` and `seed` (two integers "
    "for TensorFlow's stateless random operations) or of `image` and `rng` (a generator of NumPy), "
    "or a sequence of these"
)
_MIXING = ("MixUp", "CutMix")
# TensorFlow operations that draw from their own state.
_UNKEYED = {
    "RandomUniform",
    "RandomUniformInt",
    "RandomStandardNormal",
    "TruncatedNormal",
    "RandomShuffle",
    "RandomGammaV2",
    "RandomPoissonV2",
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "SampleDistortedBoundingBoxV2",
    "RngReadAndSkip",
    "StatefulUniform",
}


@dataclass(frozen=True)
class Steps:
    """Layers and functions that are applied to single images, one after the other.

    Images are `(height, width, channels)` float32, integers as levels in 0..255; series are
    `(steps, channels)` unchanged. Every random number that a step draws is determined by the seed,
    the epoch and the number of the image.

    Attributes:
        steps: The changes.
    """

    steps: tuple["_Step", ...]

    def __call__(
        self, image: "tf.Tensor", seed: int, epoch: "tf.Tensor", index: "tf.Tensor"
    ) -> "tf.Tensor":
        """Returns the changed image; called in a `tf.data` pipeline."""
        import tensorflow as tf

        for number, step in enumerate(self.steps):
            draws = tf.constant([2 * number, 2 * number + 1]) + keyed.DRAWS["functions"][0]
            key = keyed.random_integers(2**31 - 1, seed, epoch, index[None], draws)
            image = step(tf.cast(image, tf.float32), key)
        return image

    def __repr__(self) -> str:
        return ", ".join(step.name for step in self.steps)


def steps_of(augmentation: object) -> Steps:
    """Returns the steps of a layer, a function or a sequence of them.

    Raises:
        ValueError: If it is none of these, or draws random numbers that cannot be keyed.
    """
    steps = tuple(_steps(augmentation))
    most = len(keyed.DRAWS["functions"]) // 2
    if not 0 < len(steps) <= most:
        raise ValueError(
            f"`augmentation` must hold 1 to {most} layers or functions. Received: {len(steps)}"
        )
    return Steps(steps)


def _steps(augmentation: object) -> Iterator["_Step"]:
    if isinstance(augmentation, list | tuple):
        for part in augmentation:
            yield from _steps(part)
    elif isinstance(augmentation, keras.Sequential):
        yield from _steps(augmentation.layers)
    elif isinstance(augmentation, keras.Layer):
        yield _LayerStep(augmentation)
    elif callable(augmentation):
        yield _FunctionStep(augmentation)
    else:
        raise ValueError(
            f"`augmentation` must be a name, {_ACCEPTED}. Received: augmentation={augmentation!r}"
        )


class _Step:
    name: str

    def in_numpy(
        self, image: "tf.Tensor", key: "tf.Tensor", change: Callable[..., Any]
    ) -> "tf.Tensor":
        """Calls `change(image, key)` on NumPy arrays inside a graph."""
        import tensorflow as tf

        changed = tf.numpy_function(
            lambda *arrays: np.asarray(change(*arrays), np.float32), [image, key], tf.float32
        )
        changed.set_shape([None] * (len(image.shape) - 1) + [image.shape[-1]])
        return changed


class _LayerStep(_Step):
    """A Keras layer, called on one image at a time with its generators seeded by the key."""

    def __init__(self, layer: keras.Layer):
        if type(layer).__name__ in _MIXING:
            raise ValueError(
                f"`augmentation` changes single images; mix them by `mixup` and `cutmix`. "
                f"Received: {layer.name}"
            )
        self.name = layer.name
        # A copy, so that nothing else uses its generators.
        self._layer = type(layer).from_config(layer.get_config())
        self._generators: list[Any] | None = None
        self._shape: tuple[Any, ...] | None = None
        self._lock = threading.Lock()

    def __call__(self, image, key):
        import tensorflow as tf

        changed = self.in_numpy(image, key, self._changed)
        if None in image.shape:
            return changed
        probe = np.random.default_rng(0).uniform(0, 255, image.shape).astype(np.float32)
        with tf.init_scope():
            first, second = (self._changed(probe, np.array([1, 2], np.int32)) for _ in range(2))
        if not np.array_equal(first, second):
            raise ValueError(
                f"`augmentation` draws random numbers that do not follow from a seed, in layer "
                f"{self.name!r}: write it as a function of `image` and `seed`."
            )
        return tf.ensure_shape(changed, first.shape)

    def _changed(self, image: np.ndarray, key: np.ndarray) -> np.ndarray:
        with self._lock, keras.device("cpu"):
            if self._generators is None:
                self._layer(image[None], training=True)
                self._generators = list(_generators(self._layer, set()))
            for number, generator in enumerate(self._generators):
                generator.state.assign(np.array([key[0], (int(key[1]) + number) % 2**31], "uint32"))
            changed = self._layer(image[None], training=True)
            return keras.ops.convert_to_numpy(changed)[0].astype(np.float32)


def _generators(value: Any, seen: set[Any]) -> Iterator[keras.random.SeedGenerator]:
    """Yields the random generators of a layer and of its sublayers."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, keras.random.SeedGenerator):
        yield value
        return
    if isinstance(value, keras.Layer):
        inside = vars(value).values()
    elif isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    else:
        return
    for part in list(inside):
        yield from _generators(part, seen)


class _FunctionStep(_Step):
    """A function of an image and, optionally, of a seed or a random generator."""

    def __init__(self, function: Callable[..., Any]):
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function
        try:
            names = set(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            names = set()
        self._random = next((name for name in ("rng", "seed") if name in names), None)

    def __call__(self, image, key):
        import tensorflow as tf

        if self._random == "rng":
            return self.in_numpy(
                image, key, lambda image, key: self._function(image, rng=np.random.default_rng(key))
            )
        given = {"seed": key} if self._random else {}
        before = _random_operations()
        try:
            changed = self._function(image, **given)
        except (NotImplementedError, TypeError, AttributeError) as error:
            raise ValueError(
                f"`augmentation` must hold functions of tensors of TensorFlow; one of NumPy arrays "
                f"takes `image` and `rng`. Received: {self.name}, which says: {error}"
            ) from error
        if unkeyed := _random_operations() - before:
            raise ValueError(
                f"`augmentation` draws random numbers that do not follow from a seed, by "
                f"{', '.join(sorted(unkeyed))} in {self.name}: let it take `seed` too "
                "and give that to tf.image.stateless_random_... or tf.random.stateless_..."
            )
        shape = [None] * (len(image.shape) - 1) + [image.shape[-1]]
        return tf.ensure_shape(tf.cast(changed, tf.float32), shape)


def _random_operations() -> set[str]:
    """Returns the operations of the current graph that draw from TensorFlow's own state."""
    import tensorflow as tf

    graphs = [tf.compat.v1.get_default_graph().as_graph_def()]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [
        node for graph in graphs for inner in graph.library.function for node in inner.node_def
    ]
    return {node.name for node in nodes if node.op in _UNKEYED}
