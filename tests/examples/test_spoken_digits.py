"""`examples/spoken_digits.py`: recordings changed by seed and epoch, masks, and its results.

`python tests/examples/test_spoken_digits.py` rewrites the table in the documentation.
"""

import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "examples"), str(ROOT / "tests")]

import spoken_digits as example  # noqa: E402
import tables  # noqa: E402

GUIDE = ROOT / "docs" / "guide" / "speech.md"
RESULTS = ROOT / "examples" / "results" / "spoken_digits.json"


def written_table():
    return example.table(json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]) + "\n"


def test_the_documentation_has_the_results():
    assert tables.read(GUIDE, "spoken_digits") == written_table()


def recordings(path, count=80):
    random = np.random.default_rng(0)
    waves = [
        (8000 * np.sin(np.arange(random.integers(900, 9000)) * (0.05 + 0.05 * (n % 10)))).astype(
            "int16"
        )
        for n in range(count)
    ]
    np.savez(
        path,
        audio=np.concatenate(waves),
        offsets=np.cumsum([0, *map(len, waves)]),
        digit=np.arange(count, dtype="uint8") % 10,
        speaker=np.array(["ann", "bob", "cy", "dee"])[np.arange(count) % 4],
        recording=np.arange(count, dtype="uint8") // 10 + 5,
    )
    return example.load(path)


def test_recordings_are_changed_by_seed_and_epoch(tmp_path):
    found = recordings(tmp_path / "digits.npz")
    ways = ("speed", "shift", "gain", "noise")
    first, second, other = (
        next(iter(example.batches(found, ways, 16, seed)(epoch)))
        for seed, epoch in ((0, 1), (0, 1), (0, 2))
    )
    np.testing.assert_array_equal(first[0], second[0])
    assert not np.array_equal(first[0], other[0])
    assert first[0].shape == (16, 6400) and abs(first[0].numpy()).max() <= 1
    plain = next(iter(example.batches(found, (), 16, 0)(1)))
    assert sorted(map(tuple, plain[0].numpy()[:, ::100])) != sorted(
        map(tuple, first[0].numpy()[:, ::100])
    )
    # The loudest stretch of a long recording stays.
    long = np.concatenate([np.zeros(5000), np.ones(6000), np.zeros(4000)]).astype("float32")
    assert example.fitted(long).sum() == 6000


def test_a_training_with_masks(tmp_path):
    found = recordings(tmp_path / "digits.npz")
    output = tmp_path / "run"
    words = f"digits.npz --model res8_narrow --output {output} --results {output}/results.json"
    arguments = example.parse(words.split())
    heard = found.number < 11
    kept, accuracy = example.train(
        arguments, found.part(heard | (found.number > 0)), found.part(~heard), ("masks",), 1, output
    )
    assert 0 <= accuracy <= 1
    with_masks = example.with_masks("res8_narrow", 0)
    floats = iter(kept.get_weights())
    with_masks.set_weights(
        [next(floats) if w.dtype == np.float32 else w for w in with_masks.get_weights()]
    )
    waves, _ = found.part(~heard).arrays()
    np.testing.assert_allclose(
        with_masks.predict_on_batch(waves), kept.predict_on_batch(waves), atol=1e-5
    )
    masked, plain = (np.asarray(with_masks(waves, training=kind)) for kind in (True, False))
    assert abs(masked - plain).max() > 1e-4


def test_the_table_has_means_over_speakers():
    rows = [
        {"held_out": "recordings 5 to 9", "way": "as they are", "accuracy": 0.99},
        {"held_out": "ann", "way": "as they are", "accuracy": 0.5},
        {"held_out": "bob", "way": "as they are", "accuracy": 0.7},
    ]
    lines = example.table(rows).splitlines()
    assert lines[2] == "| recordings 5 to 9 | as they are | 99.00% |"
    assert lines[3] == "| one speaker, mean of 2 | as they are | 60.00% (50.00% to 70.00%) |"


if __name__ == "__main__":
    tables.write(GUIDE, "spoken_digits", written_table())
