"""Recordings: every source of them, what is refused, and their augmentation."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import one_line

from keras_residual import data
from keras_residual.data import augment
from keras_residual.data.sources import sound_files

soundfile = pytest.importorskip("soundfile")
RATE = 8000


def tone(number, length=400):
    return (8000 * np.sin(np.arange(length) * (number + 1) / 20)).astype("int16")


def write(path, samples, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)


def folder_of(place, count=5):
    for label, name in enumerate(("no", "yes")):
        for number in range(count):
            write(place / name / f"{number}.wav", tone(label * 10 + number, 300 + 20 * number))
    return place


def test_folders_by_class(tmp_path):
    dataset = data.load(folder_of(tmp_path))
    assert dataset.class_names == ("no", "yes") and dataset.train.rate == RATE
    assert dataset.image_shape == (380, 1) and (len(dataset.train), len(dataset.test)) == (8, 2)
    assert "8 training and 2 held-out recordings of 0.0475 s at 8,000 Hz, 2 classes" in str(dataset)
    found = {
        (bytes(x[:length, 0]), int(y))
        for split in (dataset.train, dataset.test)
        for x, y, length in zip(split.x, split.y, split.lengths, strict=True)
    }
    assert found == {
        (bytes(tone(label * 10 + n, 300 + 20 * n)), label) for label in (0, 1) for n in range(5)
    }
    cut = data.load(f"{tmp_path},seconds=0.02")
    assert cut.image_shape == (160, 1) and set(cut.train.lengths) == {160}


def test_batches_are_in_one_and_the_augmentation_is_that_of_sound(tmp_path):
    dataset = data.load(folder_of(tmp_path))
    train, held_out = dataset.batches(4)
    assert train.preparation.augmentation.kind == "audio"
    waves, _ = held_out.make(held_out.arrays, np.arange(2), 0)
    np.testing.assert_allclose(waves, dataset.test.x / 2**15, atol=1e-7)
    waves, labels = train.make(train.arrays, train.order(1)[0][0], 1)
    assert waves.shape == (4, 380, 1) and labels.shape == (4,)
    again = next(iter(data.pipeline(dataset.train, batch_size=4, training=True, epoch=1)))[0]
    np.testing.assert_allclose(again, waves, atol=1e-6)


def test_tables_of_classes_and_transcripts(tmp_path):
    folder_of(tmp_path / "clips", 6)
    rows = [
        f"{name}/{n}.wav,{name},{name} {n},s{n % 3}" for name in ("no", "yes") for n in range(6)
    ]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["path,word,text,speaker", *rows]))
    dataset = data.load(path, folder=tmp_path / "clips", group="speaker")
    assert dataset.label_kind == "text" and "".join(dataset.class_names) == " 012345enosy"
    assert not set(dataset.train.groups) & set(dataset.test.groups)
    for split in (dataset.train, dataset.test):
        texts = {"".join(dataset.class_names[c] for c in row if c >= 0) for row in split.y}
        assert texts <= {f"{name} {n}" for name in ("no", "yes") for n in range(6)}
        assert split.y.dtype == np.int32 and split.y.shape[1] == 5
    words = data.load(path, folder=tmp_path / "clips", labels="word")
    assert words.label_kind == "classes" and words.class_names == ("no", "yes")
    said = data.load(path, folder=tmp_path / "clips", labels="word", label_kind="text")
    assert said.label_kind == "text" and "".join(said.class_names) == "enosy"


def npz(path, **changes):
    recordings = [tone(n, 100 + n) for n in range(12)]
    arrays = {
        "audio": np.concatenate(recordings),
        "offsets": np.cumsum([0, *map(len, recordings)]),
        "digit": np.arange(12, dtype="uint8") % 2,
        "speaker": np.array(["a", "b", "c"])[np.arange(12) % 3],
        "rate": np.array(RATE),
        **changes,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_npz_with_offsets(tmp_path, monkeypatch):
    npz(tmp_path / "digits_by_name.npz")
    dataset = data.load(npz(tmp_path / "digits.npz"), group="speaker")
    assert dataset.class_names == ("0", "1") and dataset.train.rate == RATE
    assert dataset.image_shape == (111, 1) and len(set(dataset.test.groups)) == 1
    path = tmp_path / "digits.npz"
    one = data.load(path, group="speaker", held_out="b")
    assert set(one.test.groups) == {"b"} and len(one.train) == 8
    two = data.load(f"{path},group=speaker,held_out=a+c")
    assert set(two.test.groups) == {"a", "c"}
    with pytest.raises(data.DatasetError, match="must name some of the groups"):
        data.load(path, group="speaker", held_out=["d"])
    monkeypatch.setenv("KERAS_RESIDUAL_DATA", str(tmp_path))
    assert data.load("digits_by_name,group=speaker,held_out=b").train.rate == RATE
    told = data.load(npz(tmp_path / "untold.npz", rate=None), rate=16000)
    assert told.train.rate == 16000


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"offsets": np.array([0, 5, 9])}, {}, "one label for each of 2"),
        ({"offsets": np.array([0, *[50] * 12])}, {}, "recording 1, is empty"),
        ({"offsets": np.arange(13) * 10**6}, {}, "1 integers within it"),
        ({"offsets": np.arange(13)[::-1]}, {}, "must not decrease"),
        ({"audio": np.full(2000, np.nan, "float32")}, {}, "NaN"),
        ({"audio": np.full(2000, 1e300)}, {}, "infinite"),
        ({"audio": np.zeros(2000, "int64") + 2**20}, {}, "must hold samples in int16"),
        ({"rate": None}, {}, "give it as `rate`"),
        ({"rate": 0}, {}, "`rate` must be one positive integer"),
        ({"rate": np.zeros(0)}, {}, "`rate` must be one positive integer"),
        ({"rate": [8000, 8000]}, {}, "`rate` must be one positive integer"),
        ({"rate": np.nan}, {}, "`rate` must be one positive integer"),
        ({"rate": "8 kHz"}, {}, "`rate` must be one positive integer"),
        ({}, {"rate": 16000}, "8,000 samples a second, not rate=16,000"),
        ({"digit": None}, {}, "name the array of labels as `labels`"),
        ({}, {"labels": "word"}, "has no 'word' for `labels`"),
        ({}, {"group": "person"}, "has no 'person' for `group`"),
        ({}, {"max_bytes": 1000}, "more than max_bytes"),
    ],
)
def test_wrong_npz_files_are_one_line(tmp_path, changes, options, words):
    path = npz(tmp_path / "wrong.npz", **changes)
    with pytest.raises(data.DatasetError, match=words) as error:
        data.load(path, **options)
    one_line(error, path)


def test_damaged_recordings_are_all_named_or_left_out(tmp_path):
    folder_of(tmp_path, 8)
    write(tmp_path / "no" / "1.wav", np.zeros((0,), "int16"))
    write(tmp_path / "no" / "2.wav", np.stack([tone(1), tone(2)], axis=1))
    write(tmp_path / "yes" / "3.wav", tone(3), rate=16000)
    write(tmp_path / "yes" / "4.wav", np.full(50, np.nan, "float32"), subtype="FLOAT")
    (tmp_path / "yes" / "5.wav").write_bytes(b"no sound")
    with pytest.raises(data.DatasetError) as error:
        data.load(tmp_path)
    one_line(error, "5 of 16 recordings", "1.wav", "2.wav", "3.wav", "4.wav", "5.wav", "is empty")
    with pytest.warns(UserWarning, match="5 of 16 recordings"):
        dataset = data.load(tmp_path, damaged="leave_out")
    assert len(dataset.train) + len(dataset.test) == 11 and len(dataset.left_out) == 5
    for name, words in {"2": "2 channels", "1": "is empty"}.items():
        alone = tmp_path / f"alone{name}"
        folder_of(alone)
        (alone / "no" / "4.wav").write_bytes((tmp_path / "no" / f"{name}.wav").read_bytes())
        with pytest.raises(data.DatasetError, match=words):
            data.load(alone)


def test_many_large_recordings_are_refused_before_one_is_read(tmp_path, monkeypatch):
    """Silence compresses well: each file may be within the limit, all together are not."""
    pytest.importorskip("soundfile")
    for number in range(6):
        for name in ("no", "yes"):
            place = tmp_path / name / f"{number}.flac"
            place.parent.mkdir(exist_ok=True)
            write(place, np.zeros(50_000, "int16"))
    monkeypatch.setattr(sound_files, "read_recording", lambda *given: pytest.fail("it was read"))
    with pytest.raises(data.DatasetError, match="12 recordings declare 1,200,000 bytes, more than"):
        data.load(tmp_path, max_bytes=1_000_000)


def test_soundfile_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=r"keras-residual\[audio\]"):
        data.load(_bare(tmp_path))


def _bare(folder):
    for name in ("no", "yes"):
        (folder / name).mkdir()
        for number in range(2):
            (folder / name / f"{number}.wav").write_bytes(b"RIFF")
    return folder


def test_tfds_layouts(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Words(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """As speech_commands; spoken_digit has the file's name beside and only `train`."""

        VERSION = tfds.core.Version("1.0.0")
        parts = ("train", "test")

        def _info(self):
            features = {
                "audio": tfds.features.Audio(file_format="wav", sample_rate=RATE),
                "label": tfds.features.ClassLabel(names=["no", "yes"]),
            }
            if self.parts == ("train",):
                features["audio/filename"] = tfds.features.Text()
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("audio", "label"),
            )

        def _split_generators(self, dl_manager):
            return {part: self._generate_examples(part) for part in self.parts}

        def _generate_examples(self, part):
            for n in range(10):
                example = {"audio": tone(n, 90 + n).astype("int64"), "label": n % 2}
                yield n, example | ({"audio/filename": "x"} if self.parts == ("train",) else {})

    for parts, counts in ((("train", "test"), (10, 10)), (("train",), (8, 2))):
        made = type("Words", (Words,), {"parts": parts}, skip_registration=True)
        dataset = data.load(made(data_dir=tmp_path / str(len(parts))))
        assert (len(dataset.train), len(dataset.test)) == counts
        assert dataset.class_names == ("no", "yes") and dataset.train.rate == RATE
        assert dataset.train.x.dtype == np.int16 and dataset.image_shape[1] == 1


