"""Reading picture files, turned upright and with their metadata, and writing them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.headers import LARGEST_PICTURE, read_header

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = {"PNG", "JPEG", "WEBP"}
ORIENTATION = 0x0112
_SIXTEEN_BITS_GREY = ("I;16", "I;16B", "I;16L", "I")


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with its metadata.

    Attributes:
        pixels: `(height, width, 1 or 3)`, uint8, or uint16 for grey of 16 bits.
        alpha: `(height, width)` uint8, or `None` for an opaque picture.
        exif: EXIF data without the orientation, which the pixels already have; empty if none.
        icc_profile: The colour profile, empty if none.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    exif: bytes = b""
    icc_profile: bytes = b""

    @property
    def white(self) -> int:
        """The pixel value of white."""
        return np.iinfo(self.pixels.dtype).max


def pillow():
    """Returns the modules `PIL.Image` and `PIL.ImageOps`."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError('Pictures need: pip install "keras-residual[images]"') from error
    return Image, ImageOps


def files_below(folder: Path) -> list[Path]:
    """Returns the files in a folder and its subfolders, including links, in sorted order.

    Names that begin with a dot are skipped; links to an enclosing folder are not followed.
    """
    found = []

    def walk(place: Path, around: frozenset[Any]) -> None:
        real = os.path.realpath(place)
        if real in around:
            return
        for path in sorted(place.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                walk(path, around | {real})
            elif path.is_file():
                found.append(path)

    walk(folder, frozenset())
    return sorted(found)


def read_picture(path: str | os.PathLike[str], max_pixels: int = LARGEST_PICTURE) -> Picture:
    """Reads a PNG, JPEG or WebP file, turned upright by its EXIF orientation.

    Palettes become colours. 16-bit greyscale is kept; 16-bit colour, which Pillow would reduce to 8
    bits, is refused.

    Args:
        path: The file.
        max_pixels: Maximal number of pixels: a small file can declare a huge picture, which would
            exhaust the memory.

    Raises:
        DatasetError: If the file is missing, damaged, of another format or of a kind that would
            lose something; one line says which.
        ImportError: If Pillow is not installed.

    Example:

    >>> read_picture("holiday.jpg").pixels.shape  # doctest: +SKIP
    (480, 640, 3)
    """
    image_module, ops_module = pillow()
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}.")
    max_pixels = _checks.integer("max_pixels", max_pixels)
    with path.open("rb") as file:
        start = file.read(8)
    if start[:3] == b"\xff\xd8\xff" or start == b"\x89PNG\r\n\x1a\n":
        read_header(path, max_pixels)
    try:
        with image_module.open(path) as image:
            _check(path, image, max_pixels)
            exif, profile = image.getexif(), image.info.get("icc_profile") or b""
            image.load()
            upright = ops_module.exif_transpose(image)
    except DatasetError:
        raise
    # Pillow raises a dozen kinds of exception on damaged bytes.
    except Exception as error:
        raise DatasetError(f"{path} is damaged or not a PNG, JPEG or WebP picture.") from error
    if ORIENTATION in exif:
        del exif[ORIENTATION]
    return Picture(*_pixels(upright), exif.tobytes() if len(exif) else b"", profile)


def _check(path, image, max_pixels):
    if image.format not in _FORMATS:
        raise DatasetError(f"{path} is a {image.format} file. Accepted: PNG, JPEG, WebP.")
    if image.width * image.height > max_pixels:
        raise DatasetError(
            f"{path} has {image.width}×{image.height} pixels, more than max_pixels={max_pixels:,}: "
            "make the picture smaller or raise `max_pixels`."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise DatasetError(f"{path} is an animation of {image.n_frames} pictures.")
    if any("16" in str(part[3]) for part in image.tile) and image.mode not in _SIXTEEN_BITS_GREY:
        raise DatasetError(
            f"{path} has colours of 16 bits, which would be cut to 8: convert it to 8 bits first."
        )
    if image.mode in ("CMYK", "F", "LAB", "HSV"):
        raise DatasetError(f"{path} has the colours {image.mode}: convert it to RGB first.")


def _pixels(image) -> tuple[np.ndarray, np.ndarray | None]:
    if image.mode in _SIXTEEN_BITS_GREY:
        return np.asarray(image).astype(np.uint16)[..., None], None
    transparent = "A" in image.getbands() or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA")
    alpha = np.asarray(image.convert("RGBA"))[..., 3] if transparent else None
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return (pixels[..., None] if grey else pixels), alpha


def write_picture(path: str | os.PathLike[str], picture: Picture, quality: int = 95) -> None:
    """Writes a picture atomically, in the format of the file's suffix.

    Args:
        path: A `.png`, `.jpg`, `.jpeg` or `.webp` file. WebP is lossless.
        picture: The picture.
        quality: Integer from 1 to 100, of JPEG. Defaults to `95`.

    Raises:
        ValueError: If the format cannot hold the picture.
        ImportError: If Pillow is not installed.
    """
    path = Path(path)
    check_writable(path, picture)
    image_module, _ = pillow()
    pixels = picture.pixels.squeeze(-1) if picture.pixels.shape[-1] == 1 else picture.pixels
    image = image_module.fromarray(pixels)
    if picture.alpha is not None:
        image = image.convert("LA" if image.mode == "L" else "RGBA")
        image.putalpha(image_module.fromarray(picture.alpha))
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {"quality": quality}
    if picture.exif:
        options["exif"] = picture.exif
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    with replacing(path) as partial:
        image.save(partial, **options)


def check_writable(path: str | os.PathLike[str], picture: Picture) -> None:
    """Raises a ValueError if a file of this name cannot hold the picture."""
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ValueError(f"{path} must end in one of {', '.join(PICTURE_SUFFIXES)}.")
    if picture.alpha is not None and suffix in (".jpg", ".jpeg"):
        raise ValueError(f"{path}: JPEG has no transparency. Write a .png or .webp file.")
    if picture.pixels.dtype == np.uint16 and suffix != ".png":
        raise ValueError(f"{path}: only PNG holds grey of 16 bits. Write a .png file.")
