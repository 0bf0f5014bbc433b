"""Datasets of sound files: folders by class, tables with classes or transcripts, `.npz`."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual._words import counted
from keras_residual.data.dataset import Dataset
from keras_residual.data.errors import DatasetError
from keras_residual.data.sources import tables
from keras_residual.data.sources.arrays import label_names_of
from keras_residual.data.sources.damage import tell_of_damaged
from keras_residual.data.sources.folder import Files, check_classes_left, parts_of_folder
from keras_residual.data.sources.npz import read_npz
from keras_residual.data.sources.options import Options
from keras_residual.data.sources.recordings import (
    check_rate,
    checked_samples,
    from_recordings,
    transcripts,
)
from keras_residual.data.sources.rows import Labels, rows_of

SUFFIXES = (".wav", ".flac", ".ogg")
_OTHERS = {".mp3", ".m4a", ".aac", ".wma", ".opus", ".webm", ".aif", ".aiff", ".amr", ".au"}
SOUND_FILES = Files("recordings", SUFFIXES, _OTHERS, "WAV, FLAC or OGG files")
ACCEPTED_NPZ = "an .npz file with audio (samples of all), offsets (n + 1), labels and rate"
_TEXT_COLUMNS = ("text", "transcript", "transcription", "sentence")
_LABEL_NAMES = ("y", "label", "labels", "digit", "word", *_TEXT_COLUMNS)
_WHOLE_NUMBERS = ("PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM")


def read_recording(path: Path, max_bytes: int = 2**31) -> tuple[np.ndarray, int]:
    """Returns the samples of a sound file, int16 or float32, and its sampling rate.

    Raises:
        DatasetError: If it is damaged, empty, stereo or not finite.
        ImportError: If soundfile is not installed.
    """
    _check_whole(path)
    with _opened(path) as file:
        if file.frames * file.channels * 4 > max_bytes:
            raise DatasetError(
                f"{path} declares {file.frames:,} samples, more than max_bytes={max_bytes:,} "
                "allows."
            )
        kind = "int16" if file.subtype in _WHOLE_NUMBERS else "float32"
        declared, rate = file.frames, file.samplerate
        samples = file.read(dtype=kind)
    if len(samples) < declared:
        raise DatasetError(f"{path} is truncated: it declares {declared:,} samples.")
    return checked_samples(samples, str(path)), rate


def _check_whole(path: Path) -> None:
    """Raises for a WAV file shorter than it declares, of which soundfile reads the rest."""
    with path.open("rb") as file:
        header = file.read(8)
    declared = int.from_bytes(header[4:8], "little")
    # Programs that write to a pipe leave the size open.
    known = header[:4] == b"RIFF" and 0 < declared < 0x7FFFFFFF
    if known and declared + 8 > path.stat().st_size + 1:
        raise DatasetError(
            f"{path} is truncated: it declares {declared + 8:,} bytes and has "
            f"{path.stat().st_size:,}."
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yields an open sound file; errors of its library become a `DatasetError`."""
    try:
        import soundfile
    except ImportError as error:
        raise ImportError('Sound files need: pip install "keras-residual[audio]"') from error
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise DatasetError(f"{path} is damaged or no WAV, FLAC or OGG file.") from error


def _check_sum(paths: Sequence[Path], options: Options) -> None:
    """Raises if the recordings together take more memory than allowed, before one is read."""
    with ThreadPoolExecutor() as pool:
        total = sum(pool.map(_declared_bytes, paths))
    if total > options.max_bytes:
        raise DatasetError(
            f"{paths[0].parent}: {counted(len(paths), 'recording')} declare {total:,} bytes, more "
            f"than max_bytes={options.max_bytes:,}: raise `max_bytes` if that is right."
        )


def _declared_bytes(path: Path) -> int:
    """Returns the size of a file's samples by its header, 0 if it is damaged."""
    try:
        with _opened(path) as file:
            return file.frames * file.channels * (2 if file.subtype in _WHOLE_NUMBERS else 4)
    except DatasetError:
        return 0


