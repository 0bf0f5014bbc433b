"""The kinds of labels: class numbers, several labels per example, measurements."""

import numpy as np

from keras_residual._words import counted
from keras_residual.data.errors import DatasetError

KINDS = ("classes", "multi_label", "regression", "text")
_TOLERANCE = 1e-3


def check_labels(
    name: str, y: object, count: int, where: str, kind: str = "auto"
) -> tuple[np.ndarray, str]:
    """Returns labels in the form that splits have, and their kind.

    | kind | accepted | form |
    |---|---|---|
    | `"classes"` | integers `(n,)` or `(n, 1)`, booleans `(n,)`, one-hot rows | `(n,)` int32 |
    | `"multi_label"` | 0 and 1 `(n, labels)`, not exactly one 1 in each row | the same, float32 |
    | `"regression"` | floating point `(n,)` or `(n, numbers)` | `(n, numbers)` float32 |

    Args:
        name: Name of the labels in error messages.
        y: The labels.
        count: Number of examples.
        where: Name of the source in error messages.
        kind: One of `KINDS`, or `"auto"` to infer it from the values.

    Raises:
        DatasetError: If they are not labels of that kind, or the kind is ambiguous.
    """
    y = np.asarray(y)
    received = f"Received: shape {y.shape}, dtype {y.dtype}"
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf" or 0 in y.shape[1:]:
        raise DatasetError(
            f"{where}: `{name}` must hold numbers of classes (n,), 0 and 1 for each of several "
            f"labels (n, labels), or measurements (n,) or (n, numbers). {received}"
        )
    if len(y) != count:
        raise DatasetError(
            f"{where}: `{name}` must hold one label for each example. Received: {len(y)} labels "
            f"for {counted(count, 'example')}"
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DatasetError(f"{where}: `{name}` must be finite; it holds NaN or infinity.")
    if kind == "auto":
        kind = _kind(y, f"{where}: `{name}`", received)
    if kind == "text":
        raise DatasetError(f"{where}: transcripts belong to recordings. {received}")
    made = {"classes": _classes, "multi_label": _several, "regression": _numbers}
    return made[kind](y, f"{where}: `{name}`", received), kind


def _kind(y, what, received):
    columns = y.shape[1] if y.ndim == 2 else 1
    zeros_and_ones = bool(((y == 0) | (y == 1)).all())
    if columns > 1 and zeros_and_ones:
        return "classes" if (y.sum(axis=1) == 1).all() else "multi_label"
    if columns == 1 and y.dtype.kind in "biu":
        return "classes"
    if columns > 1 and y.min() >= 0 and (np.abs(y.sum(axis=1) - 1) < _TOLERANCE).all():
        raise DatasetError(
            f"{what} looks like shares of classes: take their argmax, or give "
            f"label_kind='regression'. {received}"
        )
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        return "regression"
    raise DatasetError(
        f"{what} holds whole numbers that may be classes or measurements: give "
        f"label_kind='classes' or label_kind='regression'. {received}"
    )


def _classes(y, what, received):
    if y.ndim == 2 and y.shape[1] > 1:
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
            raise DatasetError(
                f"{what} must hold exactly one 1 in each row to tell classes apart; rows with "
                f"several are label_kind='multi_label'. {received}"
            )
        return y.argmax(axis=1).astype(np.int32)
    y = y.reshape(-1)
    if y.dtype.kind == "f" and not (y == np.round(y)).all():
        raise DatasetError(f"{what} must hold whole numbers, those of classes. {received}")
    if y.min() < 0 or y.max() >= 2**31:
        raise DatasetError(
            f"{what} must hold labels in 0..classes - 1. Received: labels {y.min():g}..{y.max():g}"
        )
    return y.astype(np.int32)


def _several(y, what, received):
    if not ((y == 0) | (y == 1)).all():
        raise DatasetError(f"{what} must hold 0 and 1 for each of several labels. {received}")
    return y.reshape(len(y), -1).astype(np.float32)


def _numbers(y, what, received):
    with np.errstate(over="ignore"):
        numbers = y.reshape(len(y), -1).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise DatasetError(f"{what} must hold numbers that float32 can hold. {received}")
    return numbers


def strata(y: np.ndarray, kind: str) -> np.ndarray:
    """Returns a stratum for each example, by which splits are stratified.

    With several labels it is the rarest one of an example, with measurements the decile of the
    first one.
    """
    if kind == "classes":
        return y
    if kind == "text":
        return np.zeros(len(y), np.int32)
    if kind == "regression":
        ranks = np.argsort(np.argsort(y[:, 0], kind="stable"), kind="stable")
        return ranks * min(max(len(y) // 10, 1), 10) // len(y)
    rarity = np.argsort(y.sum(axis=0), kind="stable")
    return np.where(y.any(axis=1), y[:, rarity].argmax(axis=1), y.shape[1])
