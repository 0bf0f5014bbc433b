"""Benchmarks exported files and models against each other, each in a separate process."""

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_residual import _checks
from keras_residual._files import replacing
from keras_residual._words import counted
from keras_residual.export.errors import ExportError
from keras_residual.export.formats.saved_model import plain_path
from keras_residual.export.formats_table import FORMATS
from keras_residual.export.proof.artefact import Artefact, format_of, size_of

_WORKER = Path(__file__).with_name("worker.py")
_ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """One model at one batch size and number of threads.

    Attributes:
        name: Name of the model or file.
        format: Its format; `"keras"` for a model in Keras, timed by `predict_on_batch`.
        batch_size: Inputs per run.
        threads: Threads of the runtime.
        median_seconds: Median time of a run.
        p95_seconds: 95th percentile of the time of a run.
        load_seconds: Time from the import of the runtime to the first output.
        memory_bytes: Growth of the process' peak memory after the import of the runtime.
        file_bytes: Size on disk; `None` for a model without a file.
    """

    name: str
    format: str
    batch_size: int
    threads: int
    median_seconds: float
    p95_seconds: float
    load_seconds: float
    memory_bytes: int
    file_bytes: int | None

    @property
    def per_second(self) -> float:
        """Throughput in inputs per second."""
        return self.batch_size / self.median_seconds


@dataclass(frozen=True)
class Benchmark:
    """The results of `benchmark`; `str` gives a table.

    Attributes:
        rows: A `Timing` for each model, batch size and number of threads.
    """

    rows: tuple[Timing, ...]

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows) + 2
        lines = [
            f"{'':<{width}}{'batch':>6}{'threads':>8}{'median ms':>11}{'p95 ms':>10}{'per s':>10}"
            f"{'load s':>8}{'memory MB':>11}{'size MB':>9}"
        ]
        for row in self.rows:
            size = "–" if row.file_bytes is None else f"{row.file_bytes / 1e6:.2f}"
            lines.append(
                f"{row.name:<{width}}{row.batch_size:>6}{row.threads:>8}"
                f"{1e3 * row.median_seconds:>11.3f}{1e3 * row.p95_seconds:>10.3f}"
                f"{row.per_second:>10.1f}{row.load_seconds:>8.2f}"
                f"{row.memory_bytes / 1e6:>11.1f}{size:>9}"
            )
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draws the throughput of every row to a PNG file."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError('Pictures need: pip install "keras-residual[plot]"') from error
        names = list(dict.fromkeys(row.name for row in self.rows))
        settings = list(dict.fromkeys((row.batch_size, row.threads) for row in self.rows))
        figure = Figure(figsize=(9, 1.6 + 0.22 * len(self.rows)), layout="constrained")
        axes, height = figure.subplots(), 0.8 / len(settings)
        for index, (batch, threads) in enumerate(settings):
            found = {r.name: r for r in self.rows if (r.batch_size, r.threads) == (batch, threads)}
            places = [names.index(name) + (index + 0.5) * height - 0.4 for name in found]
            rates = [row.per_second for row in found.values()]
            label = f"batch {batch}, {counted(threads, 'thread')}"
            axes.bar_label(axes.barh(places, rates, height, label=label), fmt=" {:,.0f}", size=8)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set(xlabel="inputs a second", xscale="log")
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        with replacing(path) as partial:
            figure.savefig(partial, dpi=150)


def benchmark(
    *artefacts: Artefact | str | os.PathLike[str],
    batch_sizes: Sequence[int] = (1, 32),
    threads: Sequence[int] = (1, 2),
    seconds: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Benchmark:
    """Measures latency, throughput, loading time and memory of files and models.

    Each runs on random numbers in a separate process. The processes take turns of a fifth of
    `seconds`, so that other load on the machine affects all of them equally. A file with a fixed
    batch size runs at that size.

    Args:
        *artefacts: An `Artefact`, the path of one or of a `.keras` file, a name such as
            `"ResNet50"`, or `"keras.applications.ResNet50"`; the last three are run by
            `predict_on_batch`, names with random weights.
        batch_sizes: Positive integers.
        threads: Positive integers.
        seconds: Total running time of each row. Defaults to `1`.
        progress: Optional function that is called after each turn with the number of finished turns
            and of all.

    Returns:
        A `Benchmark`: print it for a table, `plot` draws it.

    Raises:
        ExportError: If something cannot be loaded or run.
        ValueError: If an argument is out of range.

    Example:

    >>> print(benchmark("model.tflite", "keras.applications.ResNet50"))  # doctest: +SKIP
    """
    batch_sizes = _checks.integers("batch_sizes", batch_sizes)
    threads = _checks.integers("threads", threads)
    _checks.real("seconds", seconds, 0.0, 3600.0)
    if not artefacts:
        raise ValueError("`artefacts` must name something to run. Received: nothing")
    sources = [_Source.of(artefact) for artefact in artefacts]
    measured = defaultdict(list)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_Worker(s, count)) for s in sources for count in threads]
        turns = list(itertools.product(range(_ROUNDS), workers, batch_sizes))
        for done, (_, worker, batch) in enumerate(turns, start=1):
            answer = worker.run(batch, seconds / _ROUNDS)
            measured[worker, answer["batch"]].append(answer)
            if progress is not None:
                progress(done, len(turns))
    return Benchmark(tuple(_timing(*key, answers) for key, answers in measured.items()))


def _timing(worker, batch, answers) -> Timing:
    times = np.concatenate([answer["seconds"] for answer in answers])
    return Timing(
        worker.source.name,
        worker.source.format,
        batch,
        worker.threads,
        float(np.median(times)),
        float(np.percentile(times, 95)),
        answers[-1]["load_seconds"],
        max(answer["memory_bytes"] for answer in answers),
        worker.source.bytes,
    )


@dataclass(frozen=True)
class _Source:
    name: str
    format: str
    place: str
    bytes: int | None

    @classmethod
    def of(cls, artefact) -> "_Source":
        if isinstance(artefact, Artefact):
            _timed(artefact.path)
            return cls(str(artefact.path), artefact.format, str(artefact.path), artefact.bytes)
        path = Path(artefact)
        if path.suffix == ".keras" and path.is_file():
            return cls(str(path), "keras", str(path), path.stat().st_size)
        if not path.exists() and re.fullmatch(r"(keras\.applications\.)?\w+", str(artefact)):
            return cls(str(artefact), "keras", str(artefact), None)
        return cls(str(path), _timed(path), str(path), size_of(path))


def _timed(path):
    """Returns the format of a file that can be timed here, or raises an `ExportError`."""
    format = format_of(path)
    if not FORMATS[format].timed:
        raise ExportError(f"{path} runs on Apple's devices; its speed cannot be measured here.")
    return format


class _Worker:
    """A process that runs one model on request."""

    def __init__(self, source: _Source, threads: int):
        self.source, self.threads = source, threads

    def __enter__(self):
        # TensorFlow takes brackets in a folder's name for a glob pattern.
        self._path = contextlib.ExitStack()
        place = self.source.place
        if self.source.format == "saved_model":
            place = str(self._path.enter_context(plain_path(Path(place))))
        # -P: modules beside the script must not shadow those of the runtimes.
        command = [sys.executable, "-P", str(_WORKER), self.source.format, place]
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [*command, str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        return self

    def run(self, batch: int, seconds: float) -> dict[str, Any]:
        """Runs the model at a batch size for some seconds."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"batch": batch, "seconds": seconds}), file=self._process.stdin)
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines() or ["no message"]
            raise ExportError(f"{self.source.name} cannot be run ({lines[-1]}).")
        return json.loads(answer)

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._path.close()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
