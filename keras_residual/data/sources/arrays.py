"""Datasets from arrays, with checks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from keras_residual.data.dataset import Dataset
from keras_residual.data.dividing import divided
from keras_residual.data.errors import DatasetError
from keras_residual.data.labels import check_labels
from keras_residual.data.sources.frames import with_frames
from keras_residual.data.sources.options import Options
from keras_residual.data.splits import ArraySplit, check_images, default_augmentation

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")


def check_series(name: str, x: object, where: str) -> tuple[np.ndarray, float]:
    """Returns series as `(n, steps, channels)` float32, and 1.0, their scale."""
    x = np.asarray(x)
    received = f"Received: shape {x.shape}, dtype {x.dtype}"
    if x.ndim == 2:
        x = x[..., None]
    if x.ndim != 3 or 0 in x.shape or x.dtype.kind not in "biuf":
        raise DatasetError(
            f"{where}: `{name}` must hold series, (n, steps) or (n, steps, channels), none of them "
            f"0. {received}"
        )
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    if not np.isfinite(x).all():
        raise DatasetError(f"{where}: `{name}` must be finite; it holds NaN or infinity.")
    return x, 1.0


def _check_clips(name: str, x: object, where: str) -> tuple[np.ndarray, float]:
    x = np.asarray(x)
    if x.ndim != 5 or 0 in x.shape:
        raise DatasetError(
            f"{where}: `{name}` must hold clips, (n, frames, height, width, channels), none of "
            f"them 0. Received: shape {x.shape}, dtype {x.dtype}"
        )
    # Reshaped to images for the check of their values.
    images, scale = check_images(name, x.reshape(len(x), -1, *x.shape[3:]), where)
    return images.reshape(x.shape), scale


def check_examples(
    name: str, x: object, where: str, examples: str
) -> tuple[np.ndarray, float, str]:
    """Returns examples in the form of splits, their scale and their kind."""
    if examples == "auto":
        examples = {2: "series", 5: "clips"}.get(np.ndim(x), "images")
    if examples == "clips":
        return *_check_clips(name, x, where), examples
    check = check_series if examples == "series" else check_images
    return *check(name, x, where), examples


def label_names_of(
    given: object, labels: tuple[np.ndarray, np.ndarray], kind: str, where: str
) -> tuple[str, ...]:
    """Returns a name for each class, label or number, after checking the labels against them.

    Args:
        given: The names, or `None` for the numbers 0, 1 and so on.
        labels: Those of the training and of the test examples.
        kind: Their kind.
        where: Name of the source in error messages.
    """
    if kind != "classes":
        units = labels[0].shape[1]
        names = _names([str(number) for number in range(units)] if given is None else given, where)
        if len(names) != units:
            raise DatasetError(
                f"{where}: `label_names` must hold one name for each of {units} columns of labels. "
                f"Received: {len(names)} names"
            )
        return names
    y_train, y_test = labels
    highest = int(max(y_train.max(), y_test.max()))
    if given is None:
        # Without names the labels determine the number of classes: a stray label must not.
        if highest >= len(y_train) or y_test.max() > y_train.max():
            raise DatasetError(
                f"{where}: labels must lie in 0..classes - 1, each class in the training examples. "
                f"Received: labels up to {y_train.max()} in {len(y_train)} training examples, up "
                f"to {y_test.max()} in the test examples"
            )
        given = [str(label) for label in range(highest + 1)]
    names = _names(given, where)
    if highest >= len(names):
        raise DatasetError(
            f"{where}: labels must lie in 0..{len(names) - 1}, as there are {len(names)} "
            f"label_names. Received: labels up to {highest}"
        )
    if len(names) < 2:
        raise DatasetError(
            f"{where}: a dataset needs at least 2 classes to tell apart. Received: {len(names)}"
        )
    return names


def _names(given, where) -> tuple[str, ...]:
    try:
        names = np.asarray(given)
    except ValueError as error:
        raise DatasetError(f"{where}: `label_names` must be one string a class.") from error
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DatasetError(
            f"{where}: `label_names` must be one string a class. "
            f"Received: shape {names.shape}, dtype {names.dtype}"
        )
    try:
        return tuple(item.decode() if isinstance(item, bytes) else str(item) for item in names)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{where}: `label_names` must be text in UTF-8. ({error})") from error


def _encoded(y_train, y_test, where) -> tuple[Any, ...]:
    """Returns word labels as numbers, in sorted order of the words, and the words."""
    y_train, y_test = np.asarray(y_train), np.asarray(y_test)
    words = [y.dtype.kind in "US" or (y.dtype == object and y.ndim == 1) for y in (y_train, y_test)]
    if not any(words):
        return y_train, y_test, None
    if not all(words) or y_train.ndim != 1 or y_test.ndim != 1:
        raise DatasetError(
            f"{where}: `y_train` and `y_test` must both hold words, or both numbers. Received: "
            f"{y_train.dtype} of shape {y_train.shape} and {y_test.dtype} of shape {y_test.shape}"
        )
    if not all(isinstance(item, str | bytes) for y in (y_train, y_test) for item in y.tolist()):
        raise DatasetError(f"{where}: labels must be words or numbers, not other objects.")
    names = np.unique(y_train.astype(str))
    if unknown := sorted(set(y_test.astype(str)) - set(names)):
        raise DatasetError(
            f"{where}: `y_test` must hold classes of `y_train`: {', '.join(names[:20])}. "
            f"Received: {', '.join(unknown[:20])}"
        )
    return *(np.searchsorted(names, y.astype(str)) for y in (y_train, y_test)), names


def from_arrays(
    x_train: object,
    y_train: object,
    x_test: object,
    y_test: object,
    label_names: object = None,
    *,
    name: str = "arrays",
    where: str = "arrays",
    options: Options | None = None,
    called: Mapping[str, str] | None = None,
    groups: tuple[Any, ...] = (None, None),
) -> Dataset:
    """Returns a dataset of arrays in memory.

    Args:
        x_train: Training images, `(n, height, width)` or `(n, height, width, channels)`. Integers
            (uint8, uint16, or others in 0..255) are scaled by their range in a pipeline; floating
            point is unchanged. Series are `(n, steps)` or `(n, steps, channels)`.
        y_train: Their labels: integers in 0..classes - 1, words or one-hot rows, 0 and 1 for each
            of several labels, or measurements.
        x_test: Held-out examples.
        y_test: Their labels.
        label_names: One string per class, label or number. Defaults to their numbers.
        name: Name of the dataset, which may determine its default augmentation.
        where: Name of the source in error messages, e.g. the file.
        options: The kinds of examples and labels.
        called: Names of arrays in error messages, if they differ.
        groups: Groups of the training and of the test examples, or `None`.

    Returns:
        A `Dataset` of `ArraySplit`s.

    Raises:
        DatasetError: If an array is not acceptable; the message says which and why.
    """
    options = options or Options()
    called = dict(zip(ARRAY_NAMES, ARRAY_NAMES, strict=True)) | dict(called or {})
    x_train, scale, examples = check_examples(called["x_train"], x_train, where, options.examples)
    x_test, test_scale, _ = check_examples(called["x_test"], x_test, where, examples)
    if x_train.shape[1:] != x_test.shape[1:] or scale != test_scale:
        raise DatasetError(
            f"{where}: `{called['x_train']}` and `{called['x_test']}` must agree in shape and kind "
            f"of number. Received: {x_train.shape[1:]} {x_train.dtype} and {x_test.shape[1:]} "
            f"{x_test.dtype}"
        )
    y_train, y_test, words = _encoded(y_train, y_test, where)
    if (y_train.dtype.kind == "f") != (y_test.dtype.kind == "f") and options.label_kind == "auto":
        raise DatasetError(
            f"{where}: `{called['y_train']}` and `{called['y_test']}` must agree in kind of "
            f"number. Received: {y_train.dtype} and {y_test.dtype}"
        )
    y_train, kind = check_labels(
        called["y_train"], y_train, len(x_train), where, options.label_kind
    )
    y_test, _ = check_labels(called["y_test"], y_test, len(x_test), where, kind)
    if kind != "classes" and y_train.shape[1] != y_test.shape[1]:
        raise DatasetError(
            f"{where}: `{called['y_train']}` and `{called['y_test']}` must have equally many "
            f"columns. Received: {y_train.shape[1]} and {y_test.shape[1]}"
        )
    names = label_names if words is None else words
    class_names = label_names_of(names, (y_train, y_test), kind, where)
    shape = x_train.shape[1:]
    fields = {
        "image_shape": shape,
        "scale": scale,
        "augmentation": default_augmentation(name, shape),
        "label_kind": kind,
    }
    if examples == "clips":
        options = with_frames(options, (x_train.shape[1], x_test.shape[1]), where)
        fields |= {"image_shape": (options.frames, *shape[1:]), "augmentation": "shift"}
        fields |= {"stride": options.stride}
    train, test = (
        ArraySplit(
            x=x,
            y=y,
            lengths=_lengths(x, examples),
            groups=None if group is None else np.asarray(group),
            **fields,
        )
        for x, y, group in ((x_train, y_train, groups[0]), (x_test, y_test, groups[1]))
    )
    return Dataset(name, train, test, class_names)


def _lengths(x, examples) -> np.ndarray | None:
    return np.full(len(x), x.shape[1], np.int32) if examples == "clips" else None


def from_tuple(
    source: tuple[Any, ...],
    options: Options,
    *,
    label_names: object = None,
    name: str = "arrays",
    where: str = "arrays",
    groups: object = None,
) -> Dataset:
    """Returns a dataset of `((x_train, y_train), (x_test, y_test))`, these four, or `(x, y)`."""
    if len(source) == 2 and all(isinstance(part, tuple | list) for part in source):
        source = tuple(item for part in source for item in part)
    parted = (None, None)
    if len(source) == 2:
        x, _, examples = check_examples("x", source[0], where, options.examples)
        options = replace(options, examples=examples)
        encoded, _, words = _encoded(source[1], source[1], where)
        y, kind = check_labels("y", encoded, len(x), where, options.label_kind)
        try:
            rest, held_out = divided(
                y, kind, options.test_fraction, options.seed, groups, options.held_out
            )
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error
        if groups is not None:
            parted = tuple(np.asarray(groups)[part] for part in (rest, held_out))
        label_names = label_names if words is None else words
        source = (x[rest], encoded[rest], x[held_out], encoded[held_out])
    if len(source) not in (4, 5):
        raise DatasetError(
            "Arrays must be (x_train, y_train, x_test, y_test) with label_names as an optional "
            f"fifth, ((x_train, y_train), (x_test, y_test)), or (x, y). Received: {len(source)}"
        )
    names = {} if len(source) == 5 else {"label_names": label_names}
    return from_arrays(*source, name=name, where=where, options=options, groups=parted, **names)
