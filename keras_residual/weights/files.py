"""Reading weight files of any format, safely, into named NumPy arrays."""

import os
import pathlib

import h5py

from keras_residual.weights import _digests
from keras_residual.weights._readers import (
    hdf5_file,
    keras_archive,
    npz_file,
    safetensors_file,
    torch_file,
    zip_files,
)
from keras_residual.weights.arrays import Arrays
from keras_residual.weights.errors import WeightsError, first_line

_READERS = {
    "safetensors": safetensors_file.read,
    "hdf5": hdf5_file.read,
    "npz": npz_file.read,
    "torch": torch_file.read,
    "keras": keras_archive.read,
}
_SUFFIXES = {
    ".safetensors": "safetensors",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".npz": "npz",
    ".pth": "torch",
    ".pt": "torch",
    ".keras": "keras",
}
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_OTHER_CONTENTS = (
    (b"\x80", "a Python pickle, which could run code"),
    (b"\x93NUMPY", "a single NumPy array; save named arrays with numpy.savez"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
    (b"<", "an HTML or XML page, perhaps a server's error message"),
)


def read(path: str | os.PathLike, digest: str | None = None) -> Arrays:
    """Reads a weight file into NumPy arrays by name, in the file's order.

    The content decides the format: safetensors, HDF5 (keras.applications' and Keras 3's layouts),
    `.npz` without objects, PyTorch checkpoints through the restricted unpickler, and `.keras`
    archives that carry no code. Nothing in the file is ever executed. A known suffix that
    contradicts the content is an error.

    Zip-based formats (`.pth`, `.npz`, `.keras`) carry checksums, which are compared. Safetensors,
    HDF5 and PyTorch's old format have none: their structure is validated, but a changed value shows
    only against `digest`. Arrays of Safetensors and PyTorch files are mapped from the file, which
    must not be overwritten in place while they are in use. bfloat16 becomes float32; other types
    stay.

    Args:
        path: The file.
        digest: `"sha256:…"` or `"md5:…"`, at least the first 8 hexadecimal digits of the file's
            hash. Defaults to `None`, no comparison.

    Returns:
        `Arrays`, a dict with the attributes `format`, `metadata` and `layers`.

    Raises:
        WeightsError: If the file is missing, empty, truncated, damaged, of another format, or could
            run code. The message is one line that names the file and the reason.
        ImportError: If the format needs a package that is not installed.

    Example:

    >>> arrays = read("resnet18-f37072fd.pth", digest="sha256:f37072fd")
    >>> arrays["conv1.weight"].shape
    (64, 3, 7, 7)
    """
    path = pathlib.Path(path).expanduser()
    kind = detect(path)
    if digest is not None:
        _digests.check(path, digest)
    try:
        arrays = _READERS[kind](path)
    except (WeightsError, ImportError):
        raise
    # The parsers of five libraries meet hostile bytes here and raise whatever they meet first.
    except Exception as error:
        raise WeightsError(f"{path}: damaged {kind} file: {first_line(error)}") from error
    if not arrays:
        raise WeightsError(f"{path}: it holds no arrays")
    arrays.format = kind
    return arrays


def detect(path: str | os.PathLike) -> str:
    """Returns the format of a weight file from its content.

    Returns:
        `"safetensors"`, `"hdf5"`, `"npz"`, `"torch"` or `"keras"`.

    Raises:
        WeightsError: If the file is missing or empty, or its content is of no known format or not
            of the format that its suffix says.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}")
    size = path.stat().st_size
    if not size:
        raise WeightsError(f"{path}: empty file")
    with open(path, "rb") as file:
        head = file.read(64)
    kind = _kind(path, head)
    expected = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise WeightsError(f"{path}: {_unknown(head, expected)}")
    if expected not in (None, kind):
        suffix = next(suffix for suffix, name in _SUFFIXES.items() if name == kind)
        raise WeightsError(
            f"{path}: named as {expected}, but the content is {kind}; rename it to end in {suffix}"
        )
    return kind


def _kind(path: pathlib.Path, head: bytes) -> str | None:
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if head.startswith(_LEGACY_TORCH):
        return "torch"
    if h5py.is_hdf5(path):
        return "hdf5"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "safetensors"
    return None


def _kind_of_zip(path: pathlib.Path) -> str:
    names = zip_files.names(path)
    if any(name.split("/")[-1] == "data.pkl" for name in names):
        return "torch"
    if "config.json" in names:
        return "keras"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    raise WeightsError(f"{path}: a zip archive, but neither of PyTorch, NumPy nor Keras")


def _unknown(head: bytes, expected: str | None) -> str:
    for start, description in _OTHER_CONTENTS:
        if head.lstrip().startswith(start):
            return f"not a weight file, but {description}"
    return f"damaged, or not a {expected} file" if expected else "of no known weight format"
