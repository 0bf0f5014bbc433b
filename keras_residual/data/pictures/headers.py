"""Reads the headers of PNG and JPEG files without decoding their pixels."""

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keras_residual.data.errors import DatasetError

# 33 megapixels: more than the pictures of nearly all cameras, 100 MB in memory.
LARGEST_PICTURE = 2**25
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_ORIENTATION = 0x0112
# Files of cameras have a few hundred markers at most.
_MOST_MARKERS = 10_000
_TAIL = 2**16
# In compressed data 0xFF is followed by 0 or a restart marker, or repeated as padding.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1


@dataclass(frozen=True)
class Header:
    """The header of a picture file.

    Attributes:
        format: `"PNG"` or `"JPEG"`.
        height: Rows as stored, before it is turned.
        width: Columns as stored.
        orientation: EXIF orientation, 1 to 8; 1 for upright.
    """

    format: str
    height: int
    width: int
    orientation: int = 1


def read_header(path: str | os.PathLike[str], max_pixels: int = LARGEST_PICTURE) -> Header:
    """Returns the header of a PNG or JPEG file.

    Raises:
        DatasetError: If the header is missing or damaged, or declares more than `max_pixels`.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
            found = _png(file) if start == _PNG else _jpeg(file) if start[:3] == _JPEG else None
    except (struct.error, IndexError, ValueError) as error:
        raise DatasetError(f"{path} is damaged or is not a PNG or JPEG image.") from error
    if found is None or not found.height * found.width:
        raise DatasetError(f"{path} is damaged or is not a PNG or JPEG image.")
    if found.height * found.width > max_pixels:
        raise DatasetError(
            f"{path} has {found.width}×{found.height} pixels, more than max_pixels={max_pixels:,}: "
            "make the picture smaller or raise `max_pixels`."
        )
    return found


def is_whole(path: str | os.PathLike[str], format: str) -> bool:
    """Returns whether a PNG or JPEG file has its end marker, whatever follows it.

    Phones append videos and gain maps of megabytes to their photographs.
    """
    path = Path(path)
    end = b"IEND" if format == "PNG" else b"\xff\xd9"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        if end in file.read():
            return True
    content = path.read_bytes()
    return end in content if format == "PNG" else _has_end(content)


def _has_end(content: bytes) -> bool:
    """Returns whether a JPEG's own end marker is present; that of a thumbnail does not count."""
    place = 2
    for _ in range(_MOST_MARKERS):
        found = _NEXT_MARKER.search(content, place)
        if found is None:
            return False
        marker, place = content[found.start() + 1], found.end()
        if marker == _END:
            return True
        if marker not in _WITHOUT_LENGTH:
            place += int.from_bytes(content[place : place + 2], "big")
    return False


def _png(file: BinaryIO) -> Header:
    length, kind, width, height = struct.unpack(">I4sII", file.read(16))
    if kind != b"IHDR":
        raise IndexError
    file.seek(length - 8 + 4, os.SEEK_CUR)
    orientation = 1
    for _ in range(_MOST_MARKERS):
        # Truncated files are detected by `is_whole`.
        chunk = file.read(8)
        if len(chunk) < 8 or chunk[4:] == b"IEND":
            break
        length, kind = struct.unpack(">I4s", chunk)
        if kind == b"eXIf":
            orientation = _orientation(file.read(length))
            break
        file.seek(length + 4, os.SEEK_CUR)
    return Header("PNG", height, width, orientation)


def _jpeg(file: BinaryIO) -> Header | None:
    orientation = 1
    file.seek(2)
    for _ in range(_MOST_MARKERS):
        start, marker = file.read(2)
        while marker == 0xFF:
            marker = file.read(1)[0]
        if start != 0xFF or marker in (_END, _SCAN):
            return None
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _FRAMES:
            height, width = struct.unpack(">xHH", file.read(5))
            return Header("JPEG", height, width, orientation)
        segment = file.read(length - 2) if marker == _EXIF else b""
        if segment[:6] == b"Exif\0\0":
            orientation = _orientation(segment[6:])
        elif not segment:
            file.seek(max(length - 2, 0), os.SEEK_CUR)
    return None


def _orientation(exif: bytes) -> int:
    """Returns the orientation in EXIF data; 1 if it is missing or the data is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None:
            return 1
        (place,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, place)
        for entry in range(count):
            tag, kind, number, value = struct.unpack_from(
                f"{order}HHIH", exif, place + 2 + 12 * entry
            )
            if tag == _ORIENTATION and (kind, number) == (3, 1) and 1 <= value <= 8:
                return value
    except struct.error:
        pass
    return 1


def upright(pixels, orientation: int):
    """Returns a stored picture rotated and mirrored by its EXIF orientation.

    Args:
        pixels: `(height, width, channels)` array.
        orientation: 1 to 8.
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
