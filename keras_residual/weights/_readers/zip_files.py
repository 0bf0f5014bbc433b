"""Checks zip-based files for damage and zip bombs before anything is decoded."""

import pathlib
import struct
import zipfile

from keras_residual.weights.errors import WeightsError, first_line

# The record at the end of an archive: signature, three numbers skipped here, members in total.
_END = struct.Struct("<4s6xH10x")
# zipfile decompresses these two in pieces, others without a limit.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def names(path: pathlib.Path) -> list[str]:
    """Returns the member names of a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception as error:
        raise WeightsError(
            f"{path}: truncated or damaged zip archive: {first_line(error)}"
        ) from error


def check_directory(path: pathlib.Path, archive: zipfile.ZipFile) -> None:
    """Raises a WeightsError unless the archive lists each member once, in a known compression."""
    members = archive.infolist()
    _check_count(path, len(members))
    if len({info.filename for info in members}) != len(members):
        raise WeightsError(f"{path}: damaged zip archive: it has two members of one name")
    for info in members:
        if info.compress_type not in _METHODS:
            raise WeightsError(
                f"{path}: the compression of its member {info.filename!r} is not supported"
            )


def check(path: pathlib.Path, limit: int) -> None:
    """Raises a WeightsError unless every member matches its stored checksum.

    Args:
        path: The archive.
        limit: Maximal total size of all members in bytes after decompression.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_directory(path, archive)
            members = [info for info in archive.infolist() if info.file_size]
            total = sum(info.file_size for info in members)
            if total > limit:
                raise WeightsError(
                    f"{path}: refused: its members unpack to {total:,} bytes, "
                    f"more than the {limit:,} expected of such a file"
                )
            # torch.serialization.set_crc32_options(False) writes zero for every checksum.
            if members and not any(info.CRC for info in members):
                return
            damaged = archive.testzip()
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(f"{path}: damaged zip archive: {first_line(error)}") from error
    if damaged is not None:
        raise WeightsError(f"{path}: damaged: the checksum of its member {damaged!r} is wrong")


def _check_count(path: pathlib.Path, found: int) -> None:
    """Compares the number of members with the archive's own count, which `zipfile` does not."""
    with open(path, "rb") as file:
        file.seek(-min(_END.size, path.stat().st_size), 2)
        end = file.read()
    signature, count = _END.unpack(end)
    # A larger archive stores the number elsewhere, and a comment would follow this record.
    if signature == b"PK\5\6" and count not in (found, 0xFFFF):
        raise WeightsError(f"{path}: damaged zip archive: it has {found} of {count} members")
