"""The example of handwriting makes lines of the digits in their labels, and runs."""

import handwriting_lines as example
import numpy as np
import pytest

from keras_residual import data


def test_lines():
    images = np.linspace(0.3, 1, 10)[:, None, None] * np.ones((1, 8, 8), "float32")
    x, y = example.lines(images, np.arange(10), 30, (0,))
    np.testing.assert_array_equal(x[:5], example.lines(images, np.arange(10), 5, (0,))[0])
    assert x.shape == (30, example.HEIGHT, example.WIDTH, 1) and x.min() >= 0 and x.max() <= 1.2
    sizes = (y >= 0).sum(1)
    assert {*sizes} <= {*range(3, 11)} and len({*sizes}) > 5
    ends = [int(np.flatnonzero(picture.any((0, 2)))[-1]) + 1 for picture in x]
    for end, size in zip(ends, sizes, strict=True):
        # 8 columns a digit, overlapping by two at most.
        assert 8 + 6 * (size - 1) <= end <= 12 + 9 * size
    # No column inside a line is padding.
    assert all(picture[:, :end].any((0, 2)).all() for picture, end in zip(x, ends, strict=True))


def test_training_and_held_out_lines_share_no_picture():
    digits = data.load("digits")
    train, test = (
        example.pictures(part)[0].reshape(-1, 64) for part in (digits.train, digits.test)
    )
    assert not {*map(bytes, train)} & {*map(bytes, test)}
    assert train.max() == 1.0 and train.min() == 0.0


@pytest.mark.slow
def test_example_runs(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.setattr(example, "TEST_LINES", 20)
    words = ["--epochs", "1", "--steps", "2", "--units", "8"]
    words += ["--results", str(tmp_path / "a.json"), "--picture", str(tmp_path / "a.png")]
    result = example.main(words)
    assert 0 <= result["lines_right"] <= 1 and result["lines"] == 20
    assert (tmp_path / "a.json").is_file() and (tmp_path / "a.png").is_file()
