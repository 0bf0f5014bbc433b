"""Picture files: nothing is lost silently, and what cannot be kept is refused in one line."""

import struct
import zlib

import numpy as np
import pytest

from keras_residual.data import DatasetError, Picture, read_picture, write_picture

image_module = pytest.importorskip("PIL.Image")
ORIENTATION, ARTIST = 0x0112, 0x013B


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("transparent", [False, True])
def test_lossless_formats_give_back_what_was_written(tmp_path, suffix, channels, transparent):
    alpha = noise(5, 7) if transparent else None
    picture = Picture(noise(5, 7, channels), alpha, icc_profile=b"profile")
    write_picture(tmp_path / f"a{suffix}", picture)
    again = read_picture(tmp_path / f"a{suffix}")
    visible = np.ones((5, 7), bool) if alpha is None else alpha > 0
    expected = picture.pixels if suffix == ".png" else np.broadcast_to(picture.pixels, (5, 7, 3))
    np.testing.assert_array_equal(again.pixels[visible], expected[visible])
    assert again.icc_profile == b"profile"
    if transparent:
        np.testing.assert_array_equal(again.alpha, alpha)
    else:
        assert again.alpha is None


def test_jpeg_is_close(tmp_path):
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (64, 64, 3))
    write_picture(tmp_path / "a.jpg", Picture(ramp))
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels.astype(int) - ramp).max() < 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_orientation_turns_the_pixels_and_other_exif_stays(tmp_path, suffix):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :8] = 255
    exif = image_module.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "somebody"  # turned by a quarter to the right
    image_module.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=exif)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.pixels.shape == (32, 16, 3)
    assert picture.pixels[:6].min() > 200 and picture.pixels[10:].max() < 50
    write_picture(tmp_path / f"b{suffix}", picture)
    with image_module.open(tmp_path / f"b{suffix}") as image:
        kept = image.getexif()
    assert kept[ARTIST] == "somebody" and kept.get(ORIENTATION, 1) == 1


def test_grey_of_16_bits_is_kept(tmp_path):
    pixels = noise(6, 5, 1, dtype=np.uint16)
    write_picture(tmp_path / "a.png", Picture(pixels))
    again = read_picture(tmp_path / "a.png")
    assert again.pixels.dtype == np.uint16 and again.white == 65535
    np.testing.assert_array_equal(again.pixels, pixels)
    with pytest.raises(ValueError, match="only PNG holds grey of 16 bits"):
        write_picture(tmp_path / "a.webp", again)


def png_of_16_bit_colours(path):
    """A PNG that Pillow cannot write, by hand."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + bytes(12))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_colours_of_16_bits_are_refused(tmp_path):
    png_of_16_bit_colours(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png has colours of 16 bits"):
        read_picture(tmp_path / "a.png")


def test_palettes_become_colours(tmp_path):
    image = image_module.fromarray(noise(6, 6, 3)).quantize(8)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.png").pixels, np.asarray(image.convert("RGB"))
    )


def write_bad(folder):
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    image = image_module.fromarray(noise(30, 30, 3))
    image.save(folder / "whole.jpg")
    (folder / "half.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:600])
    image.save(folder / "named.png", format="BMP")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    frames = [image_module.fromarray(noise(4, 4, 3) // (n + 1)) for n in range(3)]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    (folder / "folder.png").mkdir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.png", "does not exist"),
        ("empty.png", "is damaged or not a PNG"),
        ("text.png", "is damaged or not a PNG"),
        ("half.jpg", "is damaged or not a PNG"),
        ("named.png", "is a BMP file"),
        ("cmyk.jpg", "has the colours CMYK"),
        ("moving.webp", "is an animation of 3 pictures"),
        ("folder.png", "is a folder"),
    ],
)
def test_unreadable_file_is_named(tmp_path, name, message):
    write_bad(tmp_path)
    with pytest.raises(DatasetError, match=f"{name} {message}") as error:
        read_picture(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [
        ("a.gif", Picture(noise(4, 4, 3)), "must end in one of .png"),
        ("a.jpg", Picture(noise(4, 4, 3), noise(4, 4)), "JPEG has no transparency"),
    ],
)
def test_unwritable_picture_is_refused(tmp_path, name, picture, message):
    with pytest.raises(ValueError, match=message):
        write_picture(tmp_path / name, picture)
    assert not list(tmp_path.iterdir())
