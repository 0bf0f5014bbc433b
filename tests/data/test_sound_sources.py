"""Recordings as users have them: tables of all kinds, damaged and foreign files, other scales."""

import numpy as np
import pytest

from keras_residual import data
from keras_residual.data import augment

soundfile = pytest.importorskip("soundfile")
RATE = 8000


def tone(number, length=400):
    return 0.5 * np.sin(np.arange(length) * (number + 1) / 20)


class Frame(dict):
    """What a data frame of pandas has."""

    @property
    def columns(self):
        return list(self)


@pytest.fixture
def files(tmp_path):
    for number in range(10):
        soundfile.write(tmp_path / f"{number}.wav", tone(number), RATE)
    return tmp_path


def table(rows):
    return "\n".join(["file,text", *(f"{name},{text}" for name, text in rows)]) + "\n"


def test_two_tables_and_a_data_frame_of_recordings(files):
    (files / "train.csv").write_text(table((f"{n}.wav", f"hi {n}") for n in range(8)))
    (files / "test.csv").write_text(table((f"{n}.wav", f"hi {n}") for n in range(8, 10)))
    found = data.load(files)
    assert found.label_kind == "text" and (len(found.train), len(found.test)) == (8, 2)
    frame = Frame(file=[f"{n}.wav" for n in range(10)], word=["no", "yes"] * 5)
    found = data.load(frame, folder=files)
    assert found.train.rate == RATE and found.class_names == ("no", "yes")


def test_names_without_a_suffix(files):
    (files / "said.csv").write_text(table((n, "yes") for n in range(10)))
    assert data.load(files / "said.csv").label_kind == "text"


def test_rows_of_one_file_stay_together(files):
    rows = [(f"{n % 5}.wav", f"hi {n}") for n in range(10)]
    (files / "said.csv").write_text(table(rows))
    found = data.load(files / "said.csv")
    train, test = ({bytes(x) for x in split.x} for split in (found.train, found.test))
    assert not train & test


def test_accents_of_one_or_two_characters_are_equal(files):
    words = ["caf\u00e9", "cafe\u0301"]
    (files / "said.csv").write_text(table((f"{n}.wav", words[n % 2]) for n in range(10)), "utf-8")
    assert data.load(files / "said.csv").class_names == ("a", "c", "f", "\u00e9")


def test_sentences_are_no_classes(files):
    text = table((f"{n}.wav", f"hi {n}") for n in range(10)).replace("text", "spoken")
    (files / "said.csv").write_text(text)
    with pytest.raises(data.DatasetError, match="label_kind='text' for transcripts"):
        data.load(files / "said.csv")


def folder_of(place, suffix="wav"):
    for name in ("no", "yes"):
        (place / name).mkdir(parents=True)
        for number in range(5):
            soundfile.write(place / name / f"{number}.{suffix}", tone(number), RATE)
    return place


def test_a_truncated_file_is_damaged(tmp_path):
    whole = folder_of(tmp_path) / "no" / "0.wav"
    content = whole.read_bytes()
    whole.write_bytes(content[:200])
    with pytest.raises(data.DatasetError, match=r"0\.wav is truncated: it declares 844 bytes"):
        data.load(tmp_path)
    # A program that writes to a pipe does not know the size.
    whole.write_bytes(content[:4] + b"\xff" * 4 + content[8:])
    assert len(data.load(tmp_path).train) == 8


def test_a_class_without_intact_files(tmp_path):
    folder_of(tmp_path)
    for path in (tmp_path / "no").iterdir():
        path.write_bytes(b"")
    with pytest.warns(UserWarning), pytest.raises(data.DatasetError, match="recordings of no are"):
        data.load(tmp_path, damaged="leave_out")


def test_folders_of_other_formats_and_of_one_class(tmp_path):
    folder_of(tmp_path / "aiff", "aiff")
    with pytest.raises(data.DatasetError, match=r"0\.aiff is not of the formats that"):
        data.load(tmp_path / "aiff")
    folder_of(tmp_path / "wav")
    (tmp_path / "wav" / "no").rename(tmp_path / "no")
    with pytest.raises(data.DatasetError, match="one subfolder of WAV, FLAC or OGG files for each"):
        data.load(tmp_path / "wav")


def npz(path, **changes):
    recordings = [(8000 * tone(n, 100)).astype("int16") for n in range(12)]
    arrays = {
        "audio": np.concatenate(recordings),
        "offsets": np.arange(13) * 100,
        "digit": np.arange(12) % 2,
        "rate": RATE,
    }
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: (x // 64 + 128).astype("uint8"), "int16 or floating point. Received: uint8"),
        (lambda x: (x // 64).astype("int8"), "int16 or floating point. Received: int8"),
        (lambda x: x.astype("float32"), r"samples up to 3999: scale them to \[-1, 1\]"),
    ],
    ids=["uint8", "int8", "float"],
)
def test_samples_of_another_scale(tmp_path, change, words):
    audio = np.concatenate([(8000 * tone(n, 100)).astype("int16") for n in range(12)])
    with pytest.raises(data.DatasetError, match=words):
        data.load(npz(tmp_path / "a.npz", audio=change(audio)))


def test_names_of_numbers(tmp_path):
    names = np.array(["no", "yes", "maybe"])
    found = data.load(npz(tmp_path / "a.npz", label_names=names))
    assert found.class_names == ("no", "yes", "maybe") and set(found.train.y) == {0, 1}
    with pytest.raises(data.DatasetError, match="label_names"):
        data.load(npz(tmp_path / "b.npz", label_names=names[:1]))


def test_augmentation_of_other_arrays():
    with pytest.raises(ValueError, match="`waves` must be floating point"):
        augment.add_noise(np.full((2, 50, 1), 9000, "int16"), 0, 0, np.arange(2))
    with pytest.raises(ValueError, match=r"`spectrograms` must have the shape .*\(50, 40\)"):
        augment.spec_augment(np.zeros((50, 40), "float32"), 0, 0, np.arange(2))
