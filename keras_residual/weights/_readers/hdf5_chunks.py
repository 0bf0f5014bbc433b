"""Checks the chunks of HDF5 datasets, so that no more is decompressed than the dataset holds."""

import math
import zlib

import h5py

from keras_residual.weights.errors import WeightsError

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
# HDF5 rounds small datasets up to whole chunks.
_SMALL = 1 << 20
_FLETCHER32 = 4


def check(dataset: h5py.Dataset, what: str) -> None:
    """Raises if reading a dataset would take more memory than its values.

    HDF5 decompresses whole chunks, each to the size that its compressed data dictates.

    Args:
        dataset: The dataset.
        what: Name of the dataset in messages.

    Raises:
        WeightsError: If chunks are far larger than the dataset, decompress to another size than
            declared, or are compressed in a way that cannot be checked.
    """
    if not dataset.chunks:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if size > max(dataset.nbytes, _SMALL):
        raise WeightsError(f"{what}: refused: its chunks have {size:,} bytes each")
    pipeline = dataset.id.get_create_plist()
    filters = [pipeline.get_filter(i)[0] for i in range(pipeline.get_nfilters())]
    if not set(filters) <= _FILTERS or filters.count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise WeightsError(f"{what}: only gzip is supported as its compression; store it without")
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    for index in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(index)
        if info.filter_mask:
            raise WeightsError(f"{what}: refused: its chunks are compressed in different ways")
        packed = dataset.id.read_direct_chunk(info.chunk_offset)[1]
        _check_chunk(packed, size, filters, what)


def _check_chunk(packed: bytes, size: int, filters: list[int], what: str) -> None:
    position = filters.index(h5py.h5z.FILTER_DEFLATE)
    checksummed = h5py.h5z.FILTER_FLETCHER32 in filters
    if checksummed and filters.index(h5py.h5z.FILTER_FLETCHER32) > position:
        packed = packed[:-_FLETCHER32]
    elif checksummed:
        size += _FLETCHER32
    unpacked = zlib.decompressobj().decompress(packed, size + 1)
    if len(unpacked) != size:
        raise WeightsError(f"{what}: refused: a chunk of {size:,} bytes unpacks to another size")
