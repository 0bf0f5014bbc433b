"""Metadata of LiteRT files: inputs, outputs, labels and normalization.

The layout is TensorFlow Lite's metadata schema: a FlatBuffer in the file's buffer
`TFLITE_METADATA`, and the labels in a zip archive appended to the model.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_residual.export.formats.litert.schema import FACTS, opened, packed

LABELS_FILE = "labels.txt"
_NAME, _IDENTIFIER = b"TFLITE_METADATA", b"M001"
# Values of the schema's unions and enumerations.
_NORMALIZATION_OPTIONS = _FEATURE_PROPERTIES = 1
_IMAGE_PROPERTIES = _TENSOR_AXIS_LABELS = 2
_AUDIO_PROPERTIES = 4
_COLOR_SPACES = {3: 1, 1: 2}


@dataclass(frozen=True)
class InputMetadata:
    """The metadata of an input.

    Attributes:
        name: Its name.
        channels: Number of channels, for images.
        mean: The mean to subtract from each channel.
        std: The standard deviation to divide by.
        sampling_rate: Sampling rate in Hz, for a mono waveform.
    """

    name: str
    channels: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    sampling_rate: int | None = None


def add_metadata(
    content: bytes,
    name: str,
    description: str,
    inputs: Sequence["InputMetadata"],
    outputs: Sequence[str],
    labels: Sequence[str] | None = None,
    keep_names: bool = True,
    facts: dict[str, Any] | None = None,
) -> bytes:
    """Returns a LiteRT file with metadata.

    Args:
        content: The file.
        name: Name of the model.
        description: Description of the model.
        inputs: Its inputs; if its signature has their names, the file's inputs are reordered.
        outputs: Names of its outputs, which are reordered likewise.
        labels: Names along the last axis of the outputs.
        keep_names: Whether internal tensors keep their names: they are a twentieth of a small
            quantized file, but quantizers need them.
        facts: Facts to store for `file_facts`.
    """
    metadata = _metadata(name, description, inputs, outputs, labels)
    entries = {_NAME: metadata}
    if facts:
        entries[FACTS] = json.dumps(facts, separators=(",", ":")).encode()
    content = _with_entries(content, entries, [each.name for each in inputs], outputs, keep_names)
    if not labels:
        return content
    file = io.BytesIO(content)
    # An archive appended to another file counts its offsets from the start of that file.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels) + "\n")
    return file.getvalue()


def _with_entries(content, entries, inputs, outputs, keep_names):
    module, model = opened(content)
    model.metadata = [old for old in model.metadata or [] if old.name not in entries]
    for name, data in entries.items():
        buffer, entry = module.BufferT(), module.MetadataT()
        buffer.data = np.frombuffer(data, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers = [*model.buffers, buffer]
        model.metadata = [*model.metadata, entry]
    for graph in [] if keep_names else model.subgraphs:
        outside = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if index in outside else b""
    for signature in model.signatureDefs or []:
        graph = model.subgraphs[signature.subgraphIndex]
        graph.inputs = _in_order(graph.inputs, signature.inputs, inputs)
        graph.outputs = _in_order(graph.outputs, signature.outputs, outputs)
    return packed(model)


def _in_order(tensors, entries, names):
    """Returns tensors in the order of the names in a signature."""
    found = {entry.name.decode(): entry.tensorIndex for entry in entries}
    ordered = [found[name] for name in names if name in found]
    return ordered if sorted(ordered) == sorted(tensors) else tensors


def _metadata(name, description, inputs, outputs, labels) -> bytes:
    import flatbuffers

    write = _Writer(flatbuffers.Builder(1024))
    sources = write.vector([_input(write, each) for each in inputs])
    results = write.vector([_output(write, each, labels) for each in outputs])
    graph = write.table({2: sources, 3: results}, 10)
    root = {
        0: write.text(name),
        1: write.text(description),
        3: write.vector([graph]),
        7: write.text("1.0.0"),
    }
    write.builder.Finish(write.table(root, 8), _IDENTIFIER)
    return bytes(write.builder.Output())


def _input(write, described):
    content = _content(write, described)
    process = _process(write, described.mean, described.std)
    return write.table({0: write.text(described.name), 3: content, 4: process}, 7)


def _output(write, name, labels):
    files = None
    if labels:
        label_file = {0: write.text(LABELS_FILE), 2: ("byte", _TENSOR_AXIS_LABELS)}
        files = write.vector([write.table(label_file, 5)])
    features = write.table({}, 0)
    scores = write.table({0: ("byte", _FEATURE_PROPERTIES), 1: features}, 3)
    return write.table({0: write.text(name), 3: scores, 6: files}, 7)


def _content(write, described):
    if described.sampling_rate is not None:
        audio = write.table({0: ("uint32", described.sampling_rate), 1: ("uint32", 1)}, 2)
        return write.table({0: ("byte", _AUDIO_PROPERTIES), 1: audio}, 3)
    channels = described.channels
    if channels not in _COLOR_SPACES:
        return None
    image = write.table({0: ("byte", _COLOR_SPACES[channels])}, 2)
    return write.table({0: ("byte", _IMAGE_PROPERTIES), 1: image}, 3)


def _process(write, mean, std):
    if mean is None:
        return None
    options = write.table({0: write.floats(mean), 1: write.floats(std)}, 2)
    return write.vector([write.table({0: ("byte", _NORMALIZATION_OPTIONS), 1: options}, 2)])


class _Writer:
    """Writes tables by field number; a field of `None` is omitted."""

    def __init__(self, builder):
        self.builder = builder

    def text(self, value: str) -> int:
        return self.builder.CreateString(value)

    def floats(self, values) -> int:
        return self.builder.CreateNumpyVector(np.asarray(values, np.float32))

    def vector(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return self.builder.EndVector()

    def table(self, fields: dict[str, Any], size: int) -> int:
        self.builder.StartObject(size)
        for slot, value in fields.items():
            if isinstance(value, tuple):
                kind, number = value
                prepend = {
                    "byte": self.builder.PrependByteSlot,
                    "uint32": self.builder.PrependUint32Slot,
                }
                prepend[kind](slot, number, 0)
            elif value is not None:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return self.builder.EndObject()
