"""TensorFlow SavedModels: written by Keras, run by plain TensorFlow."""

from pathlib import Path

import keras
import numpy as np

from keras_residual.export.errors import ExportError, first_line


def write(model: keras.Model, path: Path) -> None:
    """Writes a SavedModel whose signature `serve` takes any batch size."""
    model.export(path, format="tf_saved_model", verbose=False)


class SavedModelRuntime:
    """Runs a SavedModel."""

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
        self.fixed_batch = None

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._serve(**{self._input: tf.convert_to_tensor(batch, self._dtype)})
        return {name: value.numpy() for name, value in outputs.items()}
