"""Arrays and .npz files, whole and broken."""

import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import one_line

from keras_residual import data

RANDOM = np.random.RandomState(0)


def arrays(**changes):
    """A small dataset of 3 classes as the arrays of an .npz."""
    random = np.random.RandomState(0)
    whole = {
        "x_train": random.randint(0, 256, (9, 5, 4, 3)).astype("uint8"),
        "y_train": np.arange(9) % 3,
        "x_test": random.randint(0, 256, (3, 5, 4, 3)).astype("uint8"),
        "y_test": np.arange(3),
    }
    whole.update(changes)
    return {name: array for name, array in whole.items() if array is not None}


def write(path, **changes):
    np.savez_compressed(path, **arrays(**changes))
    return path


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_npz(tmp_path, kind):
    path = write(
        tmp_path / "mine.npz", label_names=np.array(["ant", "bee", "cat"]), extra=np.ones(3)
    )
    dataset = data.load(kind(path))
    held = np.load(path)
    np.testing.assert_array_equal(dataset.train.x, held["x_train"])
    np.testing.assert_array_equal(dataset.test.y, held["y_test"])
    assert dataset.name == "mine"
    assert dataset.class_names == ("ant", "bee", "cat")
    assert dataset.image_shape == (5, 4, 3)
    assert dataset.train.scale == 255


@pytest.mark.parametrize(
    ("changes", "scale", "shape"),
    [
        ({name: np.ones((9, 6, 5), "uint8") for name in ("x_train", "x_test")}, 255, (6, 5, 1)),
        ({name: np.ones((9, 6, 5, 12)) for name in ("x_train", "x_test")}, 1, (6, 5, 12)),
        (
            {name: np.ones((9, 6, 5, 1), "uint16") for name in ("x_train", "x_test")},
            65535,
            (6, 5, 1),
        ),
        ({name: np.ones((9, 6, 5, 1), "int64") for name in ("x_train", "x_test")}, 255, (6, 5, 1)),
    ],
)
def test_kinds_of_images(changes, scale, shape):
    labels = np.arange(9)[:, None] % 2
    dataset = data.load(tuple(arrays(**changes, y_train=labels, y_test=labels).values()))
    assert dataset.train.scale == scale
    assert dataset.image_shape == shape
    assert dataset.train.x.dtype in (np.uint8, np.uint16, np.float32)
    assert dataset.train.y.shape == (9,)
    assert dataset.class_names == ("0", "1")


def test_tuples():
    x, y = RANDOM.randint(0, 256, (50, 6, 6)).astype("uint8"), np.arange(50) % 5
    nested = data.load(((x, y), (x[:10], y[:10])))
    flat = data.load((x, y, x[:10], y[:10], list("abcde")))
    assert len(nested.test) == len(flat.test) == 10
    assert flat.class_names == tuple("abcde")

    divided, again, other = (data.load((x, y), seed=seed) for seed in (0, 0, 1))
    assert np.bincount(divided.test.y).tolist() == [2] * 5
    np.testing.assert_array_equal(divided.test.x, again.test.x)
    assert (divided.test.x != other.test.x).any()
    together = np.concatenate([divided.train.x, divided.test.x])
    assert sorted(map(bytes, together)) == sorted(map(bytes, x[..., None]))
    assert data.load(flat) is flat


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_test": None, "y_test": None}, ["lacks x_test, y_test", "it holds x_train, y_train"]),
        ({"y_train": np.arange(8) % 3}, ["y_train", "8 labels for 9 examples"]),
        ({"y_train": np.array([-1, *range(8)])}, ["y_train", "-1..7"]),
        ({"y_test": np.array([0, 1, 7])}, ["labels up to", "7"]),
        (
            {"y_train": np.array([0, 1, 2, 3, 4, 5, 6, 7, 10**6])},
            ["1000000", "9 training examples"],
        ),
        ({"label_names": np.array(["a", "b"])}, ["0..1", "labels up to 2"]),
        ({"label_names": np.arange(3)}, ["label_names", "int64"]),
        ({"y_train": np.zeros(9, int), "y_test": np.zeros(3, int)}, ["at least 2 classes"]),
        ({"y_train": np.linspace(0, 2, 9)}, ["y_train", "float64"]),
        ({"y_train": np.eye(9)}, ["y_train", "float64"]),
        ({"y_train": np.array(["a"] * 9)}, ["y_train", "<U1"]),
        ({"x_train": np.zeros((9, 60), "uint8")}, ["x_test", "(3, 5, 4, 3)"]),
        ({"x_train": np.zeros((0, 5, 4, 3), "uint8")}, ["x_train", "(0, 5, 4, 3)"]),
        ({"x_test": np.zeros((3, 5, 5, 3), "uint8")}, ["(5, 4, 3)", "(5, 5, 3)"]),
        ({"x_test": np.zeros((3, 5, 4, 3), "float32")}, ["uint8", "float32"]),
        ({"x_train": np.full((9, 5, 4, 3), np.nan)}, ["x_train", "finite"]),
        ({"x_train": np.full((9, 5, 4, 3), 256)}, ["x_train", "int64"]),
        ({"x_train": np.full((9, 5, 4, 3), "pixel")}, ["x_train", "<U5"]),
        ({"x_train": np.ones((9, 5, 4, 3), complex)}, ["x_train", "complex128"]),
        ({"x_train": np.ones((9, 5, 4, 3), bool)}, ["x_train", "bool"]),
        ({"x_train": np.ones((9, 3, 32, 32), "uint8")}, ["x_train", "channels first"]),
        ({"x_train": np.array([{}] * 9, object)}, ["cannot be read", "pickled"]),
        ({"label_names": np.array(["a", None, "c"], object)}, ["cannot be read", "pickled"]),
    ],
)
def test_broken_contents(tmp_path, changes, words):
    path = write(tmp_path / "broken.npz", **changes)
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, *words)


