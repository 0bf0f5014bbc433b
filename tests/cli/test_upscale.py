"""`keras-residual upscale`: pictures of every kind in and out, through every runtime."""

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import data, export
from keras_residual.data import Picture

image_module = pytest.importorskip("PIL.Image")


def photograph(height=20, width=26, channels=3):
    y, x = np.mgrid[:height, :width] / 6
    waves = [np.sin(x + y * (1 + shift)) for shift in range(channels)]
    return np.round(127 + 120 * np.stack(waves, -1)).astype(np.uint8)


def enlarger(name="EDSR", **options):
    """A network that starts near a cubic enlargement, so that its colours can be judged."""
    keras.utils.set_random_seed(1)
    options = {"scale": 2, "filters": 4, "depth": 4, **options}
    return keras_residual.get_model(name, **options)


@pytest.fixture
def model(tmp_path):
    model = enlarger()
    model.save(tmp_path / "model.keras")
    return model


def expected_pixels(model, pixels):
    outputs = model.predict_on_batch(pixels[None].astype("float32") / 255)[0]
    return np.round(255 * np.clip(outputs, 0, 1))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_a_picture_is_what_the_network_says(run, model, tmp_path, suffix):
    data.write_picture(tmp_path / "in.png", Picture(photograph(40, 90)))
    result = run(f"upscale in.png --model model.keras --output out{suffix} --tile 40 --overlap 12")
    assert result.exit_code == 0, result.output
    assert "90×40 enlarged to 180×80 by model.keras" in result.stdout
    found = data.read_picture(tmp_path / f"out{suffix}").pixels.astype(int)
    difference = np.abs(found - expected_pixels(model, photograph(40, 90)))
    assert difference.mean() < 4 if suffix == ".jpg" else difference.max() <= 1


def test_the_default_output_names_the_scale(run, model, tmp_path):
    data.write_picture(tmp_path / "in.jpg", Picture(photograph()))
    assert run("upscale in.jpg --model model.keras").exit_code == 0
    assert data.read_picture(tmp_path / "in_x2.png").pixels.shape == (40, 52, 3)


def test_orientation_transparency_and_grey(run, model, tmp_path):
    exif = image_module.Exif()
    exif[0x0112], exif[0x013B] = 6, "somebody"
    image_module.fromarray(photograph()).save(tmp_path / "turned.png", exif=exif)
    assert run("upscale turned.png --model model.keras").exit_code == 0
    with image_module.open(tmp_path / "turned_x2.png") as image:
        assert image.size == (40, 52) and image.getexif()[0x013B] == "somebody"
    alpha = np.where(np.arange(26) < 13, 0, 255).astype(np.uint8)[None].repeat(20, 0)
    data.write_picture(tmp_path / "glass.png", Picture(photograph(), alpha))
    assert run("upscale glass.png --model model.keras").exit_code == 0
    found = data.read_picture(tmp_path / "glass_x2.png").alpha
    assert found.shape == (40, 52) and not found[:, :20].any() and (found[:, 32:] == 255).all()
    data.write_picture(tmp_path / "grey.png", Picture(photograph(channels=1)))
    assert run("upscale grey.png --model model.keras").exit_code == 0
    assert data.read_picture(tmp_path / "grey_x2.png").pixels.shape == (40, 52, 1)


def test_grey_of_16_bits_stays_so(run, tmp_path):
    enlarger("VDSR", kernel_initializer="zeros").save(tmp_path / "model.keras")
    pixels = (photograph(channels=1).astype(np.uint16) << 8) + 77
    data.write_picture(tmp_path / "in.png", Picture(pixels))
    assert run("upscale in.png --model model.keras").exit_code == 0
    found = data.read_picture(tmp_path / "in_x2.png").pixels
    assert found.dtype == np.uint16 and len(np.unique(found)) > 256


def test_a_network_for_luminance_keeps_the_colours_of_a_cubic(run, tmp_path):
    model = enlarger("VDSR", kernel_initializer="zeros")
    model.save(tmp_path / "model.keras")
    data.write_picture(tmp_path / "in.png", Picture(photograph()))
    assert run("upscale in.png --model model.keras").exit_code == 0
    found = data.read_picture(tmp_path / "in_x2.png").pixels.astype(int)
    cubic = data.resized(photograph(), 52, 40).astype(int)
    assert np.abs(found - cubic)[4:-4, 4:-4].max() <= 2
    brighter = enlarger("VDSR", kernel_initializer="zeros")
    brighter.get_layer("tail").conv.bias.assign([0.05])
    brighter.save(tmp_path / "model.keras")
    assert run("upscale in.png --model model.keras").exit_code == 0
    step = data.read_picture(tmp_path / "in_x2.png").pixels.astype(int) - found
    inner = (found > 30) & (found < 225)
    assert np.abs(step[inner] - 0.05 * 255 / 0.8588).max() <= 1


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_litert_runs_in_its_fixed_windows(run, model, tmp_path, quantization):
    windows = keras.Input((32, 32, 3))
    fixed = keras.Model(windows, model(windows))
    samples = np.stack([photograph(60, 60)[n : n + 32, n : n + 32] for n in range(0, 28, 4)])
    export.export(
        fixed,
        tmp_path / "exported",
        formats="litert",
        quantization=quantization,
        representative_data=samples.astype("float32") / 255,
    )
    name = "model_int8.tflite" if quantization else "model.tflite"
    data.write_picture(tmp_path / "in.png", Picture(photograph(50, 70)))
    result = run(f"upscale in.png --model exported/{name} --runtime litert --overlap 12")
    assert result.exit_code == 0, result.output
    found = data.read_picture(tmp_path / "in_x2.png").pixels.astype(int)
    difference = np.abs(found - expected_pixels(model, photograph(50, 70)))
    assert difference.max() <= 1 if quantization is None else difference.mean() < 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothing.png --model model.keras", "nothing.png does not exist"),
        ("half.png --model model.keras", "half.png is damaged"),
        ("in.png --model nothing.keras", "nothing.keras does not exist"),
        ("in.png --model classifier.keras", "which is no enlargement"),
        ("in.png --model model.keras --output a.gif", "must end in one of"),
        ("in.png --model model.keras --tile 50", "`--overlap` must be less than half a tile"),
        ("in.png --model model.keras --runtime litert", "needs a .tflite file"),
        ("in.png --model in.tflite --runtime keras", "needs a .keras file"),
    ],
)
def test_refusals(refused, model, tmp_path, line, message):
    data.write_picture(tmp_path / "in.png", Picture(photograph()))
    (tmp_path / "half.png").write_bytes((tmp_path / "in.png").read_bytes()[:200])
    if "classifier" in line:
        small = {"widths": (4,), "depths": (1,), "stem_width": 4}
        classifier = keras_residual.ResNet8(classes=2, input_shape=(8, 8, 3), **small)
        classifier.save(tmp_path / "classifier.keras")
    assert message in refused(f"upscale {line}")
    assert not (tmp_path / "in_x2.png").exists()
