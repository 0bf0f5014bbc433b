"""LiteRT files: converted by TensorFlow, run by ai_edge_litert."""

from pathlib import Path

import numpy as np

from keras_residual.export.errors import ExportError, first_line

# `serving_default` is Keras' name of the signature.
_SIGNATURE = "serving_default"


def write(saved_model: Path, path: Path, quantization: str | None, samples: np.ndarray | None):
    """Converts a SavedModel to a LiteRT file of builtin operations.

    Args:
        saved_model: Folder of a SavedModel with one input.
        path: The file to write.
        quantization: `None` for float32; `"int8"` for integers throughout, input and output
            included.
        samples: `(n, ...)` inputs whose ranges decide the integers' scales.
    """
    import tensorflow as tf

    # `from_concrete_functions` converts without an error to a file that puts out NaN.
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
    if quantization == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    else:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        content = converter.convert()
    except Exception as error:
        raise ExportError(
            f"LiteRT's builtin operations cannot express this model ({first_line(error)})."
        ) from error
    path.write_bytes(content)


class LiteRTRuntime:
    """Runs a LiteRT file; takes and gives floating point whatever the file computes in."""

    def __init__(self, path: Path, threads: int = 1):
        self._content, self._threads, self._name = _read(path), threads, path.name
        self._interpreters = {}
        runner = self._interpreter(None).get_signature_runner(_SIGNATURE)
        ((_, self._input),) = runner.get_input_details().items()
        self._outputs = runner.get_output_details()
        shape = self._input["shape_signature"]
        self.input_shape = tuple(None if size == -1 else int(size) for size in shape)
        self.fixed_batch = self.input_shape[0]

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        interpreter = self._interpreter(batch.shape)
        interpreter.set_tensor(self._input["index"], _quantized(batch, self._input))
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ExportError(f"{self._name} cannot be run ({first_line(error)}).") from error
        return {
            name: _real(interpreter.get_tensor(details["index"]), details)
            for name, details in self._outputs.items()
        }

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
