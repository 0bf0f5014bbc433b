"""Reading weight files of any format, safely, into named NumPy arrays."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from keras_residual import _checks
from keras_residual.weights import _digests
from keras_residual.weights._readers import (
    hdf5_file,
    keras_archive,
    npz_file,
    safetensors_file,
    torch_file,
    zip_files,
)
from keras_residual.weights.arrays import Arrays, Entries, Entry
from keras_residual.weights.errors import WeightsError, first_line

_READERS = {
    "safetensors": safetensors_file.entries,
    "hdf5": hdf5_file.entries,
    "npz": npz_file.entries,
    "torch": torch_file.entries,
    "keras": keras_archive.entries,
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

# Weights hardly compress; a file whose arrays are many times its size is a decompression bomb.
_LARGEST_RATIO = 16
_SMALL = 1 << 26
# More than the memory of any machine; NumPy itself cannot describe much more.
_ABSURD = 1 << 48


def read(
    path: str | os.PathLike[str], digest: str | None = None, max_bytes: int | None = None
) -> Arrays:
    """Reads a weight file into NumPy arrays by name, in the file's order.

    The format is detected from the content: safetensors, HDF5 (keras.applications' and Keras 3's
    layouts), `.npz` without objects, PyTorch checkpoints through the restricted unpickler, and
    `.keras` archives without code. Nothing in the file is ever executed. A known suffix that
    contradicts the content is an error.

    Zip-based formats (`.pth`, `.npz`, `.keras`) have checksums, which are compared. Safetensors,
    HDF5 and PyTorch's old format have none: their structure is validated, but a changed value is
    detected only with `digest`. Arrays of Safetensors and PyTorch files are memory-mapped, so the
    file must not be overwritten in place while they are in use. bfloat16 becomes float32; other
    types are kept.

    Args:
        path: The file.
        digest: `"sha256:…"` or `"md5:…"`, at least the first 8 hexadecimal digits of the file's
            hash. Defaults to `None`, no comparison.
        max_bytes: Maximal total size of the arrays in bytes. Defaults to `None`: 16 times the size
            of the file, and at least 64 MiB, because weights hardly compress.

    Returns:
        `Arrays`, a dict with the attributes `format`, `metadata` and `layers`.

    Raises:
        WeightsError: If the file is missing, empty, truncated, damaged, of another format, larger
            than `max_bytes`, or could run code. The message is one line that names the file and
            the reason.
        ImportError: If the format needs a package that is not installed.

    Example:

    >>> arrays = read("resnet18-f37072fd.pth", digest="sha256:f37072fd")
    >>> arrays["conv1.weight"].shape
    (64, 3, 7, 7)
    """
    if max_bytes is not None:
        _checks.integer("max_bytes", max_bytes, maximum=_ABSURD)
    path = pathlib.Path(path).expanduser()
    with opened(path, digest) as entries:
        total = sum(entry.nbytes for entry in entries.values())
        limit = max_bytes or max(_SMALL, _LARGEST_RATIO * path.stat().st_size)
        if total > limit:
            raise WeightsError(
                f"{path}: its arrays need {total:,} bytes, more than the {limit:,} expected of "
                f"such a file; if you trust it, read it with max_bytes={total}"
            )
        return Arrays(
            {name: entry.read() for name, entry in entries.items()},
            metadata=entries.metadata,
            layers=entries.layers,
            format=entries.format,
        )


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], digest: str | None = None) -> Iterator[Entries]:
    """Yields the entries of a weight file: names, shapes and types, and values on demand.

    Values can be read until the block ends. See `read` for arguments, errors and checks.
    """
    path = pathlib.Path(path).expanduser()
    kind = detect(path)
    if digest is not None:
        _digests.check(path, digest)
    with contextlib.ExitStack() as stack:
        entries = _guarded(path, kind, _READERS[kind], path, stack)
        if not entries:
            raise WeightsError(f"{path}: it holds no arrays")
        for name, entry in entries.items():
            if entry.nbytes > _ABSURD:
                raise WeightsError(f"{path}: damaged: {name!r} claims {entry.nbytes} bytes")
            read = functools.partial(_checked, path, kind, name, entry)
            entries[name] = dataclasses.replace(entry, read=read)
        entries.format = kind
        yield entries


def _checked(path: pathlib.Path, kind: str, name: str, entry: Entry) -> np.ndarray:
    """Returns an entry's values, after checking shape and type against the file's directory."""
    values = _guarded(path, kind, entry.read)
    if values.shape != entry.shape or values.dtype != entry.dtype:
        raise WeightsError(f"{path}: damaged: {name!r} is not of the shape and type it states")
    return values


def _guarded(path: pathlib.Path, kind: str, function, *arguments):
    try:
        return function(*arguments)
    except (WeightsError, ImportError):
        raise
    # The parsers of five libraries raise all kinds of exceptions for malicious files.
    except Exception as error:
        raise WeightsError(f"{path}: damaged {kind} file: {first_line(error)}") from error


def detect(path: str | os.PathLike[str], name: str | None = None) -> str:
    """Returns the format of a weight file from its content.

    Args:
        path: The file.
        name: The name whose suffix must agree with the content. Defaults to that of `path`.

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
    expected = _SUFFIXES.get(pathlib.PurePath(name or path.name).suffix.lower())
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
