"""One artefact of each format, from the model prepared for it."""

import shutil
from pathlib import Path

import keras
import numpy as np

from keras_residual.export._arguments import Request
from keras_residual.export._prepare import is_sequence_model, with_input
from keras_residual.export._signature import input_specs, named_outputs
from keras_residual.export.errors import ExportError
from keras_residual.export.formats import jax as jax_file
from keras_residual.export.formats import onnx as onnx_file
from keras_residual.export.formats import saved_model
from keras_residual.export.formats.litert import litert, lstm
from keras_residual.export.formats.litert.metadata import InputMetadata, add_metadata
from keras_residual.export.rewrite.quantization_aware import for_converter, is_quantization_aware
from keras_residual.layers.image_normalization import ImageNormalization


class Writer:
    """Writes a model in any format.

    Args:
        model: The model as it was given.
        prepared: The model folded, with its preprocessing and batch size.
        request: What to write.
        scratch: A folder for what the conversion needs.
    """

    def __init__(self, model: keras.Model, prepared: keras.Model, request: Request, scratch: Path):
        self.model, self.prepared, self.request = model, prepared, request
        self._scratch = scratch

    def write(self, format: str, path: Path) -> None:
        """Writes one format to `path`."""
        writers = {
            "saved_model": self._saved_model,
            "litert": self._litert,
            "onnx": self._onnx,
            "jax": lambda path: jax_file.write(self.prepared, path),
        }
        writers[format](path)

    def _saved_model(self, path):
        shutil.copytree(self._source(), path)

    def _source(self):
        """Returns a SavedModel of the prepared model, written once."""
        source = self._scratch / "saved_model"
        if not source.exists():
            saved_model.write(self.prepared, source)
        return source

    def _litert(self, path):
        self._check_sizes("litert")
        if is_sequence_model(self.model):
            self._sequences(path)
        elif is_quantization_aware(self.model):
            self._learned_ranges(path)
        else:
            litert.write(
                self._source(),
                path,
                self.request.quantization,
                self.request.samples(),
                self.request.integer_io and self._floating_inputs(),
            )
        path.write_bytes(self._with_metadata(path.read_bytes()))

    def _learned_ranges(self, path):
        if self.request.quantization != "int8":
            raise ExportError(
                'A quantization-aware model becomes a LiteRT file with quantization="int8" only. '
                f"Received: quantization={self.request.quantization!r}"
            )
        source = self._scratch / "ranges"
        saved_model.write(with_input(for_converter(self.model), self.request), source)
        litert.write(source, path, "int8", None, self.request.integer_io)

    def _sequences(self, path):
        if self.request.include_preprocessing:
            raise ExportError(
                "LiteRT files of LSTM models have no preprocessing. "
                "Received: include_preprocessing=True"
            )
        if len(self.model.inputs) > 1:
            raise ExportError(
                "LiteRT files of LSTM models have one input; export the parts, models of one input "
                f"each. Received: {self.model.name!r} with {', '.join(input_specs(self.model))}"
            )
        (data,) = self.request.representative_data.values()
        lstm.write(
            self.model,
            path,
            batch_size=self.request.batch_size or 1,
            steps=self.model.inputs[0].shape[1] or data.shape[1],
            quantization=self.request.quantization,
            representative_data=data,
        )

    def _onnx(self, path):
        self._check_sizes("onnx")
        request = self.request
        onnx_file.write(
            self.prepared,
            path,
            request.quantization,
            request.samples(),
            request.opset,
            request.labels,
        )

    def _check_sizes(self, format):
        if self.request.quantization not in litert.INTEGERS or is_sequence_model(self.model):
            return
        for name, spec in input_specs(self.prepared).items():
            if None in spec.shape[1:]:
                raise ExportError(
                    f'quantization="{self.request.quantization}" needs a fixed input size in '
                    f"{format}; build the model with one. Received: {name!r} of {spec}"
                )

    def _floating_inputs(self):
        return all(spec.is_floating for spec in input_specs(self.prepared).values())

    def _with_metadata(self, content):
        return add_metadata(
            content,
            self.model.name,
            f"{type(self.model).__name__} exported by keras_residual",
            inputs=[self._described(*item) for item in input_specs(self.prepared).items()],
            outputs=list(named_outputs(self.prepared.output)),
            labels=self.request.labels,
            keep_names=self.request.quantization not in litert.INTEGERS,
        )

    def _described(self, name, spec):
        channels = spec.shape[-1] if len(spec.shape) == 4 else None
        return InputMetadata(name, channels, *self._normalization(name))

    def _normalization(self, name):
        """Returns what to subtract and divide by before the file, in units of its raw input."""
        layer = self.request.preprocessing.get(name)
        if not isinstance(layer, ImageNormalization):
            return None, None
        if self.request.include_preprocessing:
            return np.zeros(len(layer.mean)), np.ones(len(layer.mean))
        if layer.channels != "rgb":
            return None, None
        return np.multiply(layer.mean, layer.divisor), np.multiply(layer.std, layer.divisor)