def test_pickled_objects_are_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = write(tmp_path / "trap.npz", x_train=np.array([Trap()] * 9, object))
    bare = tmp_path / "bare.npz"
    bare.write_bytes(pickle.dumps(Trap()))
    for file in (path, bare):
        with pytest.raises(data.DatasetError) as error:
            data.load(file)
        one_line(error, file)
    assert not (tmp_path / "sprung").exists()


def test_foreign_and_missing_files(tmp_path):
    array = tmp_path / "array.npz"
    with array.open("wb") as file:
        np.save(file, np.ones(3))
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    empty = tmp_path / "empty.npz"
    empty.touch()
    archive = tmp_path / "archive.npz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "hello")
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    table = tmp_path / "table.csv"
    table.write_text("1,2")
    cases = {
        array: "no .npz archive",
        text: "no .npz archive",
        empty: "no .npz archive",
        archive: "lacks x_train",
        folder: "does not exist",
        tmp_path / "none.npz": "does not exist",
        table: "holds no rows",
        tmp_path / "nowhere": "does not exist",
    }
    for path, words in cases.items():
        for source in (path, str(path)):
            with pytest.raises(data.DatasetError) as error:
                data.load(source)
            one_line(error, path, words, "ccepted")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_files_load_or_raise_dataset_error(tmp_path, draw):
    """However the file is damaged, no other exception is raised."""
    content = bytearray(write(tmp_path / "whole.npz").read_bytes())
    if draw.draw(st.booleans()):
        content = content[: draw.draw(st.integers(0, len(content)))]
    for _ in range(draw.draw(st.integers(0, 3))):
        if content:
            content[draw.draw(st.integers(0, len(content) - 1))] ^= draw.draw(st.integers(1, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    try:
        data.load(path)
    except data.DatasetError as error:
        assert "\n" not in str(error) and str(path) in str(error)


def test_an_archive_of_an_unknown_version_is_named(tmp_path):
    """zipfile raises a NotImplementedError of it, as one flipped bit makes it."""
    content = bytearray(write(tmp_path / "whole.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 6] ^= 64
    path = tmp_path / "version.npz"
    path.write_bytes(content)
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, "zip file version")


def test_truncated_everywhere(tmp_path):
    content = write(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "truncated.npz"
    for length in range(0, len(content) - 22, 101):
        path.write_bytes(content[:length])
        with pytest.raises(data.DatasetError) as error:
            data.load(path)
        one_line(error, path)


@pytest.mark.parametrize("source", [None, 3, "", (), (1, 2, 3), {"x": 1}])
def test_other_sources(source):
    with pytest.raises(data.DatasetError, match=r"Received|Unknown kind"):
        data.load(source)


@pytest.mark.parametrize(
    "arguments", [{"test_fraction": 0}, {"test_fraction": 1}, {"test_fraction": "x"}, {"seed": -1}]
)
def test_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        data.load("digits", **arguments)


def test_names_find_npz_files_first(tmp_path, monkeypatch):
    own, keras_home = tmp_path / "own", tmp_path / "keras"
    monkeypatch.setenv("KERAS_RESIDUAL_DATA", str(own))
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    (keras_home / "datasets").mkdir(parents=True)
    own.mkdir()
    write(keras_home / "datasets" / "cifar10.npz")
    assert len(data.load("cifar10").test) == 3
    write(own / "cifar10.npz", x_test=np.zeros((2, 5, 4, 3), "uint8"), y_test=np.arange(2))
    assert len(data.load("cifar10").test) == 2
    write(
        own / "mnist.npz",
        x_train=np.zeros((9, 28, 28), "uint8"),
        x_test=np.zeros((3, 28, 28), "uint8"),
    )
    assert data.load("mnist").train.augmentation == "shift"
    (own / "cifar10.npz").write_bytes(b"PK")
    with pytest.raises(data.DatasetError) as error:
        data.load("cifar10")
    one_line(error, own / "cifar10.npz")


def test_hold_out():
    train = data.load("digits").train
    rest, held_out = train.hold_out(0.1, seed=3)
    again = train.hold_out(0.1, seed=3)[1]
    assert (len(rest), len(held_out)) == (1293, 144)
    assert np.ptp(np.bincount(held_out.y)) <= 1
    np.testing.assert_array_equal(held_out.x, again.x)
    assert held_out.scale == train.scale
    with pytest.raises(ValueError, match="`fraction`"):
        train.hold_out(0.0)
    with pytest.raises(ValueError, match="`fraction`"):
        train.hold_out(1.5)


def test_channel_statistics():
    x = RANDOM.randint(0, 256, (2500, 4, 3, 2)).astype("uint8")
    split = data.load((x, np.arange(2500) % 3)).train
    mean, std = data.channel_statistics(split)
    np.testing.assert_allclose(mean, (split.x / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (split.x / 255).std((0, 1, 2)), rtol=1e-12)


def test_no_more_is_unpacked_than_fits(tmp_path):
    """An archive of a few kB whose array takes 10 MB, and one whose header lies."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **arrays(x_train=np.zeros((9, 1000, 400, 3), "uint8")))
    with pytest.raises(data.DatasetError) as error:
        data.load(path, max_bytes=2**20)
    one_line(error, path, "x_train alone 10,800,000", "max_bytes=1,048,576")
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9, 40000, 40000, 3), }\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", header + len(text).to_bytes(2, "little") + text)
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, "x_train.npy is damaged")


def test_label_names_are_text(tmp_path):
    path = write(tmp_path / "names.npz", label_names=np.array([b"a", b"\xff", b"c"]))
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, "label_names", "UTF-8")
