"""Weight files of every format with known arrays, and helpers to compare them."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from support import ramp

from keras_residual.weights import WeightsError, read

ARRAYS = {
    "conv.weight": ramp(4, 3, 3, 3),
    "conv.bias": ramp(4, offset=1.0),
    "half": ramp(5).astype("float16"),
    "steps": np.array(7),
}


def write_safetensors(path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.numpy import save_file

    save_file(ARRAYS, path, metadata={"maker": "test"})


def write_torch(path, **options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save({name: torch.from_numpy(np.array(v)) for name, v in ARRAYS.items()}, path, **options)


def write_legacy_torch(path):
    write_torch(path, _use_new_zipfile_serialization=False)


def write_npz(path):
    np.savez(path, **ARRAYS)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        for name, value in ARRAYS.items():
            file[name] = value


def write_keras_archive(path, config=None):
    buffer = io.BytesIO()
    write_hdf5(buffer)
    config = config or {"module": "keras", "class_name": "Sequential", "config": {}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", buffer.getvalue())


WRITERS = {
    "x.safetensors": ("safetensors", write_safetensors),
    "x.pth": ("torch", write_torch),
    "old.pt": ("torch", write_legacy_torch),
    "x.npz": ("npz", write_npz),
    "x.h5": ("hdf5", write_hdf5),
    "x.keras": ("keras", write_keras_archive),
}
CHECKSUMMED = ("x.pth", "x.npz", "x.keras")


def refusal(path):
    """Returns the reason for which a file is refused, checking the form of the message."""
    with pytest.raises(WeightsError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def assert_same_arrays(actual, expected=ARRAYS):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        np.testing.assert_array_equal(actual[name], value, strict=True)


def flipped(content, position):
    changed = bytearray(content)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)