WAVES = np.random.default_rng(0).normal(size=(40, 200, 1)).astype("float32")
INDEX = np.arange(40)


@pytest.mark.parametrize("name", ["time_shift", "add_noise", "audio", "spec_augment"])
def test_every_backend_agrees(name):
    function = getattr(augment, name)
    x = WAVES.reshape(40, 20, 10) if name == "spec_augment" else WAVES
    found = function(x, 1, 2, INDEX)
    np.testing.assert_allclose(function(tf.constant(x), 1, 2, tf.constant(INDEX)), found, atol=1e-6)
    tensors = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(INDEX)
    there = keras.ops.convert_to_numpy(function(tensors[0], 1, 2, tensors[1]))
    np.testing.assert_allclose(there, found, atol=1e-6)
    np.testing.assert_allclose(function(x[7:9], 1, 2, INDEX[7:9]), found[7:9], atol=1e-6)
    assert all((function(x, *key, INDEX) != found).any() for key in ((2, 2), (1, 3)))


def test_shifts():
    ramp = np.tile(np.arange(1.0, 101.0)[None, :, None], (300, 1, 1)).astype("float32")
    moved = augment.time_shift(ramp, 0, 0, np.arange(300))
    by = set()
    for row in moved[..., 0]:
        inside = row[row > 0]
        assert (np.diff(inside) == 1).all() and len(inside) >= 90
        by.add(int(np.argmax(row > 0)) if row[-1] > 0 else int(-np.argmax(row[::-1] > 0)))
    assert by >= set(range(-9, 10)) and max(by) <= 10 and min(by) >= -10