def _read(
    paths: Sequence[Path], options: Options
) -> tuple[list[Any], int, np.ndarray, tuple[Any, ...]]:
    """Returns the intact recordings, their rate, their indices, and the damaged files."""

    def read(path: Path) -> tuple[Any, ...]:
        try:
            return *read_recording(path, options.max_bytes), None
        except DatasetError as error:
            return None, None, str(error)

    _check_sum(paths, options)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(read, paths))
    rates = Counter(rate for _, rate, _ in found if rate is not None)
    wanted = options.rate or (rates.most_common(1)[0][0] if rates else None)
    errors = {}
    for path, (_, rate, error) in zip(paths, found, strict=True):
        if error is None and rate != wanted:
            error = (
                f"{path} has {rate:,} samples a second where {wanted:,} are expected: resample it."
            )
        if error is not None:
            errors[str(path)] = error
    if errors:
        tell_of_damaged(errors, len(paths), options.damaged, "recordings")
    whole = [place for place, path in enumerate(paths) if str(path) not in errors]
    return [found[place][0] for place in whole], wanted, np.array(whole, int), tuple(errors)


def _dataset(name, where, paths, labels: Labels, options, parts=None) -> Dataset:
    recordings, rate, whole, left_out = _read(paths, options)
    place = np.full(len(paths), -1)
    place[whole] = np.arange(len(whole))
    if parts is not None:
        parts = tuple(place[part][place[part] >= 0] for part in parts)
    kept = Labels(
        labels.y[whole],
        labels.kind,
        labels.names,
        None if labels.groups is None else labels.groups[whole],
    )
    found = from_recordings(name, where, recordings, rate, kept, options, parts, left_out)
    check_classes_left(where, labels.names, found.train, found.test, "recordings")
    return found


def from_sound_folder(folder: Path, options: Options) -> Dataset:
    """Returns a dataset of sound files by class, split like a folder of pictures."""
    parts, names = parts_of_folder(folder, options, SOUND_FILES)
    paths = [path for files, _ in parts for path in files]
    y, groups = (
        None if parts[0][1][key] is None else np.concatenate([fields[key] for _, fields in parts])
        for key in ("y", "groups")
    )
    boundary = len(parts[0][0])
    rows = np.arange(boundary), np.arange(boundary, len(paths))
    labels = Labels(y, "classes", tuple(names), groups)
    return _dataset(folder.name, str(folder), paths, labels, options, rows)


def names_sound_files(table: tables.Table, options: Options) -> bool:
    """Returns whether a table's first row names a sound file, with its suffix or without."""
    first = {name: cells[0] for name, cells in table.columns.items()}
    if any(cell.lower().endswith((*SUFFIXES, *_OTHERS)) for cell in first.values()):
        return True
    named = [
        cell
        for name, cell in first.items()
        if cell and (name == options.files or name.lower() in tables.FILE_COLUMNS)
    ]
    return any(
        (table.folder / f"{cell}{suffix}").is_file() for cell in named for suffix in SUFFIXES
    )


def from_sound_table(
    table: tables.Table,
    name: str,
    options: Options,
    parts: tuple[np.ndarray, np.ndarray] | None = None,
) -> Dataset:
    """Returns a dataset of recordings from the rows of a table, see `rows_of`.

    Labels are classes, numbers or transcripts.
    """
    advice = ", or label_kind='text' for transcripts"
    rows = rows_of(table, options, SUFFIXES, "recording", parts, _labels_of, advice)
    return _dataset(name, table.where, rows.paths, rows.labels, options, rows.parts)


def _labels_of(table, others, files, options):
    """Returns labels, kind and names: transcripts, or what `tables.labels_of` finds."""
    text = options.labels or next(
        (column for column in table.columns if column.lower() in _TEXT_COLUMNS), None
    )
    requested = options.label_kind == "text"
    usual = isinstance(text, str) and text.lower() in _TEXT_COLUMNS
    if isinstance(text, str) and (requested or (usual and options.label_kind == "auto")):
        y, names = _transcripts_of(table, files, text)
        return y, "text", names
    if requested:
        raise DatasetError(f"{table.where}: give the column of the transcripts as `labels`.")
    return tables.labels_of(table, others, files, options)


