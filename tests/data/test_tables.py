"""CSV files and data frames that name pictures: classes, several labels, measurements, groups."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from support import one_line

from keras_residual import data


def pictures(folder, count=12):
    """PNG files `0.png` and so on, whose pixels all have their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = np.full((4, 4, 3), number, np.uint8)
        (folder / f"{number}.png").write_bytes(tf.io.encode_png(image).numpy())


def table(path, header, row, count=12):
    """A CSV file with a row for each of the pictures."""
    lines = [header, *(row.format(n=number, odd=number % 2) for number in range(count))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def labels_by_picture(dataset):
    return {
        int(x[0, 0, 0]): y.tolist()
        for split in (dataset.train, dataset.test)
        for x, y in zip(split.x, split.y, strict=True)
    }


@pytest.mark.parametrize(
    ("header", "row", "kind", "names", "label"),
    [
        ("filename,class", "{n}.png,c{odd}", "classes", ("c0", "c1"), lambda n: n % 2),
        ("class;filename", "c{odd};{n}.png", "classes", ("c0", "c1"), lambda n: n % 2),
        ("id,label", "{n},{odd}", "classes", ("0", "1"), lambda n: n % 2),
        (",id,label", "{n},{n},{odd}", "classes", ("0", "1"), lambda n: n % 2),
        (
            "file,red,round",
            "{n}.png,1,{odd}",
            "multi_label",
            ("red", "round"),
            lambda n: [1.0, n % 2],
        ),
        ("file,tags", "{n}.png,a|t{odd}", "multi_label", ("a", "t0", "t1"),
         lambda n: [1.0, 1 - n % 2, n % 2]),
        ("file,age", "{n}.png,{n}.5", "regression", ("age",), lambda n: [n + 0.5]),
        ("file,x,y", "{n}.png,{n}.25,-{n}", "regression", ("x", "y"), lambda n: [n + 0.25, -n]),
    ],
)  # fmt: skip
def test_labels_of_a_table(tmp_path, header, row, kind, names, label):
    pictures(tmp_path)
    dataset = data.load(table(tmp_path / "labels.csv", header, row))
    assert (dataset.label_kind, dataset.class_names) == (kind, names)
    assert (len(dataset.train), len(dataset.test)) == (9, 3)
    assert labels_by_picture(dataset) == {n: label(n) for n in range(12)}
    assert dataset.name == "labels" and dataset.image_shape == (4, 4, 3)


def test_whole_numbers_may_be_classes_or_measurements(tmp_path):
    pictures(tmp_path)
    path = table(tmp_path / "labels.csv", "file,age", "{n}.png,3{n}")
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, "'age'", "label_kind='regression'")
    assert data.load(path, label_kind="regression").label_kind == "regression"
    dataset = data.load(f"{path},label_kind=regression,test_fraction=0.5")
    assert dataset.label_kind == "regression" and len(dataset.test) == 6


def test_large_numbers_of_classes_stay_apart(tmp_path):
    """Floating point cannot tell these numbers apart, and int64 cannot hold the last ones."""
    pictures(tmp_path)
    for low, high in ((2**53, 2**53 + 1), (10**30, 10**30 + 1)):
        names = {str(low), str(high)}
        rows = "\n".join(f"{n}.png,{low + n % 2}" for n in range(12))
        (tmp_path / "labels.csv").write_text(f"file,class\n{rows}\n")
        dataset = data.load(tmp_path / "labels.csv", label_kind="classes")
        assert set(dataset.class_names) == names


def test_groups_and_parts_by_column(tmp_path):
    pictures(tmp_path)
    path = tmp_path / "labels.csv"
    rows = [f"{n}.png,c{n % 2},p{n // 4},{'val' if n < 4 else 'train'},{n}.5" for n in range(12)]
    path.write_text("\n".join(["file,class,person,split,weight", *rows]))
    dataset = data.load(path, labels="class", group="person")
    assert set(dataset.test.groups) == {"p0"} and set(dataset.train.groups) == {"p1", "p2"}
    held_out = dataset.hold_out(0.4)
    assert not set(held_out.train.groups) & set(held_out.test.groups)
    path.write_text(path.read_text().replace("split", "part"))
    dataset = data.load(f"{path},labels=class,group=person,seed=3")
    assert not set(dataset.train.groups) & set(dataset.test.groups) and len(dataset.test) == 4
    both = data.load(path, labels=["weight"], group="person", files="file")
    assert both.label_kind == "regression" and len(both.test) == 4


