"""The examples with strings of spoken digits make correct strings, and run."""

import json

import connected_digits
import keras
import numpy as np
import pytest
import segments
from common import phone
from common.digit_networks import network
from common.digit_strings import (
    BANDS,
    BUCKET,
    HELD_OUT,
    HOP,
    VALIDATION,
    Recordings,
    features_of,
    spectrogram,
)
from examples.spoken import write_digits


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("data") / "digits.npz")


@pytest.fixture(scope="module")
def recordings(path):
    return Recordings(path)


@pytest.mark.parametrize("varied", [False, True])
def test_strings(recordings, varied):
    made = recordings.strings(recordings.train, np.random.default_rng(0), 6, varied=varied)
    again = recordings.strings(recordings.train, np.random.default_rng(0), 6, varied=varied)
    np.testing.assert_array_equal(made.features, again.features)
    sizes = (made.labels >= 0).sum(1)
    assert sizes.max() - sizes.min() <= 1 and 1 <= sizes.min() <= sizes.max() <= 7
    frames = np.array([-(-len(wave) // HOP) for wave in made.waves])
    assert made.frames.tolist() == frames.tolist()
    assert made.features.shape[1] % BUCKET == 0 and made.features.shape[1] >= frames.max()
    for wave, places, size in zip(made.waves, made.segments, sizes, strict=True):
        lengths = places[:size, 1] - places[:size, 0]
        # Each digit is heard for 0.2 s, or for that at another speed.
        assert (lengths == 20).all() or (varied and ((lengths > 15) & (lengths < 26)).all())
        assert (np.diff(places[:size, 0]) >= lengths[:-1] - 5).all()
        assert not places[size:].any() and places.max() <= -(-len(wave) // HOP)
        # The tone is at the place in the labels.
        first, end = places[0] * HOP
        assert abs(wave[first + HOP : end - HOP]).max() > 0.05


def test_held_out_recordings_train_nothing(recordings):
    assert {*recordings.recording[recordings.held_out].tolist()} == {*HELD_OUT}
    assert not {*recordings.recording[recordings.train].tolist()} & {*HELD_OUT}
    seen = []
    original = Recordings.strings
    recordings.strings = lambda rows, *options, **more: (
        seen.append({*rows.tolist()}) or original(recordings, rows, *options, **more)
    )
    try:
        connected_digits.test_strings(recordings)
        assert set.union(*seen) == {*recordings.held_out.tolist()}
        seen.clear()
        next(connected_digits.batches(recordings, 0, 4, 1, 7))
        assert set.union(*seen) == {*recordings.train.tolist()}
    finally:
        del recordings.strings


def test_recordings_for_choices_are_training_recordings(path, recordings):
    chosen_by = Recordings(path, validate=True)
    numbers = {*chosen_by.recording[chosen_by.held_out].tolist()}
    assert numbers and numbers <= {*VALIDATION} and not numbers & {*HELD_OUT}
    assert {*chosen_by.train.tolist(), *chosen_by.held_out.tolist()} == {*recordings.train.tolist()}
    assert not {*chosen_by.train.tolist()} & {*chosen_by.held_out.tolist()}


def test_batches_of_different_lengths_make_one_dataset(recordings, monkeypatch):
    """The first ones say nothing about the length of the others."""
    lengths = [64, 64, 192]
    given = [(np.zeros((32, n, BANDS), "float32"), np.zeros((32, 7), "int32")) for n in lengths]
    monkeypatch.setattr(connected_digits, "batches", lambda *_: iter(given))
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss=lambda y, x: keras.ops.mean(x))
    made = connected_digits.streamed(recordings, 0, 4, 3, 7)
    assert [x.shape[1] for x, _ in made] == lengths
    model.fit(made, shuffle=False, verbose=0)


def test_residual_front_quarters_the_frames_and_keeps_padding():
    model = network(3, True, 4, "residual", bidirectional=True)
    x = np.random.default_rng(0).normal(size=(2, 64, BANDS)).astype("float32")
    x[1, 32:] = 0
    outputs = keras.ops.convert_to_numpy(model(x))
    assert outputs.shape == (2, 16, 11)
    assert (outputs[1, 8:].argmax(-1) == 10).all() and (outputs[1, 8:, :10] < -100).all()
    assert (outputs[0, 8:, :10] > -100).all()


def test_single_digits_are_labelled_at_every_step(recordings):
    x, y = next(connected_digits.batches(recordings, 0, 0, 1, 1))
    assert y.shape == (connected_digits.BATCH, x.shape[1] // connected_digits.STRIDE)
    assert (y == y[:, :1]).all() and y.min() >= 0


def test_a_listener_hears_what_the_network_sees():
    draw = np.random.default_rng(0)
    waves = [draw.normal(0, 0.1, size).astype("float32") for size in (9000, phone.SAMPLES)]
    x, labels = phone.fitting([*waves, np.zeros(phone.SAMPLES + 1)], np.arange(3))
    assert x.shape == (2, phone.SAMPLES) and labels.tolist() == [0, 1]
    features = features_of(keras.ops.convert_to_numpy(spectrogram()(x)))
    tagger = segments.networks(4)[1]
    for inner, frames in ((network(1, True, 4, "residual", mask_value=None), 1), (tagger, 2)):
        right = inner(features.reshape(2, -1, frames * BANDS), training=False)
        found = phone.listener(inner, "listener")(x, training=False)
        np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.slow
def test_a_training_goes_on_where_it_was_and_draws(path, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.setattr(connected_digits, "TEST_STRINGS", 50)
    words = ["--data", str(path), "--output", str(tmp_path), "--steps", "2", "--units", "8"]
    files = ["--results", str(tmp_path / "a.json"), "--picture", str(tmp_path / "a.png")]
    (row,) = connected_digits.main([*words, "--epochs", "4", *files])
    assert np.isfinite(row["word_error_rate"]) and row["digits"] >= 50
    assert (tmp_path / "a.png").stat().st_size > 5_000
    kept = json.loads((tmp_path / "a.json").read_text())
    assert {"command", "date", "machine", "versions", "rows"} <= set(kept)
    # All epochs are done: nothing is trained again, and the figures are those of the file.
    monkeypatch.setattr(connected_digits, "batches", None)
    assert connected_digits.main([*words, "--epochs", "4"]) == [row]


def test_segments_by_runs_and_moved_borders(recordings):
    tags = np.array([10] * 4 + [3] * 6 + [10, 3] + [7] * 5 + [10])
    assert segments.runs(tags) == [(3, 4, 10), (7, 12, 17)]
    places = np.array([[[0, 10], [12, 20], [0, 0]]])
    np.testing.assert_array_equal(segments.moved(places, 0.0, np.random.default_rng(0), 20), places)
    moved = np.concatenate(
        [segments.moved(places, 0.08, np.random.default_rng(n), 20) for n in range(50)]
    )
    assert (moved[:, 2] == 0).all() and (moved[..., 0] < moved[..., 1])[:, :2].all()
    assert moved.max() <= 20 and set(moved[:, 1, 0]) == {*range(8, 17)}
    labels = np.array([[3, 7, -1]])
    tags = segments.tags_of(places, labels, 22)
    assert tags.tolist() == [[3] * 10 + [10] * 2 + [7] * 8 + [10] * 2]


@pytest.mark.slow
def test_segments_run(path, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.setattr(segments, "TEST_STRINGS", 50)
    words = ["--data", str(path), "--steps", "3", "--units", "8"]
    words += ["--results", str(tmp_path / "a.json"), "--picture", str(tmp_path / "a.png")]
    result = segments.main(words)
    assert [row["moved"] for row in result["known_borders"]] == list(segments.MOVED)
    assert all(0 <= row["accuracy"] <= 1 for row in result["known_borders"])
    assert (tmp_path / "a.png").stat().st_size > 5_000