def _transcripts_of(table, files, column):
    cells = table.column(column, "labels")
    if empty := [table.columns[files][row] for row, cell in enumerate(cells) if not cell]:
        raise DatasetError(
            f"{table.where}: column {column!r} has no transcript for "
            f"{counted(len(empty), 'file')}, such as "
            f"{empty[0]}: fill it in or remove the rows."
        )
    return transcripts(cells)


def from_sound_npz(path: Path, inside: Sequence[str], options: Options) -> Dataset:
    """Returns a dataset from an `.npz` file with the concatenated samples of all recordings.

    It holds `audio` (int16 or floating point), `offsets` (n + 1 integers, the start of each and the
    end of the last), labels (`y`, `label`, `digit`, `text` or the array `options.labels`), `rate`
    unless `options.rate` is given, and the array `options.group`.
    """
    label = options.labels or next((name for name in _LABEL_NAMES if name in inside), None)
    group = options.group if isinstance(options.group, str) else None
    names = ["audio", "offsets", "rate", label, group, "label_names"]
    arrays, _ = read_npz(path, [name for name in names if name], options.max_bytes, ACCEPTED_NPZ)
    for name, argument in ((label, "labels"), (group, "group")):
        if name is not None and name not in arrays:
            raise DatasetError(f"{path} has no {name!r} for `{argument}`: {', '.join(inside)}")
    if label is None:
        raise DatasetError(f"{path}: name the array of labels as `labels`: {', '.join(inside)}")
    recordings = _cut(path, arrays["audio"], arrays["offsets"])
    rate = check_rate(arrays.get("rate"), options, path)
    y, kind, label_names = _labels(path, arrays[label], label, len(recordings), options)
    if "label_names" in arrays and kind == "classes":
        y, label_names = _named(path, arrays[label], arrays["label_names"], y, label_names)
    groups = arrays[group] if group else None
    if groups is not None and groups.shape != (len(recordings),):
        raise DatasetError(f"{path}: {group!r} must hold one value for each recording.")
    labels = Labels(y, kind, label_names, groups)
    return from_recordings(path.stem, str(path), recordings, rate, labels, options)


def _labels(path, values, name, count, options):
    if values.shape[:1] != (count,) or values.ndim != 1:
        raise DatasetError(f"{path}: {name!r} must hold one label for each of {count} recordings.")
    if options.label_kind == "text" or (name in _TEXT_COLUMNS and options.label_kind == "auto"):
        texts = [str(value) for value in values]
        if "" in texts:
            raise DatasetError(f"{path}: {name!r} holds empty transcripts.")
        y, names = transcripts(texts)
        return y, "text", names
    column = tables.Table({name: [str(value) for value in values]}, str(path), path.parent)
    return tables.labels_of(column, (), name, options)


def _named(path, numbers, given, y, found):
    """Returns labels and class names where a file names its numbers; words name themselves."""
    if numbers.dtype.kind not in "iub":
        return y, found
    numbers = numbers.astype(np.int64)
    if numbers.min() < 0:
        raise DatasetError(f"{path}: `label_names` needs labels from 0. Received: {numbers.min()}")
    return numbers.astype(np.int32), label_names_of(given, (numbers, numbers), "classes", str(path))


def _cut(path, audio, offsets) -> list[np.ndarray]:
    whole = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1
    if audio.ndim != 1 or not whole or offsets[0] < 0 or offsets[-1] > len(audio):
        raise DatasetError(
            f"{path}: `audio` must be (samples,) and `offsets` n + 1 integers within it. Received: "
            f"shapes {audio.shape} and {offsets.shape}"
        )
    ends = offsets.astype(np.int64)
    if (np.diff(ends) < 0).any():
        raise DatasetError(f"{path}: `offsets` must not decrease.")
    return [
        checked_samples(audio[start:stop], f"{path}, recording {number},")
        for number, (start, stop) in enumerate(itertools.pairwise(ends))
    ]
