"""TensorFlow SavedModels: written by Keras, run by plain TensorFlow."""

from collections import Counter
from pathlib import Path

import keras
import numpy as np

from keras_residual.export.errors import ExportError, first_line


def write(model: keras.Model, path: Path) -> None:
    """Writes a SavedModel with the signature `serve`, of the model's own batch size."""
    write_backend = _write if keras.backend.backend() == "tensorflow" else _write_by_keras
    try:
        write_backend(model, path)
    except OSError:
        raise
    except Exception as error:
        raise ExportError(
            f"{model.name!r} cannot be written as a SavedModel ({first_line(error)})."
        ) from error


def _write(model, path):
    import tensorflow as tf

    # Keras' own export writes every weight twice.
    module = tf.Module()
    module.kept = [variable.value for variable in model.variables]
    module.serve = serving(model)
    signatures = {"serve": module.serve, "serving_default": module.serve}
    tf.saved_model.save(module, str(path), signatures)


def serving(model: keras.Model):
    """Returns a model of one input as a TensorFlow function of its own signature."""
    import tensorflow as tf

    (tensor,) = model.inputs
    spec = tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)

    @tf.function(input_signature=[spec], autograph=False)
    def serve(x):
        return model(keras.tree.map_structure(lambda _: x, model.input), training=False)

    return serve


def _write_by_keras(model, path):
    # Left to itself, Keras makes every batch size a variable one.
    signature = keras.tree.map_structure(
        lambda tensor: keras.InputSpec(tensor.dtype, tensor.shape, name=tensor.name), model.input
    )
    options = {"is_static": True} if keras.backend.backend() == "jax" else {}
    model.export(
        path, format="tf_saved_model", verbose=False, input_signature=[signature], **options
    )


class SavedModelRuntime:
    """Runs a SavedModel."""

    format = "saved_model"

    def __init__(self, path: Path):
        import tensorflow as tf

        try:
            loaded = tf.saved_model.load(path)
            self._serve = loaded.signatures["serving_default"]
        except Exception as error:
            raise ExportError(f"{path} is no readable SavedModel ({first_line(error)}).") from error
        # The signature lives only as long as the object it came from.
        self._loaded = loaded
        ((self._input, spec),) = self._serve.structured_input_signature[1].items()
        self._dtype = spec.dtype
        self.input_shape = tuple(spec.shape)
        self.input_type = spec.dtype.name
        self.fixed_batch = self.input_shape[0]

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._serve(**{self._input: tf.convert_to_tensor(batch, self._dtype)})
        return {name: value.numpy() for name, value in outputs.items()}

    def operations(self) -> dict[str, int]:
        """Returns how often each operation occurs in the graph and the functions it calls."""
        definition = self._serve.graph.as_graph_def()
        functions = (function.node_def for function in definition.library.function)
        nodes = [*definition.node, *(node for nodes in functions for node in nodes)]
        return dict(sorted(Counter(node.op for node in nodes).items()))

    def labels(self) -> None:
        """A SavedModel holds no labels."""
