"""Headers of picture files: sizes, orientation, ends, and files made to fill the memory."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from keras_residual import data
from keras_residual.data.pictures.headers import is_whole, read_header, upright
from keras_residual.data.sources.picture_files import decode

image_module = pytest.importorskip("PIL.Image")
ops_module = pytest.importorskip("PIL.ImageOps")


def oriented(orientation, format="JPEG", size=(8, 16)):
    """A picture whose quarters differ, and its file."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[: size[0] // 2, : size[1] // 2] = (255, 0, 0)
    pixels[size[0] // 2 :, size[1] // 2 :] = (0, 0, 255)
    image = image_module.fromarray(pixels)
    exif = image_module.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, format, exif=exif.tobytes(), **({} if format == "PNG" else {"quality": 95}))
    return file.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [*range(1, 9), None])
def test_orientation_is_followed_as_pillow_does(tmp_path, orientation, format):
    path = tmp_path / "picture"
    path.write_bytes(oriented(orientation, format))
    found = read_header(path)
    assert (found.format, found.height, found.width) == (format, 8, 16)
    assert found.orientation == (orientation or 1)
    theirs = np.asarray(ops_module.exif_transpose(image_module.open(path)))
    np.testing.assert_allclose(decode(str(path)), theirs, atol=16)
    grid = np.arange(6).reshape(2, 3, 1).astype("uint8")
    exif = image_module.Exif()
    exif[0x0112] = orientation or 1
    image = image_module.fromarray(grid[..., 0])
    image.info["exif"] = exif.tobytes()
    turned = ops_module.exif_transpose(image)
    np.testing.assert_array_equal(upright(grid, orientation or 1)[..., 0], np.asarray(turned))


def test_folders_follow_orientation(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(3):
            orientation = 6 if number == 1 else 1
            size = (8, 16) if orientation == 6 else (16, 8)
            (tmp_path / name / f"{number}.jpg").write_bytes(oriented(orientation, size=size))
    assert data.load(tmp_path).image_shape == (16, 8, 3)


def test_phones_append_megabytes(tmp_path):
    """Motion photos and gain maps: the end marker stands far before the end of the file."""
    plain = oriented(6)
    path = tmp_path / "motion.jpg"
    # A second picture, as a gain map is, and a video without the bytes of a marker.
    for rest in (bytes(2**17), plain + bytes(2**17), b"\0\0\0\x18ftypmp42" + bytes(2**18)):
        path.write_bytes(plain + rest)
        assert is_whole(path, "JPEG")
        np.testing.assert_array_equal(decode(str(path)), decode_bytes(tmp_path, plain))
        path.write_bytes(plain[: len(plain) // 2] + bytes(2**17))
        assert not is_whole(path, "JPEG")


def decode_bytes(folder, content):
    path = folder / "plain.jpg"
    path.write_bytes(content)
    return decode(str(path))


def test_an_end_inside_a_thumbnail_is_none(tmp_path):
    plain = oriented(1, size=(64, 64))
    thumbnail = b"\xff\xe2" + struct.pack(">H", len(plain) + 2) + plain
    path = tmp_path / "thumbnail.jpg"
    path.write_bytes(plain[:2] + thumbnail + plain[2:-30] + bytes(2**17))
    assert not is_whole(path, "JPEG")
    path.write_bytes(plain[:2] + thumbnail + plain[2:] + bytes(2**17))
    assert is_whole(path, "JPEG")


def huge_png(side):
    """A picture of one colour: a few hundred kB that would take `3 side²` bytes of memory."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(3 * side + 1)) for _ in range(side)) + packer.flush()

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_huge_pictures_are_refused_by_their_headers(tmp_path, monkeypatch):
    content = huge_png(300)
    content = content[:16] + struct.pack(">II", 15_000, 15_000) + content[24:]
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.png").write_bytes(content)
    monkeypatch.setattr(tf.io, "decode_image", lambda *_, **__: pytest.fail("was decoded"))
    with pytest.raises(data.DatasetError, match=r"4 of 4 pictures.*15000×15000.*max_pixels"):
        data.load(tmp_path)
    with pytest.raises(data.DatasetError, match=r"15000×15000 pixels, more than max_pixels"):
        data.read_picture(tmp_path / "ant" / "0.png")


def test_the_limit_can_be_raised(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(huge_png(300))
    with pytest.raises(data.DatasetError, match="more than max_pixels=89,999"):
        data.read_picture(path, max_pixels=89_999)
    assert data.read_picture(path, max_pixels=90_000).pixels.shape == (300, 300, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_damaged_headers(tmp_path, format):
    whole = oriented(6, format)
    path = tmp_path / "picture"
    first_bits = {"JPEG": 700, "PNG": 33}[format]
    for length in range(0, first_bits, 7):
        path.write_bytes(whole[:length])
        try:
            found = read_header(path)
        except data.DatasetError as error:
            assert str(path) in str(error)
        else:
            assert (found.height, found.width) == (8, 16)
    random = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        content[random.integers(len(content))] = random.integers(256)
        path.write_bytes(content)
        try:
            assert read_header(path).orientation in range(1, 9)
        except data.DatasetError as error:
            assert str(path) in str(error)
