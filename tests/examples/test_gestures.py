"""The example of gestures makes correct clips, and runs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

SPEC = importlib.util.spec_from_file_location(
    "gestures", Path(__file__).parents[2] / "examples" / "gestures.py"
)
gestures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gestures)


@pytest.fixture
def folder(tmp_path):
    for sign in range(3):
        (tmp_path / str(sign)).mkdir()
        for number in range(5):
            picture = np.full((40 + number, 40, 3), 80 * sign, np.uint8)
            file = tmp_path / str(sign) / f"{number}.png"
            file.write_bytes(tf.io.encode_png(picture).numpy())
    return tmp_path


def test_held_out_photographs_are_the_last(folder):
    train, held_out, names = gestures.photographs(folder)
    assert names == ["0", "1", "2"]
    assert [len(part) for part in (*train, *held_out)] == [4, 4, 4, 1, 1, 1]
    assert train[2].shape[1:] == (gestures.HAND, gestures.HAND, 3)
    with pytest.raises(ValueError, match="two or more signs"):
        gestures.photographs(folder / "0")


def test_signs_stand_in_the_clip_in_their_order_with_gaps_between_them():
    # Ground is brighter than 0.5; hands have one value a sign.
    size = (1, gestures.HAND, gestures.HAND, 3)
    signs = [np.full(size, value, "float32") for value in (0.0, 0.2, 0.4)]
    x, y = gestures.clips(signs, 40, seed=1)
    assert x.shape == (40, gestures.FRAMES, gestures.SIDE, gestures.SIDE, 3)
    np.testing.assert_array_equal(x[:5], gestures.clips(signs, 5, seed=1)[0])
    middle = np.median(x[:, :, 12:20, 12:20], axis=(2, 3, 4))
    for frames, labels in zip(middle, y, strict=True):
        shown = frames < 0.5
        starts = np.flatnonzero(shown & ~np.append(False, shown[:-1]))
        found = [int(np.digitize(frames[start], (0.1, 0.3))) for start in starts]
        assert found == labels[labels >= 0].tolist()
    assert {int((row >= 0).sum()) for row in y} == {1, 2, 3, 4}


@pytest.mark.slow
def test_example_runs(folder, tmp_path):
    pytest.importorskip("matplotlib")
    options = ["--epochs", "1", "--clips", "32", "--held-out", "4", "--width", "2"]
    files = ["--plot", str(tmp_path / "a.png"), "--result", str(tmp_path / "a.json")]
    result = gestures.main([str(folder), *options, *files])
    assert 0 <= result["clips_right"] <= 1
    assert (tmp_path / "a.png").is_file() and (tmp_path / "a.json").is_file()
