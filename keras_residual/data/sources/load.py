"""Loads a `Dataset` from a name, a file, a folder or arrays."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.pictures.files import files_below
from keras_residual.data.pictures.headers import LARGEST_PICTURE
from keras_residual.data.sources import tables
from keras_residual.data.sources.arrays import from_tuple
from keras_residual.data.sources.clips import VIDEO_FILES, from_clip_folder
from keras_residual.data.sources.digits import digits
from keras_residual.data.sources.folder import ACCEPTED_FOLDER, Files, from_folder
from keras_residual.data.sources.folder import SUFFIXES as PICTURES
from keras_residual.data.sources.from_tables import from_csv, from_frame, from_two_tables
from keras_residual.data.sources.mnist_files import (
    ACCEPTED_MNIST,
    from_mnist_files,
    has_mnist_files,
)
from keras_residual.data.sources.npz import ACCEPTED_NPZ, from_npz, names_in
from keras_residual.data.sources.options import Options, with_options_of
from keras_residual.data.sources.sound_files import (
    SOUND_FILES,
    from_sound_folder,
    from_sound_npz,
)
from keras_residual.data.sources.tfds import from_builder, from_tfds
from keras_residual.data.sources.ts_files import ACCEPTED_TS, from_ts, ts_files

ACCEPTED = (
    f"'digits', a TFDS name such as 'cifar10', {ACCEPTED_NPZ}, {ACCEPTED_FOLDER}, "
    f"{tables.ACCEPTED_TABLE}, {ACCEPTED_MNIST}, {ACCEPTED_TS}, or a tuple of arrays"
)


def npz_places(name: str) -> list[Path]:
    """Returns the paths at which an `.npz` file of the dataset `name` is looked for, in order.

    `$KERAS_RESIDUAL_DATA/NAME.npz`, then `~/.keras/datasets/NAME.npz` (under `$KERAS_HOME` if that
    is set).
    """
    own = os.environ.get("KERAS_RESIDUAL_DATA")
    keras_home = os.environ.get("KERAS_HOME", "~/.keras")
    folders = [*([own] if own else []), os.path.join(keras_home, "datasets")]
    return [Path(folder).expanduser() / f"{name}.npz" for folder in folders]


def _from_path_or_name(
    source: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None, options: Options
) -> Dataset:
    name = os.fspath(source)
    path = Path(name).expanduser()
    if path.suffix == ".npz":
        return _from_npz(path, None, options)
    if path.is_dir():
        return _from_folder(path, options)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return from_csv(path, options)
    if path.is_file() and path.suffix.lower() == ".ts":
        return from_ts(path, options)
    if path.is_file():
        raise DatasetError(f"{path} is not a dataset. Accepted: {ACCEPTED}.")
    is_name = isinstance(source, str) and not path.is_absolute() and path.suffix != ".csv"
    # One slash may stand before the configuration of a TensorFlow dataset.
    if not is_name or name.startswith((".", "~")) or name.endswith("/") or name.count("/") > 1:
        raise DatasetError(f"{path} does not exist. Accepted: {ACCEPTED}.")
    places = npz_places(name)
    for place in places:
        if place.is_file():
            return _from_npz(place, name, options)
    return from_tfds(name, data_dir, options, places)


def _from_npz(path: Path, name: str | None, options: Options) -> Dataset:
    inside = names_in(path)
    if {"audio", "offsets"} <= set(inside):
        return from_sound_npz(path, inside, options)
    return from_npz(path, name, options)


def _from_folder(folder: Path, options: Options) -> Dataset:
    if has_mnist_files(folder):
        return from_mnist_files(folder, options)
    if series := ts_files(folder):
        return from_ts(series[0], options)
    train = folder / "train.csv"
    for name in tables.HELD_OUT if train.is_file() else ():
        if (folder / f"{name}.csv").is_file():
            return from_two_tables(train, folder / f"{name}.csv", options)
    found = sorted(folder.glob("*.csv"))
    # A table beside class folders is not used as labels.
    if len(found) == 1 and sum(path.is_dir() for path in folder.iterdir()) < 2:
        return from_csv(found[0], options)
    if options.examples == "clips" or _holds(folder, VIDEO_FILES):
        return from_clip_folder(folder, options)
    if _holds(folder, SOUND_FILES):
        return from_sound_folder(folder, options)
    return from_folder(folder, options)


def _holds(folder: Path, kind: Files) -> bool:
    """Returns whether the first class of a folder has files of a kind and no pictures."""
    places = [folder / "train" if (folder / "train").is_dir() else folder]
    for place in places:
        for inner in sorted(path for path in place.iterdir() if path.is_dir()):
            found = {path.suffix.lower() for path in files_below(inner)}
            if found & {*kind.suffixes, *kind.foreign, *PICTURES}:
                return not found & set(PICTURES)
    return False


def load(
    source: Any,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    examples: str = "auto",
    label_kind: str = "auto",
    files: str | None = None,
    labels: str | Sequence[str] | None = None,
    group: str | Callable[..., Any] | None = None,
    held_out: Sequence[Any] | str | None = None,
    folder: str | os.PathLike[str] | None = None,
    rate: int | None = None,
    seconds: float | None = None,
    frames: int | None = None,
    stride: int = 1,
    frame_size: int | Sequence[int] | None = None,
    damaged: str = "raise",
    max_bytes: int = 2**31,
    max_pixels: int = LARGEST_PICTURE,
) -> Dataset:
    """Loads a dataset by name, from a file, a folder, a table, a TFDS builder or arrays.

    Args:
        source: One of
            - `"digits"`: the 1,797 scans included in the package;
            - a name, e.g. `"cifar10"`, `"cifar100"`, `"mnist"`, `"fashion_mnist"`: the file
              `$KERAS_RESIDUAL_DATA/NAME.npz` or `~/.keras/datasets/NAME.npz` if it exists, else the
              TensorFlow dataset of that name, from its prepared data or by download. Without a
              network it fails within 5 seconds;
            - the path of a folder of PNG or JPEG files, `train/CLASS/...` and `test/CLASS/...` (or
              `val`) or only `CLASS/...`; an existing folder has precedence over a dataset of that
              name, except `"digits"`;
            - the path of a CSV file that names pictures, one per row, with a column of labels as
              words or numbers, several columns of 0 and 1 (or words joined by `|` or `;`), or
              measurements. A column `split` holds train or test, a column `group` the groups that
              stay together. A folder with `train.csv` and `test.csv` or a pandas data frame work
              too;
            - the path of an `.npz` file with `x_train`, `y_train`, `x_test`, `y_test`, or `x`, `y`,
              and optionally `label_names` and `groups`; pickled objects in it are refused;
            - sound files in class folders like pictures, or named by a CSV file with a column of
              classes, or of transcripts (`text`, `transcript`, or the column `labels` with
              `label_kind="text"`); or an `.npz` file with `audio`, `offsets`, labels and `rate`;
            - the path of a `NAME_TRAIN.ts` file of the UCR and UEA archives, or its folder;
            - the path of a folder with the four files of MNIST or of a dataset in its format, such
              as Debian's `/usr/share/datasets/fashion-mnist`;
            - a `tfds.core.DatasetBuilder`;
            - arrays: `(x_train, y_train, x_test, y_test)` with the class names as an optional
              fifth, `((x_train, y_train), (x_test, y_test))`, or `(x, y)`;
            - a `Dataset`, which is returned unchanged.

            A name or path may be followed by other arguments after commas, as on the command line:
            `"labels.csv,group=person,labels=age"`, several columns as `labels=red+green`.
        data_dir: Folder of TensorFlow Datasets for prepared data. Defaults to that of TFDS.
        test_fraction: Number in (0, 1), the fraction held out from a source without test examples;
            stratified by class, groups stay together.
        seed: Integer, determines which examples are held out.
        examples: The kind of examples in arrays: `"images"`, `"series"`, `"clips"`, or `"auto"`:
            series for two axes, images for three and four, clips for five. With `"clips"` a folder
            holds `CLASS/CLIP/FRAME.jpg`; folders of videos are recognized.
        label_kind: `"classes"`, `"multi_label"`, `"regression"`, `"text"`, or `"auto"` to infer it
            from the labels; ambiguous labels are an error.
        files: Column of a table with the file names. Defaults to the one that looks like it.
        labels: Column or columns of a table with the labels. Defaults to all others.
        group: Column of a table, or for folders a function of a file's path, with the groups that
            must stay together, such as the person in a picture.
        held_out: Names of the groups that become the test part, such as one person, in place of
            `test_fraction`.
        folder: Folder of the files of a table. Defaults to that of the table.
        rate: Samples per second of recordings that do not store it; others must agree.
        seconds: Length to which recordings are cut, or padded with 0. Defaults to the longest.
        frames: Number of frames taken of a clip, in training at a position drawn by (seed, epoch,
            clip), else from its middle. Defaults to 16, or to the length of the shortest clip.
        stride: Distance between these frames.
        frame_size: An integer or `(height, width)`, in a name `frame_size=64` or
            `frame_size=48x64`: the size to which frames of videos and folders are resized while
            they are read, without keeping the aspect ratio. Defaults to their own, which must be
            one.
        damaged: How to treat damaged pictures: `"raise"` an error that names them all, or
            `"leave_out"` with a warning; the dataset's `left_out` lists them.
        max_bytes: Maximal number of bytes of the arrays of a file; no more are read.
        max_pixels: Maximal number of pixels of a picture.

    Returns:
        A `Dataset` with `train`, `test`, `class_names`, `num_classes`, `label_kind` and
        `image_shape`.

    Raises:
        DatasetError: A `ValueError` of one line, if the source is missing, damaged or not of an
            accepted form.
        ImportError: If a TFDS name is given and TensorFlow Datasets is not installed.

    Example:

    >>> dataset = load("digits")
    >>> len(dataset.train), len(dataset.test), dataset.image_shape
    (1437, 360, (8, 8, 1))
    """
    options = Options(
        test_fraction=test_fraction,
        seed=seed,
        examples=examples,
        label_kind=label_kind,
        files=files,
        labels=labels,
        group=group,
        held_out=held_out,
        folder=folder,
        rate=rate,
        seconds=seconds,
        frames=frames,
        stride=stride,
        frame_size=frame_size,
        damaged=damaged,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    if isinstance(source, str):
        source, options = with_options_of(source, options)
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str) and source == "digits":
        return digits()
    if isinstance(source, tuple | list):
        return from_tuple(tuple(source), options)
    if isinstance(source, str | os.PathLike) and source != "":
        return _from_path_or_name(source, data_dir, options)
    if hasattr(source, "download_and_prepare"):
        return from_builder(source, options)
    if tables.is_frame(source):
        return from_frame(source, options)
    raise DatasetError(f"Unknown kind of dataset: {source!r}. Accepted: {ACCEPTED}.")
