"""The example of connected digits makes the strings that it says, and runs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "connected_digits.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("connected_digits", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Tones for ten digits of two speakers, recordings 5 to 12."""
    rows = [(d, s, r) for d in range(10) for s in ("ann", "bob") for r in range(5, 13)]
    times = np.arange(1600) / 8000
    waves = [np.sin(2 * np.pi * (200 + 150 * d) * times) * 8000 for d, _, _ in rows]
    path = tmp_path / "digits.npz"
    np.savez(
        path,
        audio=np.concatenate(waves).astype("int16"),
        offsets=np.arange(len(rows) + 1) * 1600,
        digit=np.array([d for d, _, _ in rows], "uint8"),
        speaker=np.array([s for _, s, _ in rows]),
        recording=np.array([r for _, _, r in rows], "uint8"),
        rate=8000,
    )
    return path


def test_strings(example, data):
    strings = example.Strings(data)
    rows = np.flatnonzero(strings.recording > 9)
    draw = np.random.default_rng(0)
    waves, x, y = strings.batch(rows, draw, 6)
    again = strings.batch(rows, np.random.default_rng(0), 6)
    np.testing.assert_array_equal(x, again[1])
    sizes = (y >= 0).sum(1)
    assert sizes.max() - sizes.min() <= 1 and 1 <= sizes.min() <= sizes.max() <= 7
    frames = np.array([-(-len(wave) // 80) for wave in waves])
    assert x.any(-1).sum(1).tolist() == frames.tolist()
    assert x.shape[1] % example.STRIDE == 0 and x.shape[1] > frames.max() - 1
    # Each digit has room: it is heard for 0.2 s and overlaps by 0.05 s at most.
    assert all(len(wave) >= 1600 + 1200 * (n - 1) for wave, n in zip(waves, sizes, strict=True))


@pytest.mark.slow
def test_a_training_and_its_picture(example, data, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.setattr(example, "TEST_STRINGS", 100)
    strings = example.Strings(data)
    model, result, test = example.train(strings, 2, True, epochs=4, steps=3, seed=0)
    assert result["layers"] == 2 and result["residual"]
    assert np.isfinite(result["loss"]) and result["digits"] >= 100
    example.draw_string(strings, model, test, tmp_path / "string.png")
    assert (tmp_path / "string.png").stat().st_size > 10_000


def test_held_out_recordings_train_nothing(example, data):
    strings = example.Strings(data)
    seen = []
    strings.batch = lambda rows, *_: seen.append(set(strings.recording[rows].tolist()))
    held_out = np.isin(strings.recording, example.HELD_OUT)
    example.test_strings(strings, np.flatnonzero(held_out))
    assert set.union(*seen) == {5, 6, 7, 8, 9}