def test_noise_is_normal_and_as_strong_as_said():
    waves = np.ones((500, 1000, 1), "float32")
    noise = augment.add_noise(waves, 3, 0, np.arange(500), loudest=0.2) - waves
    strength = noise.std(axis=(1, 2))
    assert 0 <= strength.min() < 0.01 and 0.19 < strength.max() < 0.21
    unit = noise[strength > 0.05] / strength[strength > 0.05][:, None, None]
    assert abs(unit.mean()) < 0.01 and abs((unit**3).mean()) < 0.03
    assert abs((unit**4).mean() - 3) < 0.4
    between = np.corrcoef(unit[:100, :, 0]) - np.eye(100)
    assert abs(between).max() < 0.2
    steps = unit[:, 1:, 0] * unit[:, :-1, 0]
    assert abs(steps.mean()) < 0.01
    silent = augment.add_noise(np.zeros_like(waves), 3, 0, np.arange(500))
    assert not silent.any()


def test_masks_of_spectrograms():
    ones = np.ones((400, 50, 40), "float32")
    masked = augment.spec_augment(ones, 0, 0, np.arange(400))
    rows, columns = (masked.max(axis=2) == 0).sum(axis=1), (masked.max(axis=1) == 0).sum(axis=1)
    assert rows.max() <= 20 and columns.max() <= 20 and rows.mean() > 7 and columns.mean() > 7
    assert ((masked.max(axis=2) == 0)[:, [0, 49]].any(axis=0)).all()
    np.testing.assert_array_equal(
        augment.spec_augment(ones[..., None], 0, 0, np.arange(400))[..., 0], masked
    )
    assert (augment.spec_augment(ones, 0, 0, np.arange(400), 0.0, 0.0) == 1).all()


def test_sound_is_not_for_images():
    images = data.load("digits")
    with pytest.raises(ValueError, match="is for recordings"):
        images.batches(8, augmentation="audio")


def test_noise_leaves_padding_alone():
    """Trailing zeros say where a recording ends, and do not make its noise weaker."""
    waves = np.zeros((3, 400, 1), "float32")
    waves[0, :100] = 0.5
    waves[1, :100], waves[1, 40:60] = 0.5, 0.0
    noisy = augment.add_noise(waves, 3, 0, np.arange(3), loudest=0.2)
    assert not noisy[:2, 100:].any() and not noisy[2].any()
    assert (noisy[1, 40:60] != 0).all()
    alone = augment.add_noise(waves[:1, :100], 3, 0, np.arange(1), loudest=0.2)
    np.testing.assert_allclose(noisy[:1, :100], alone, rtol=1e-6)
