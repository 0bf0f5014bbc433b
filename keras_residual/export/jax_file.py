"""Files of `jax.export`: StableHLO for CPU, CUDA and TPU in one, run by plain JAX."""

import re
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from keras_residual.export.errors import ExportError, first_line

PLATFORMS = ("cpu", "cuda", "tpu")


def check_backend() -> None:
    """Raises a ValueError where models are not JAX functions."""
    backend = keras.backend.backend()
    if backend != "jax":
        raise ValueError(
            f'`formats="jax"` needs Keras on JAX, KERAS_BACKEND=jax. Received: {backend}'
        )


def write(model: keras.Model, path: Path) -> None:
    """Lowers a model of one input for all platforms; its weights are constants of the file."""
    import jax
    from jax import export

    weights = [[v.value for v in model.trainable_variables]]
    weights.append([v.value for v in model.non_trainable_variables])

    def serve(x):
        inputs = keras.tree.map_structure(lambda _: x, model.input)
        return model.stateless_call(*weights, inputs, training=False)[0]

    (tensor,) = model.inputs
    names = (f"n{axis}" if size is None else str(size) for axis, size in enumerate(tensor.shape))
    try:
        shape = export.symbolic_shape(", ".join(names))
        spec = jax.ShapeDtypeStruct(shape, keras.backend.standardize_dtype(tensor.dtype))
        exported = export.export(jax.jit(serve), platforms=PLATFORMS)(spec)
    except Exception as error:
        raise ExportError(
            f"JAX cannot export this model for {', '.join(PLATFORMS)} ({first_line(error)})."
        ) from error
    path.write_bytes(exported.serialize())


class JaxRuntime:
    """Runs a file of `jax.export`."""

    format = "jax"

    def __init__(self, path: Path):
        try:
            from jax import export
        except ImportError as error:
            raise ImportError(
                'Running files of jax.export needs: pip install "keras-residual[jax]"'
            ) from error
        try:
            self._exported = export.deserialize(bytearray(path.read_bytes()))
        except Exception as error:
            raise ExportError(f"{path} is no file of jax.export ({first_line(error)}).") from error
        (spec,) = self._exported.in_avals
        self.input_shape = tuple(size if isinstance(size, int) else None for size in spec.shape)
        self.input_type = np.dtype(spec.dtype).name
        self.fixed_batch = self.input_shape[0]

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        outputs = self._exported.call(np.asarray(batch, self.input_type))
        if not isinstance(outputs, dict):
            flat = keras.tree.flatten(outputs)
            outputs = {f"output_{index}": value for index, value in enumerate(flat)}
        return {name: np.asarray(value) for name, value in outputs.items()}

    def operations(self) -> dict[str, int]:
        """Returns how often each operation of StableHLO occurs."""
        text = self._exported.mlir_module()
        return dict(sorted(Counter(re.findall(r"\bstablehlo\.(\w+)", text)).items()))

    def labels(self) -> None:
        """A file of `jax.export` holds no labels."""
