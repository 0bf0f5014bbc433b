"""Metadata of LiteRT files: what goes in, what comes out, labels and normalization.

The layout is TensorFlow Lite's metadata schema: a FlatBuffer in the file's buffer
`TFLITE_METADATA`, and the labels in a zip archive behind the model.
"""

import io
import zipfile
from collections.abc import Sequence

import numpy as np

from keras_residual.export._tflite_schema import schema

LABELS_FILE = "labels.txt"
_NAME, _IDENTIFIER = b"TFLITE_METADATA", b"M001"
# Numbers of the schema's unions and enumerations.
_NORMALIZATION_OPTIONS = _FEATURE_PROPERTIES = 1
_IMAGE_PROPERTIES = _TENSOR_AXIS_LABELS = 2
_COLOR_SPACES = {3: 1, 1: 2}


def add_metadata(
    content: bytes,
    name: str,
    description: str,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    keep_names: bool = True,
) -> bytes:
    """Returns a LiteRT file with metadata.

    Args:
        content: The file.
        name: Name of the model.
        description: What it is.
        channels: Channels of the images it takes, if it takes images.
        mean: What a program must subtract from each channel of the input first.
        std: What it must divide by then.
        labels: Names of the outputs of the last axis.
        keep_names: Whether what is computed inside keeps its names: a twentieth of a small
            network's file of integers, but quantizers need them.
    """
    metadata = _metadata(name, description, channels, mean, std, labels)
    content = _with_buffer(content, metadata, keep_names)
    if not labels:
        return content
    file = io.BytesIO(content)
    # Appended to something that is no archive, an archive counts its positions from the beginning.
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels) + "\n")
    return file.getvalue()


def _with_buffer(content, metadata, keep_names):
    module = schema()
    import flatbuffers

    model = module.ModelT.InitFromPackedBuf(content, 0)
    buffer, entry = module.BufferT(), module.MetadataT()
    buffer.data = np.frombuffer(metadata, np.uint8)
    entry.name, entry.buffer = _NAME, len(model.buffers)
    model.buffers = [_AlignedBuffer(module, each.data) for each in [*model.buffers, buffer]]
    kept = [old for old in model.metadata or [] if old.name != _NAME]
    model.metadata = [*kept, entry]
    for graph in [] if keep_names else model.subgraphs:
        outside = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            tensor.name = tensor.name if index in outside else b""
    builder = flatbuffers.Builder(len(content) + len(metadata) + 65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _AlignedBuffer:
    """A buffer on an address that 16 divides, as the schema demands and Python's writer forgets."""

    def __init__(self, module, data):
        self._module, self._data = module, data

    def Pack(self, builder):
        if self._data is not None:
            data = np.asarray(self._data, np.uint8).tobytes()
            builder.StartVector(1, len(data), 16)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        self._module.BufferStart(builder)
        if self._data is not None:
            self._module.BufferAddData(builder, vector)
        return self._module.BufferEnd(builder)


def _metadata(name, description, channels, mean, std, labels) -> bytes:
    import flatbuffers

    write = _Writer(flatbuffers.Builder(1024))
    inputs = write.table(
        {0: write.text("input"), 3: _content(write, channels), 4: _process(write, mean, std)}, 7
    )
    files = None
    if labels:
        label_file = {0: write.text(LABELS_FILE), 2: ("byte", _TENSOR_AXIS_LABELS)}
        files = write.vector([write.table(label_file, 5)])
    features = write.table({}, 0)
    scores = write.table({0: ("byte", _FEATURE_PROPERTIES), 1: features}, 3)
    outputs = write.table({0: write.text("output"), 3: scores, 6: files}, 7)
    graph = write.table({2: write.vector([inputs]), 3: write.vector([outputs])}, 10)
    root = {
        0: write.text(name),
        1: write.text(description),
        3: write.vector([graph]),
        7: write.text("1.0.0"),
    }
    write.builder.Finish(write.table(root, 8), _IDENTIFIER)
    return bytes(write.builder.Output())


def _content(write, channels):
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
    """Writes tables by the numbers of their fields; `None` is a field left out."""

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

    def table(self, fields: dict, size: int) -> int:
        self.builder.StartObject(size)
        for slot, value in fields.items():
            if isinstance(value, tuple):
                self.builder.PrependByteSlot(slot, value[1], 0)
            elif value is not None:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return self.builder.EndObject()