@pytest.mark.filterwarnings("ignore:.*no row for")
def test_two_tables_and_a_folder_of_files(tmp_path):
    pictures(tmp_path / "images")
    table(tmp_path / "train.csv", "file,class", "images/{n}.png,c{odd}", 8)
    path = table(tmp_path / "val.csv", "file,class", "images/{n}.png,c{odd}")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join([lines[0], *lines[9:]]))
    dataset = data.load(tmp_path)
    assert sorted(dataset.test.x[:, 0, 0, 0]) == [8, 9, 10, 11] and len(dataset.train) == 8
    path.write_text("file,class\nimages/9.png,other\n")
    with pytest.raises(data.DatasetError, match="other occurs among the held-out pictures only"):
        data.load(tmp_path)
    path.write_text("file,name\nimages/9.png,c1\n")
    with pytest.raises(data.DatasetError, match="must have the columns of"):
        data.load(tmp_path)
    elsewhere = table(tmp_path / "elsewhere.csv", "file,class", "{n}.png,c{odd}")
    assert len(data.load(elsewhere, folder=tmp_path / "images").train) == 9
    assert len(data.load(f"{elsewhere},folder={tmp_path / 'images'}").train) == 9


def test_a_folder_with_one_table(tmp_path):
    pictures(tmp_path / "images")
    table(tmp_path / "labels.csv", "file,class", "images/{n}.png,c{odd}")
    assert data.load(tmp_path).num_classes == 2


def test_data_frames(tmp_path):
    pandas = pytest.importorskip("pandas")
    pictures(tmp_path)
    frame = pandas.DataFrame({"filename": [f"{n}.png" for n in range(12)], "class": ["a", "b"] * 6})
    dataset = data.load(frame, folder=tmp_path)
    assert dataset.class_names == ("a", "b") and dataset.name == "frame"
    frame.loc[3, "class"] = None
    with pytest.raises(data.DatasetError, match=r"no label for 1 \(3\.png\) of 12 files"):
        data.load(frame, folder=tmp_path)


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("file,class", "{n}.png,", ["no label for 12 (0.png", "and 7 more", "remove the rows"]),
        ("file,class", "x{n}.png,c{odd}", ["12 (", "do not exist", "`folder`"]),
        ("file,class", "{n}.png,c", ["at least 2 classes"]),
        ("file,class", "{n}.png,c{n}", ["has a single picture"]),
        ("file,class", "{n}.png", ["line 2, has 1 cells"]),
        ("file,class,class", "{n}.png,a,b", ["each column once"]),
        ("file", "{n}.png", ["no column of labels"]),
        ("one,two", "{n},{odd}", ["the column of file names as `files`"]),
        ("file,a,b", "{n}.png,x,y", ["the columns of labels as `labels`"]),
        ("file,class,split", "{n}.png,c{odd},p{odd}", ["'split' must hold train"]),
        ("file,class,group", "{n}.png,c{odd},p", ["at least 2 groups"]),
        ("file,class", '{n}.png,"c{odd}', ["not a CSV file"]),
    ],
)
def test_wrong_tables_are_one_line(tmp_path, header, row, words):
    pictures(tmp_path)
    path = table(tmp_path / "labels.csv", header, row)
    with pytest.raises(data.DatasetError) as error:
        data.load(path)
    one_line(error, path, *words)


def test_wrong_arguments_of_tables(tmp_path):
    pictures(tmp_path)
    path = table(tmp_path / "labels.csv", "file,class", "{n}.png,c{odd}")
    for argument in ("files", "labels", "group"):
        with pytest.raises(data.DatasetError) as error:
            data.load(path, **{argument: "nothing"})
        one_line(error, path, argument, "columns file, class")
    path.write_bytes(b"file,class\n\xff\xfe.png,c\n")
    with pytest.raises(data.DatasetError, match="not text in UTF-8"):
        data.load(path)
    with pytest.raises(ValueError, match="`seed` must be a number"):
        data.load(f"{path},seed=first")


def test_pictures_without_a_row_are_told_of(tmp_path):
    pictures(tmp_path, 14)
    path = table(tmp_path / "labels.csv", "file,class", "{n}.png,c{odd}")
    with pytest.warns(UserWarning, match=r"no row for 2 pictures .*12\.png, 13\.png"):
        data.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / "12.png").unlink()
        (tmp_path / "13.png").unlink()
        data.load(path)
