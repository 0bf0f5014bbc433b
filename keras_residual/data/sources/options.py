"""The loading options of a dataset, as one object for every kind of source."""

import numbers
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from keras_residual import _checks
from keras_residual.data.pictures.headers import LARGEST_PICTURE

EXAMPLES = ("auto", "images", "series", "clips")
LABELS = ("auto", "classes", "multi_label", "regression", "text")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The checked arguments of `load`, which describes them.

    Attributes:
        test_fraction: Fraction held out from a source without test examples.
        seed: Determines which examples are held out.
        examples: Kind of the examples, one of `EXAMPLES`.
        label_kind: Kind of the labels, one of `LABELS`.
        files: Column of a table with the files' names.
        labels: Columns of a table with the labels.
        group: Column of a table, or a function of a file's path, with groups that stay together.
        held_out: Names of the groups to hold out, in place of a fraction.
        folder: Folder of the files of a table.
        rate: Samples per second of recordings that do not store it.
        seconds: Length of recordings.
        frames: Number of frames taken of a clip; `None` to infer it from the clips.
        stride: Distance between these frames.
        frame_size: Size to which frames in files are resized; `None` to keep theirs.
        damaged: `"raise"` or `"leave_out"`.
        max_bytes: Maximal number of bytes of the arrays in a file.
        max_pixels: Maximal number of pixels of a picture.
    """

    test_fraction: float = 0.2
    seed: int = 0
    examples: str = "auto"
    label_kind: str = "auto"
    files: str | None = None
    labels: str | Sequence[str] | None = None
    group: str | Callable[..., Any] | None = None
    held_out: Sequence[Any] | str | None = None
    folder: object = None
    rate: int | None = None
    seconds: float | None = None
    frames: int | None = None
    stride: int = 1
    frame_size: int | Sequence[int] | None = None
    damaged: str = "raise"
    max_bytes: int = 2**31
    max_pixels: int = LARGEST_PICTURE

    def __post_init__(self) -> None:
        _checks.seed(self.seed)
        _checks.real("test_fraction", self.test_fraction, 0, 1, open_start=True, open_end=True)
        _checks.choice("examples", self.examples, EXAMPLES)
        _checks.choice("label_kind", self.label_kind, LABELS)
        _checks.choice("damaged", self.damaged, ("raise", "leave_out"))
        if self.frames is not None:
            _checks.integer("frames", self.frames, maximum=2**16)
        _checks.integer("stride", self.stride, maximum=2**16)
        if self.frame_size is not None:
            object.__setattr__(self, "frame_size", _size_of_frames(self.frame_size))
        if self.rate is not None:
            _checks.integer("rate", self.rate)
        if self.seconds is not None:
            _checks.real("seconds", self.seconds, 0, 1e6, open_start=True)
        _checks.integer("max_bytes", self.max_bytes, maximum=2**63)
        _checks.integer("max_pixels", self.max_pixels)


def _size_of_frames(size) -> tuple[int, int]:
    sides = [size, size] if isinstance(size, numbers.Integral) else size
    valid = isinstance(sides, Sequence) and not isinstance(sides, str) and len(sides) == 2
    if not valid:
        raise ValueError(
            f"`frame_size` must be an integer or (height, width). Received: frame_size={size!r}"
        )
    height, width = (_checks.integer("frame_size", side, maximum=2**14) for side in sides)
    return height, width


def with_options_of(source: str, options: Options) -> tuple[str, Options]:
    """Splits `"NAME,option=value,..."` into the name and the options with these changes.

    Raises:
        ValueError: If a value is none of the accepted.
    """
    given = {}
    names = {field.name for field in fields(Options)}
    while "," in source and not Path(source).expanduser().exists():
        rest, _, last = source.rpartition(",")
        name, equals, value = last.partition("=")
        if not equals or name not in names:
            break
        source, given[name] = rest, _read(name, value)
    return source, replace(options, **given)


def _read(name: str, value: str) -> object:
    if name in ("labels", "held_out") and "+" in value:
        return tuple(value.split("+"))
    if name == "frame_size" and re.fullmatch(r"\d+x\d+", value):
        return tuple(map(int, value.split("x")))
    kind = {"test_fraction": float, "seconds": float}
    kind |= dict.fromkeys(("seed", "max_bytes", "max_pixels", "rate", "frames", "stride"), int)
    kind = {**kind, "frame_size": int}.get(name, str)
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(f"`{name}` must be a number. Received: {name}={value!r}") from error
