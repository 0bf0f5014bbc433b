"""NumPy `.npz` archives, without pickled objects."""

import contextlib
import functools
import math
import pathlib
import zipfile

import numpy as np

from keras_residual.weights._readers import zip_files
from keras_residual.weights.arrays import Entries, Entry
from keras_residual.weights.errors import WeightsError

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def entries(path: pathlib.Path, stack: contextlib.ExitStack) -> Entries:
    """Returns the entries of an archive, which stays open until `stack` is closed."""
    archive = stack.enter_context(zipfile.ZipFile(path))
    zip_files.check_directory(path, archive)
    found = Entries()
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        start, shape, fortran, dtype = _header(path, archive, info)
        if dtype.hasobject:
            raise WeightsError(
                f"{path}: refused: {name!r} is an array of Python objects, "
                "which are pickled and could run code"
            )
        size = math.prod(shape) * dtype.itemsize
        if start + size != info.file_size:
            raise WeightsError(
                f"{path}: damaged: {name!r} claims {size} bytes, it has {info.file_size - start}"
            )
        read = functools.partial(_values, archive, info, start, shape, fortran, dtype)
        found[name] = Entry(shape, dtype, read)
    return found


def _header(path, archive, info) -> tuple[int, tuple[int, ...], bool, np.dtype]:
    """Returns the offset of a member's values, their shape, order and type."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in _HEADERS:
            raise WeightsError(
                f"{path}: {info.filename!r} is written in version {version} of NumPy's format, "
                "which is not supported"
            )
        shape, fortran, dtype = _HEADERS[version](member)
        return member.tell(), tuple(shape), fortran, dtype


def _values(archive, info, start, shape, fortran, dtype) -> np.ndarray:
    buffer = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    with archive.open(info) as member:
        member.read(start)
        view, done = memoryview(buffer), 0
        while done < len(view):
            count = member.readinto(view[done:])
            if not count:
                raise EOFError(f"{info.filename!r} ends too early")
            done += count
        # zipfile compares the checksum at the end of the member.
        member.read(1)
    return buffer.view(dtype).reshape(shape, order="F" if fortran else "C")
