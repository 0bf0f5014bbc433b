"""Files of `jax.export`: one file of StableHLO for CPU, CUDA and TPU, run by plain JAX."""

import re
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from keras_residual._words import first_line
from keras_residual.export._signature import InputSpec, input_specs, named_outputs, structured
from keras_residual.export.errors import ExportError

PLATFORMS = ("cpu", "cuda", "tpu")


def check_backend() -> None:
    """Raises a ValueError if Keras does not run on JAX."""
    backend = keras.backend.backend()
    if backend != "jax":
        raise ValueError(
            f'`formats="jax"` needs Keras on JAX, KERAS_BACKEND=jax. Received: {backend}'
        )


def write(model: keras.Model, path: Path) -> None:
    """Lowers a model for all platforms, with its weights as constants in the file.

    The exported function takes one input, or several by name. Variable sizes are independent of
    each other or, if the model does not allow that, shared by the same axis of all inputs.
    """
    import jax
    from jax import export

    weights = [[v.value for v in model.trainable_variables]]
    weights.append([v.value for v in model.non_trainable_variables])

    specs = input_specs(model)

    def serve(*values, **named):
        flat = values or [named[name] for name in specs]
        inputs = structured(model, flat)
        return model.stateless_call(*weights, inputs, training=False)[0]

    def exported(sizes_of):
        scope = export.SymbolicScope()
        shapes = {
            name: export.symbolic_shape(sizes_of(index, spec.shape), scope=scope)
            for index, (name, spec) in enumerate(specs.items())
        }
        described = {n: jax.ShapeDtypeStruct(shapes[n], spec.type) for n, spec in specs.items()}
        function = export.export(jax.jit(serve), platforms=PLATFORMS)
        return function(**described) if len(specs) > 1 else function(*described.values())

    try:
        try:
            result = exported(_independent)
        except Exception:
            if len(specs) == 1:
                raise
            result = exported(_the_same)
    except Exception as error:
        raise ExportError(
            f"JAX cannot export this model for {', '.join(PLATFORMS)} ({first_line(error)})."
        ) from error
    path.write_bytes(result.serialize())


def _independent(index, shape):
    """Returns an input's symbolic shape for JAX; all inputs share the batch size."""
    axes = enumerate(shape)
    return ", ".join(str(size or (f"n{index}_{axis}" if axis else "n")) for axis, size in axes)


def _the_same(_, shape):
    return ", ".join(str(size or f"n{axis}") for axis, size in enumerate(shape))


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
            raise ExportError(f"{path} is not a jax.export file ({first_line(error)}).") from error
        flat = [_spec(aval) for aval in self._exported.in_avals]
        positional, named = self._exported.in_tree.unflatten(flat)
        self.inputs = {**{f"input_{i}": spec for i, spec in enumerate(positional)}, **named}
        self._positional = len(positional)
        results = self._exported.out_tree.unflatten([_spec(a) for a in self._exported.out_avals])
        self.outputs = named_outputs(results)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = {name: np.asarray(batch[name], spec.type) for name, spec in self.inputs.items()}
        positional = [values.pop(name) for name in list(values)[: self._positional]]
        outputs = self._exported.call(*positional, **values)
        return {name: np.asarray(value) for name, value in named_outputs(outputs).items()}

    def operations(self) -> dict[str, int]:
        """Returns how often each operation of StableHLO occurs."""
        text = self._exported.mlir_module()
        return dict(sorted(Counter(re.findall(r"\bstablehlo\.(\w+)", text)).items()))

    def labels(self) -> None:
        """A file of `jax.export` holds no labels."""


def _spec(aval):
    shape = tuple(size if isinstance(size, int) else None for size in aval.shape)
    return InputSpec(shape, np.dtype(aval.dtype).name)
