"""LiteRT files: converted by TensorFlow, run by ai_edge_litert."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _needs
from keras_residual._words import first_line
from keras_residual.export._signature import InputSpec
from keras_residual.export.errors import ExportError, conversion_error
from keras_residual.export.formats.litert import statistics
from keras_residual.export.formats.litert.quantized import from_tensor, to_tensor
from keras_residual.export.formats.litert.scales import with_shared_scales
from keras_residual.export.formats.litert.schema import (
    file_facts,
    operation_counts,
    schema,
    vanishing_outputs,
)
from keras_residual.export.quantizations import INTEGERS

# Names of classes; a packed file could unpack to gigabytes.
_LARGEST_LABELS = 1 << 24


def check_installed() -> None:
    """Raises an ImportError with the packages to install."""
    _needs.tensorflow("Writing LiteRT files")
    schema()
    _interpreter_class()


def write(
    saved_model: Path,
    path: Path,
    quantization: str | None = None,
    samples: list[dict[str, np.ndarray]] | None = None,
    input_type: str | None = None,
    output_type: str | None = None,
):
    """Converts a SavedModel to a LiteRT file of builtin operations.

    Args:
        saved_model: Folder of a SavedModel.
        path: The file to write.
        quantization: `None` for float32, `"float16"` for weights of half size, `"dynamic"` for
            weights of 8 bits, `"int8"` for integers throughout, `"int16x8"` for 8-bit weights and
            16-bit activations.
        samples: Batches of inputs, arrays by name, that determine the quantization ranges; `None`
            if the model contains them.
        input_type: Name of the integer type of a quantized file's input, `None` for float32.
        output_type: The same for its output.
    """
    import tensorflow as tf

    # `from_concrete_functions` converts without an error, but the file's outputs are NaN.
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    configure(converter, quantization, samples)
    if input_type is not None:
        converter.inference_input_type = tf.as_dtype(input_type)
    if output_type is not None:
        converter.inference_output_type = tf.as_dtype(output_type)
    content = converted(converter)
    if quantization == "int8" and samples is not None and statistics.has_statistics(content):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        configure(converter, quantization, samples)
        content = statistics.with_integer_ends(
            statistics.with_float_statistics(converter), input_type, output_type
        )
    if quantization == "int8" and samples is not None:
        content = with_shared_scales(content)
    dead = vanishing_outputs(content, quantization) if quantization in INTEGERS else []
    if dead:
        raise ExportError(
            f"{quantization} has no scale for {', '.join(dead)}: zero for all of "
            "`representative_data`. Give data that use all of the network, or drop these layers."
        )
    path.write_bytes(content)


def configure(converter, quantization: str | None, samples: list[dict[str, Any]] | None) -> None:
    """Configures a TensorFlow converter for builtin operations and a quantization."""
    import tensorflow as tf

    sets = tf.lite.OpsSet
    operations = {
        "int8": sets.TFLITE_BUILTINS_INT8,
        "int16x8": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    # These sets require calibration, which a model with ranges of its own does not need.
    chosen = sets.TFLITE_BUILTINS if samples is None else operations.get(quantization)
    converter.target_spec.supported_ops = [chosen or sets.TFLITE_BUILTINS]
    if quantization is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if samples is not None and quantization in INTEGERS:
        converter.representative_dataset = lambda: iter(samples)


def converted(converter) -> bytes:
    """Runs a converter; raises an `ExportError` that names the unsupported operations."""
    try:
        with warnings.catch_warnings():
            # Its calibration uses a deprecated function of TensorFlow.
            warnings.simplefilter("ignore")
            return converter.convert()
    except Exception as error:
        raise ExportError(
            f"LiteRT's builtin operations cannot express this model ({conversion_error(error)})."
        ) from error


class LiteRTRuntime:
    """Runs a LiteRT file, with floating-point inputs and outputs also for a quantized one."""

    format = "litert"

    def __init__(self, path: Path, threads: int = 1):
        self._content, self._threads, self._name = _read(path), threads, path.name
        self._interpreters = {}
        interpreter = self._interpreter(None)
        self._inputs, self._outputs = _by_name(interpreter)
        self.inputs = {name: _spec(details) for name, details in self._inputs.items()}
        self.outputs = {name: _spec(details) for name, details in self._outputs.items()}
        self.quantized = {
            name: (float(details["quantization"][0]), int(details["quantization"][1]))
            for name, details in {**self._inputs, **self._outputs}.items()
            if details["quantization"][0]
        }
        self.facts = file_facts(self._content)
        if "clip" in self.facts:
            # The file takes the frames of one clip, without a batch.
            ((name, spec),) = self.inputs.items()
            self.inputs = {name: InputSpec((1, *self.facts["clip"]), spec.type)}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: self.quantized_input(name, batch[name]) for name in self._inputs}
        interpreter = self._interpreter(tuple(values.shape for values in given.values()))
        # A fused LSTM keeps its states from the previous run.
        interpreter.reset_all_variables()
        for name, details in self._inputs.items():
            interpreter.set_tensor(details["index"], given[name])
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ExportError(f"{self._name} cannot be run ({first_line(error)}).") from error
        return {
            name: from_tensor(interpreter.get_tensor(details["index"]), details)
            for name, details in self._outputs.items()
        }

    def quantized_input(self, name: str, values: np.ndarray) -> np.ndarray:
        """Returns values quantized to the type of an input."""
        values = to_tensor(values, self._inputs[name])
        return values[0] if "clip" in self.facts else values

    def output_values(self, name: str, values: np.ndarray) -> np.ndarray:
        """Dequantizes the values that another runtime returns for an output."""
        return from_tensor(values, self._outputs[name])

    def operations(self) -> dict[str, int]:
        """Returns how often each operation occurs in the file."""
        return operation_counts(self._content)

    def labels(self) -> list[str] | None:
        """Returns the labels packed into the file."""
        try:
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                if archive.getinfo("labels.txt").file_size > _LARGEST_LABELS:
                    return None
                return archive.read("labels.txt").decode().splitlines()
        # The file has no archive, or one without labels, or a damaged one: zipfile and its
        # decompressors raise a dozen kinds of exception.
        except Exception:
            return None

    def _interpreter(self, shapes):
        """Returns one interpreter per shape, as delegates fail on some files after a resize."""
        if shapes not in self._interpreters:
            try:
                self._interpreters[shapes] = self._new_interpreter(shapes)
            except (ValueError, RuntimeError) as error:
                raise ExportError(
                    f"{self._name} cannot be run by LiteRT ({first_line(error)})."
                ) from error
        return self._interpreters[shapes]

    def _new_interpreter(self, shapes):
        interpreter = _interpreter_class()(model_content=self._content, num_threads=self._threads)
        if shapes is not None:
            for details, shape in zip(self._inputs.values(), shapes, strict=True):
                interpreter.resize_tensor_input(details["index"], shape)
            interpreter.allocate_tensors()
        return interpreter


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            'Running LiteRT files needs: pip install "keras-residual[export]"'
        ) from error
    return Interpreter


def _by_name(interpreter):
    """Returns the details of inputs and outputs by signature name, in the file's order."""
    sides = interpreter.get_input_details(), interpreter.get_output_details()
    signatures = list(interpreter.get_signature_list())
    if not signatures:
        return [{details["name"]: details for details in side} for side in sides]
    runner = interpreter.get_signature_runner(signatures[0])
    named = runner.get_input_details(), runner.get_output_details()
    order = [[details["index"] for details in side] for side in sides]
    return [
        dict(sorted(side.items(), key=lambda item: indices.index(item[1]["index"])))
        for side, indices in zip(named, order, strict=True)
    ]


def _spec(details):
    shape = tuple(None if size == -1 else int(size) for size in details["shape_signature"])
    return InputSpec(shape, np.dtype(details["dtype"]).name)


def _read(path):
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ExportError(f"{path} is not a LiteRT file.")
    return content
