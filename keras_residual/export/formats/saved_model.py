"""TensorFlow SavedModels: written by Keras, run by plain TensorFlow."""

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual import _needs
from keras_residual._words import first_line
from keras_residual.export._signature import InputSpec, flat_outputs, input_specs, structured
from keras_residual.export.errors import ExportError


def check_installed() -> None:
    """Raises an ImportError with the packages to install."""
    _needs.tensorflow("A SavedModel")


def write(model: keras.Model, path: Path) -> None:
    """Writes a SavedModel with the signature `serve`, keeping the model's batch size."""
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

    # `model.export` of Keras writes every weight twice.
    module = tf.Module()
    module.kept = [variable.value for variable in model.variables]
    module.serve = serving(model)
    signatures = {"serve": module.serve, "serving_default": module.serve}
    tf.saved_model.save(module, str(path), signatures)


def serving(model: keras.Model):
    """Returns a model as a TensorFlow function of its tensor or structure of tensors."""
    import tensorflow as tf

    specs = tensor_specs(model)
    (argument, *more) = specs.values()
    argument = structured(model, specs.values()) if more else argument

    @tf.function(input_signature=[argument], autograph=False)
    def serve(x):
        return flat_outputs(model(structured(model, keras.tree.flatten(x)), training=False))

    return serve


def tensor_specs(model: keras.Model) -> dict[str, Any]:
    """Returns a `tf.TensorSpec` for each of a model's inputs, by name."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec(spec.shape, spec.type, name=name)
        for name, spec in input_specs(model).items()
    }


def _write_by_keras(model, path):
    # By default Keras makes every batch size variable.
    described = {
        name: keras.InputSpec(spec.type, spec.shape, name=name)
        for name, spec in input_specs(model).items()
    }
    signature = [structured(model, described.values())]
    options = {"is_static": True} if keras.backend.backend() == "jax" else {}
    model.export(path, format="tf_saved_model", verbose=False, input_signature=signature, **options)


@contextlib.contextmanager
def plain_path(path: Path) -> Iterator[Path]:
    """Yields a path of a folder without characters that TensorFlow takes for a glob pattern.

    TensorFlow finds the files of a SavedModel by a glob pattern, in which `[`, `*`, `{` and others
    in the folder's name have a special meaning.
    """
    if not set(str(path)) & set("*?[]{}\\"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "saved_model"
        try:
            link.symlink_to(path.resolve(), target_is_directory=True)
        except OSError:
            # Windows allows only some users to create links.
            shutil.copytree(path, link)
        yield link


class SavedModelRuntime:
    """Runs a SavedModel."""

    format = "saved_model"

    def __init__(self, path: Path):
        _needs.tensorflow("A SavedModel")
        import tensorflow as tf

        try:
            with plain_path(path) as plain:
                loaded = tf.saved_model.load(plain)
            self._serve = loaded.signatures["serving_default"]
        except Exception as error:
            raise ExportError(
                f"{path} is not a readable SavedModel ({first_line(error)})."
            ) from error
        # The signature is valid only while the loaded object exists.
        self._loaded = loaded
        specs = self._serve.structured_input_signature[1]
        self.inputs = {
            name: InputSpec(tuple(specs[name].shape), specs[name].dtype.name)
            for name in _in_order(loaded, specs)
        }
        found = self._serve.structured_outputs
        self.outputs = {
            name: InputSpec(tuple(found[name].shape), found[name].dtype.name)
            for name in sorted(found, key=_numbered)
        }

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        import tensorflow as tf

        values = {
            name: tf.convert_to_tensor(batch[name], spec.type) for name, spec in self.inputs.items()
        }
        outputs = self._serve(**values)
        return {name: outputs[name].numpy() for name in sorted(outputs, key=_numbered)}

    def operations(self) -> dict[str, int]:
        """Returns how often each operation occurs in the graph and the functions it calls."""
        definition = self._serve.graph.as_graph_def()
        functions = (function.node_def for function in definition.library.function)
        nodes = [*definition.node, *(node for nodes in functions for node in nodes)]
        return dict(sorted(Counter(node.op for node in nodes).items()))

    def labels(self) -> None:
        """A SavedModel holds no labels."""


def _numbered(name):
    """Sort key that puts output_2 before output_10."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdecimal() else (name, -1)


def _in_order(loaded, specs):
    """Returns the names of inputs in the order of the signature's function, if it has one.

    The signature itself has none.
    """
    functions = getattr(getattr(loaded, "serve", None), "concrete_functions", [])
    for function in functions:
        names = [spec.name for spec in keras.tree.flatten(function.structured_input_signature)]
        if set(names) == set(specs):
            return names
    return sorted(specs)
