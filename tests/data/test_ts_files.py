"""Series in the files of the UCR and UEA archives."""

import numpy as np
import pytest

from keras_residual import data

HEAD = "#comment\n@problemName Waves\n@univariate {}\n@classLabel true a b\n@data\n"


def write(folder, train, test, univariate="true"):
    for part, lines in (("TRAIN", train), ("TEST", test)):
        (folder / f"Waves_{part}.ts").write_text(HEAD.format(univariate) + "\n".join(lines) + "\n")
    return folder / "Waves_TRAIN.ts"


def test_series_with_classes(tmp_path):
    path = write(tmp_path, ["0,1,2:b", "3,4,5:a", "1,1,1:b"], ["9,8,7:a"])
    for source in (path, str(path), tmp_path):
        dataset = data.load(source)
        assert (dataset.name, dataset.class_names) == ("Waves", ("a", "b"))
        assert dataset.image_shape == (3, 1) and dataset.train.y.tolist() == [1, 0, 1]
        np.testing.assert_array_equal(dataset.test.x[0, :, 0], [9, 8, 7])


def test_several_channels_and_measurements(tmp_path):
    lines = ["0,1,2:3,4,5:0.5", "0,1,2:7,8,9:1.25"]
    dataset = data.load(write(tmp_path, lines, lines[:1], "false"))
    assert dataset.image_shape == (3, 2) and dataset.label_kind == "regression"
    np.testing.assert_array_equal(dataset.train.x[1], [[0, 7], [1, 8], [2, 9]])
    np.testing.assert_array_equal(dataset.train.y, [[0.5], [1.25]])


def test_series_of_several_lengths_are_padded(tmp_path):
    path = write(tmp_path, ["1,1,1,1:a", "2,2:b"], ["3:a"])
    with pytest.warns(UserWarning, match="1 to 4 steps were padded with 0"):
        dataset = data.load(path)
    np.testing.assert_array_equal(dataset.train.x[1, :, 0], [2, 2, 0, 0])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,?,3:a", "line 7, has a value that is not a number"),
        ("1,2,3", "line 7, is not a series with a label"),
        ("1,2,3:4,5,6:a", "equally many dimensions"),
        ("1,nan,3:a", "NaN"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, words):
    path = write(tmp_path, ["1,2,3:a", line], ["1,2,3:a"])
    with pytest.raises(data.DatasetError, match=words) as error:
        data.load(path)
    assert "Waves_TRAIN.ts" in str(error.value) and "\n" not in str(error.value)


def test_missing_files_are_named(tmp_path):
    path = write(tmp_path, ["1,2,3:a"], ["1,2,3:a"])
    (tmp_path / "Waves_TEST.ts").unlink()
    with pytest.raises(data.DatasetError, match=r"Waves_TEST\.ts does not exist"):
        data.load(path)
    with pytest.raises(data.DatasetError, match="no series"):
        data.load(write(tmp_path, [], []))
