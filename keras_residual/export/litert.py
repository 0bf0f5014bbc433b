"""LiteRT files: converted by TensorFlow, run by ai_edge_litert."""

import io
import zipfile
from pathlib import Path

import numpy as np

from keras_residual.export._tflite_schema import operation_counts, vanishing_outputs
from keras_residual.export.errors import ExportError, conversion_error, first_line

QUANTIZATIONS = (None, "float16", "dynamic", "int8", "int16x8")
INTEGERS = ("int8", "int16x8")


def write(
    saved_model: Path,
    path: Path,
    quantization: str | None = None,
    samples: list[np.ndarray] | None = None,
    integer_io: bool = True,
):
    """Converts a SavedModel to a LiteRT file of builtin operations.

    Args:
        saved_model: Folder of a SavedModel with one input.
        path: The file to write.
        quantization: `None` for float32, `"float16"` for weights of half size, `"dynamic"` for
            weights of 8 bits, `"int8"` for integers throughout, `"int16x8"` for 8-bit weights and
            16-bit activations.
        samples: Batches of inputs whose ranges decide the integers' scales; `None` if the model
            says them.
        integer_io: Whether input and output of a file of integers are integers too.
    """
    import tensorflow as tf

    # `from_concrete_functions` converts without an error to a file that puts out NaN.
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    configure(converter, quantization, samples)
    if quantization in INTEGERS and integer_io:
        kind = tf.int8 if quantization == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = kind
    content = converted(converter)
    dead = vanishing_outputs(content, quantization) if quantization in INTEGERS else []
    if dead:
        raise ExportError(
            f"{quantization} has no scale for {', '.join(dead)}: zero for all of "
            "`representative_data`. Give data that use all of the network, or drop these layers."
        )
    path.write_bytes(content)


def configure(converter, quantization: str | None, samples: list[np.ndarray] | None) -> None:
    """Sets a TensorFlow converter to builtin operations and a quantization."""
    import tensorflow as tf

    sets = tf.lite.OpsSet
    operations = {
        "int8": sets.TFLITE_BUILTINS_INT8,
        "int16x8": sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    }
    # A model that says its ranges is not measured, which these sets would insist on.
    chosen = sets.TFLITE_BUILTINS if samples is None else operations.get(quantization)
    converter.target_spec.supported_ops = [chosen or sets.TFLITE_BUILTINS]
    if quantization is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if samples is not None and quantization in INTEGERS:
        converter.representative_dataset = lambda: ([sample] for sample in samples)


def converted(converter) -> bytes:
    """Returns what a converter makes, or raises an `ExportError` that names what it lacks."""
    try:
        return converter.convert()
    except Exception as error:
        raise ExportError(
            f"LiteRT's builtin operations cannot express this model ({conversion_error(error)})."
        ) from error


class LiteRTRuntime:
    """Runs a LiteRT file; takes and gives floating point whatever the file computes in."""

    format = "litert"

    def __init__(self, path: Path, threads: int = 1):
        self._content, self._threads, self._name = _read(path), threads, path.name
        self._interpreters = {}
        interpreter = self._interpreter(None)
        names = list(interpreter.get_signature_list())
        if not names:
            raise ExportError(f"{path} has no signature, which names inputs and outputs.")
        runner = interpreter.get_signature_runner(names[0])
        inputs = runner.get_input_details()
        if len(inputs) != 1:
            raise ExportError(f"{path} must have one input. Received: {', '.join(inputs)}")
        ((_, self._input),) = inputs.items()
        self._outputs = runner.get_output_details()
        shape = self._input["shape_signature"]
        self.input_shape = tuple(None if size == -1 else int(size) for size in shape)
        self.input_type = np.dtype(self._input["dtype"]).name
        self.fixed_batch = self.input_shape[0]

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        interpreter = self._interpreter(batch.shape)
        # A fused LSTM begins with the states of the run before.
        interpreter.reset_all_variables()
        interpreter.set_tensor(self._input["index"], _quantized(batch, self._input))
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ExportError(f"{self._name} cannot be run ({first_line(error)}).") from error
        return {
            name: _real(interpreter.get_tensor(details["index"]), details)
            for name, details in self._outputs.items()
        }

    def operations(self) -> dict[str, int]:
        """Returns how often each operation occurs in the file."""
        return operation_counts(self._content)

    def labels(self) -> list[str] | None:
        """Returns the labels packed into the file."""
        try:
            with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
                return archive.read("labels.txt").decode().splitlines()
        except (zipfile.BadZipFile, KeyError):
            return None

    def _interpreter(self, shape):
        """One interpreter a shape: its delegates fail on some files once a shape has changed."""
        if shape not in self._interpreters:
            try:
                self._interpreters[shape] = self._new_interpreter(shape)
            except (ValueError, RuntimeError) as error:
                raise ExportError(
                    f"{self._name} cannot be run by LiteRT ({first_line(error)})."
                ) from error
        return self._interpreters[shape]

    def _new_interpreter(self, shape):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ImportError(
                'Running LiteRT files needs: pip install "keras-residual[export]"'
            ) from error
        interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
        if shape is not None:
            interpreter.resize_tensor_input(self._input["index"], shape)
            interpreter.allocate_tensors()
        return interpreter


def _read(path):
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ExportError(f"{path} is no LiteRT file.")
    return content


def _quantized(values, details):
    values = np.asarray(values)
    scale, zero = details["quantization"]
    if not scale:
        return values.astype(details["dtype"], copy=False)
    limits = np.iinfo(details["dtype"])
    steps = np.round(values / scale) + zero
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def _real(values, details):
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values
