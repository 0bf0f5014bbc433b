"""`keras-residual inspect`: one page that needs nothing beside it."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import keras_residual


@pytest.fixture
def model(tmp_path):
    options = {"depths": (2, 1), "widths": (4, 6), "stem_width": 4, "stem": "conv3"}
    model = keras_residual.ResNet("basic", input_shape=(8, 8, 1), classes=10, **options)
    model.save(tmp_path / "model.keras")
    return model


@pytest.fixture
def page(run, model, tmp_path):
    result = run("inspect model.keras --data digits --samples 40 --output out")
    assert result.exit_code == 0, result.output
    assert "Effective path length" in result.stdout and "out/report.html" in result.stdout
    return tmp_path / "out" / "report.html"


def test_page_holds_every_picture_and_names_no_other_file(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        "Network",
        "Gradient flow",
        "Residual strength and layer responses",
        "Lesion study",
        "Paths",
    ]
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r'src="[^"]*"', "", text)
    assert "stage1/block2" in text and text.count("<table>") == text.count("</table>") == 3
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser:
        picture = page.with_name("page.png")
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,3000")
        subprocess.run(
            [browser, *options, f"--screenshot={picture}", page.as_uri()], check=True, timeout=120
        )
        assert picture.stat().st_size > 50_000


@pytest.mark.parametrize("family", ["HighwayNet", "DPN", "FractalNet"])
def test_networks_whose_units_have_no_ratio(run, tmp_path, family):
    """Theirs is the page without the strength of residuals."""
    expected = ["Network", "Gradient flow", "Lesion study"]
    options = {"widths": (4,), "depths": (2,)}
    if family == "FractalNet":
        options, expected = {"widths": (4,), "columns": 2}, expected[:2]
    if family == "DPN":
        options |= {"stem": "conv3", "stem_width": 4, "growth_rates": (2,), "base_width": 4}
        options["cardinality"] = 2
    network = getattr(keras_residual, family)(input_shape=(8, 8, 1), classes=10, **options)
    network.save(tmp_path / "model.keras")
    result = run("inspect model.keras --data digits --samples 8 --output out")
    assert result.exit_code == 0, result.output
    headings = re.findall("<h2>(.*?)</h2>", (tmp_path / "out" / "report.html").read_text())
    assert headings == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothing.keras", "nothing.keras does not exist"),
        ("half.keras", "truncated or no .keras file"),
        ("model.weights.h5", "is not a model file"),
        ("enlarger.keras", "The model takes inputs of (None, None, 3)"),
        ("model.keras --data colours.npz", "The model takes inputs of (8, 8, 1)"),
        ("blockless.keras", "must have residual stages, dense blocks or highway layers"),
    ],
)
def test_refusals(refused, model, tmp_path, line, message):
    import keras

    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "half.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:500])
    keras_residual.EDSR(filters=4, depth=2).save(tmp_path / "enlarger.keras")
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(tmp_path / "blockless.keras")
    images, labels = np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "colours.npz", **arrays)
    assert message in refused(f"inspect {line}")
