"""Core ML packages: writes them with coremltools, and evaluates their program with NumPy.

Apple's runtime exists on macOS and iOS only. The evaluation verifies operations and weights
anywhere, but not a device's own rounding.
"""

import contextlib
import io
import json
import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _needs
from keras_residual._words import first_line, name_of
from keras_residual.export._signature import InputSpec
from keras_residual.export.errors import ExportError, conversion_error
from keras_residual.export.formats.coreml.mil import Program
from keras_residual.export.formats.saved_model import serving

QUANTIZATIONS = (None, "float16", "dynamic")
_FACTS, _LABELS, _OUTPUTS = "keras_residual", "labels", "outputs"
_SMALLEST_WEIGHTS = 512


def check_installed() -> None:
    """Raises an ImportError that says what to install."""
    _needs.tensorflow("Writing Core ML packages")
    _coremltools()


def write(
    network: Any,
    path: Path,
    quantization: str | None = None,
    *,
    inputs: dict[str, InputSpec],
    outputs: tuple[str, ...],
    is_picture: bool = False,
    labels: list[str] | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Converts a network to a package of an ML program.

    Args:
        network: A functional model of a fixed batch size.
        path: The package to write.
        quantization: `None` for float32; `"float16"`; or `"dynamic"`, 8-bit weights and float16
            arithmetic.
        inputs: The network's inputs by name.
        outputs: Names of the network's outputs.
        is_picture: Whether to declare the input as an image, so that apps can pass RGB images.
        labels: Class names of a classifier, which then also outputs the best class.
        facts: Metadata of this library, stored in the package.
    """
    ct, optimize = _coremltools()
    taken = [_taken(ct, name, spec, is_picture) for name, spec in inputs.items()]
    precision = ct.precision.FLOAT32 if quantization is None else ct.precision.FLOAT16
    try:
        with _quiet():
            package = ct.convert(
                [serving(network).get_concrete_function()],
                source="tensorflow",
                convert_to="mlprogram",
                inputs=taken,
                compute_precision=precision,
                minimum_deployment_target=ct.target.iOS16,
                classifier_config=ct.ClassifierConfig(list(labels)) if labels else None,
                skip_model_load=True,
            )
            if quantization == "dynamic":
                settings = optimize.OpLinearQuantizerConfig(
                    mode="linear_symmetric", weight_threshold=_SMALLEST_WEIGHTS
                )
                config = optimize.OptimizationConfig(global_config=settings)
                package = optimize.linear_quantize_weights(package, config)
    # coremltools passes on errors of any kind from its frontend.
    except Exception as error:
        raise ExportError(f"Core ML cannot express this model ({conversion_error(error)}).") from (
            error
        )
    package.short_description = f"{name_of(network)}, exported by keras_residual"
    package.user_defined_metadata[_OUTPUTS] = json.dumps(outputs)
    for key, value in ((_LABELS, labels), (_FACTS, facts)):
        if value:
            package.user_defined_metadata[key] = json.dumps(value, ensure_ascii=False)
    _save(package, path)


def _taken(ct, name, spec, is_picture):
    shape = tuple(spec.shape)
    if None in shape:
        raise ExportError(
            "Core ML needs inputs of fixed size; build the model with a fixed input shape. "
            f"Received: {name!r} of {spec}"
        )
    if is_picture:
        return ct.ImageType(name=name, shape=shape, color_layout=ct.colorlayout.RGB)
    return ct.TensorType(name=name, shape=shape, dtype=np.dtype(spec.type).type)


def _save(package, path):
    with _quiet():
        package.save(str(path))


def _coremltools():
    try:
        with _quiet():
            import coremltools
            import coremltools.optimize.coreml
    except ImportError as error:
        raise ImportError('Core ML needs: pip install "keras-residual[coreml]"') from error
    return coremltools, coremltools.optimize.coreml


@contextlib.contextmanager
def _quiet():
    """Suppresses progress bars and warnings about untested versions."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class CoreMLRuntime:
    """Evaluates the program of a package, one input at a time."""

    format = "coreml"

    def __init__(self, path: Path):
        ct, _ = _coremltools()
        try:
            with _quiet():
                spec = ct.models.utils.load_spec(str(path))
                self._program = Program(spec, path / "Data" / "com.apple.CoreML" / "weights")
        except Exception as error:
            raise ExportError(
                f"{path} is not a readable Core ML package ({first_line(error)})."
            ) from (error)
        described = spec.description
        self._metadata = dict(described.metadata.userDefined)
        self.facts = json.loads(self._metadata.get(_FACTS, "{}"))
        self._images = {e.name for e in described.input if e.type.WhichOneof("Type") == "imageType"}
        self.inputs = {each.name: _spec(each) for each in described.input}
        self._names = json.loads(self._metadata.get(_OUTPUTS, "[]"))
        self.outputs = {name: InputSpec((), "float32") for name in self._names}

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = {}
        for name, spec in self.inputs.items():
            array = np.asarray(batch[name], spec.type)
            values[name] = np.moveaxis(array, -1, 1) if name in self._images else array
        with _quiet():
            outputs = self._program(values)
        names = self._names or [f"output_{index}" for index in range(len(outputs))]
        return {name: np.asarray(v, np.float32) for name, v in zip(names, outputs, strict=True)}

    def operations(self) -> dict[str, int]:
        """Returns the number of operations of each kind in the program."""
        return dict(sorted(Counter(self._program.operation_kinds()).items()))

    def labels(self) -> list[str] | None:
        """Returns the class names in the package."""
        labels = self._metadata.get(_LABELS)
        return None if labels is None else json.loads(labels)


_KINDS = {65568: "float32", 65552: "float16", 131104: "int32", 65600: "float64"}


def _spec(described):
    kind = described.type.WhichOneof("Type")
    if kind == "imageType":
        image = described.type.imageType
        return InputSpec((1, int(image.height), int(image.width), 3), "float32")
    array = described.type.multiArrayType
    return InputSpec(tuple(int(size) for size in array.shape), _KINDS[array.dataType])
