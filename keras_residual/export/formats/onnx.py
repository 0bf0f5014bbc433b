"""ONNX files: converted through tf2onnx or PyTorch, quantized and run by onnxruntime."""

import contextlib
import logging
import shutil
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from keras_residual import _needs
from keras_residual._words import first_line
from keras_residual.export._signature import InputSpec, named_outputs, structured
from keras_residual.export.errors import ExportError, conversion_error
from keras_residual.export.formats.saved_model import tensor_specs


def check_installed() -> None:
    """Raises an ImportError with the packages to install."""
    _needs.tensorflow("Writing ONNX files")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError('ONNX files need: pip install "keras-residual[export]"') from error


def write(
    model: keras.Model,
    path: Path,
    quantization: str | None = None,
    samples: list[dict[str, np.ndarray]] | None = None,
    opset: int | None = None,
    labels: list[str] | None = None,
) -> None:
    """Converts a model to an ONNX file.

    Args:
        model: A functional model.
        path: The file to write.
        quantization: `None` for float32, `"float16"` for weights and arithmetic of half size,
            `"dynamic"` for 8-bit weights, `"int8"` and `"int16x8"` for 8-bit weights with 8-bit and
            16-bit activations.
        samples: Batches of inputs, arrays by name, that determine the quantization ranges.
        opset: Version of the operations, `None` for the converter's default.
        labels: Names of the outputs, stored in the file's metadata.
    """
    check_installed()
    import onnx

    with _silenced("tf2onnx", "root", "onnxruntime"), tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float32.onnx"
        try:
            if keras.backend.backend() == "tensorflow":
                _convert_tensorflow(model, plain, opset)
            else:
                model.export(plain, format="onnx", verbose=False, opset_version=opset)
            onnx.checker.check_model(str(plain))
        except OSError:
            raise
        except Exception as error:
            raise ExportError(
                f"ONNX cannot express this model ({conversion_error(error)})."
            ) from error
        try:
            _quantize(plain, path, quantization, samples)
        except OSError:
            raise
        except Exception as error:
            raise ExportError(
                f'onnxruntime cannot quantize this model to "{quantization}" ({first_line(error)}).'
            ) from error
        finished = onnx.load(path)
        onnx.checker.check_model(finished)
        if labels:
            onnx.helper.set_model_props(finished, {"labels": "\n".join(labels)})
            onnx.save(finished, path)


def _convert_tensorflow(model, path, opset):
    """Converts like Keras, except that constants held by layers do not become inputs."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    specs = list(tensor_specs(model).values())

    @tf.function(input_signature=specs, autograph=False)
    def named(*values):
        return named_outputs(model(structured(model, values), training=False))

    converted, _ = tf2onnx.convert.from_function(named, specs, opset=opset)
    captures = named.get_concrete_function().graph.captures
    held = {inner.name: outer for outer, inner in captures if outer.dtype != tf.resource}
    for value in [value for value in converted.graph.input if value.name in held]:
        array = held[value.name].numpy()
        converted.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
        converted.graph.input.remove(value)
    onnx.save(converted, path)


def _quantize(plain: Path, path: Path, quantization, samples):
    import onnx

    if quantization is None:
        shutil.move(plain, path)
        return
    from onnxruntime import quantization as ort

    if quantization == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        halved = convert_float_to_float16(onnx.load(plain), keep_io_types=True)
        ort.onnx_model.ONNXModel(halved).topological_sort()
        onnx.save(halved, path)
        return
    if quantization == "dynamic":
        ort.quantize_dynamic(plain, path, per_channel=True, weight_type=ort.QuantType.QInt8)
        return
    activations = {"int8": ort.QuantType.QInt8, "int16x8": ort.QuantType.QInt16}[quantization]
    ort.quantize_static(
        plain,
        path,
        _Reader(samples),
        per_channel=True,
        activation_type=activations,
        weight_type=ort.QuantType.QInt8,
    )


class _Reader:
    """Feeds samples one at a time to the calibration of onnxruntime."""

    def __init__(self, samples):
        self._samples = iter(samples)

    def get_next(self):
        return next(self._samples, None)


@contextlib.contextmanager
def _silenced(*names):
    loggers = [logging.getLogger(None if name == "root" else name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # The converters use deprecated functions of NumPy and onnx.
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class OnnxRuntime:
    """Runs an ONNX file."""

    format = "onnx"

    def __init__(self, path: Path, threads: int = 1):
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise ImportError(
                'Running ONNX files needs: pip install "keras-residual[export]"'
            ) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._path = path
        try:
            self._session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        except Exception as error:
            raise ExportError(
                f"{path} cannot be run by onnxruntime ({first_line(error)})."
            ) from error
        sides = self._session.get_inputs(), self._session.get_outputs()
        self.inputs, self.outputs = ({each.name: _spec(each) for each in side} for side in sides)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = {name: np.asarray(batch[name], spec.type) for name, spec in self.inputs.items()}
        return dict(zip(self.outputs, self._session.run(None, values), strict=True))

    def operations(self) -> dict[str, int]:
        """Returns how often each operation occurs in the file."""
        import onnx

        nodes = onnx.load(self._path, load_external_data=False).graph.node
        return dict(sorted(Counter(node.op_type for node in nodes).items()))

    def labels(self) -> list[str] | None:
        """Returns the labels packed into the file."""
        labels = self._session.get_modelmeta().custom_metadata_map.get("labels")
        return labels.splitlines() if labels else None


def _spec(described):
    shape = tuple(size if isinstance(size, int) else None for size in described.shape)
    return InputSpec(shape, _TYPES.get(described.type, described.type))


_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
