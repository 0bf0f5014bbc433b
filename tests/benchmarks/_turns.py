"""Measurements in turn, so that other work on the machine affects both equally."""

import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence


def in_turn(
    measures: Sequence[Callable[[], float]], rounds: int, names: Sequence[str]
) -> dict[str, float | list[float]]:
    """Returns the medians of two measures, and the ratio of neighbouring values.

    Args:
        measures: Two functions that return milliseconds.
        rounds: Number of calls of each; which one is first alternates.
        names: The names of the two medians.

    Returns:
        The two medians, `"ratio"`, the median of first over second, and its `"quartiles"`.
    """
    pairs = []
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        found = {place: measures[place]() for place in order}
        pairs.append((found[0], found[1]))
    ratios = [first / second for first, second in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        names[0]: statistics.median(first for first, _ in pairs),
        names[1]: statistics.median(second for _, second in pairs),
        "ratio": middle,
        "quartiles": [low, high],
    }


class Process:
    """A process that measures on request, while the others wait.

    Args:
        script: A program that calls `serve`.
        *arguments: Its arguments.
        **environment: Changes of the environment.
    """

    def __init__(self, script: pathlib.Path, *arguments: str, **environment: str):
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # Threads that wait must not spin: the other process computes then.
            "OMP_WAIT_POLICY": "PASSIVE",
            **environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def milliseconds(self, row: str) -> float:
        """Returns the time of a row, measured once; the first time it is also warmed up."""
        try:
            self.process.stdin.write(f"{row}\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            reason = self.process.communicate()[1].strip().splitlines()[-1:]
            raise SystemExit(f"{row}: {' '.join(reason) or 'the process ended'}") from error

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def serve(rows: Mapping[str, Callable[[], Callable[[], object]]], warm_up: int = 3) -> None:
    """Measures rows by the names in the lines of standard input, until it is closed.

    Args:
        rows: For each name a function that prepares a row and returns the function to be timed.
        warm_up: Number of runs of a row before it is timed.
    """
    current, run = None, None
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        name = line.strip()
        if name != current:
            # The memory of the row before is released first.
            run = None
            current, run = name, rows[name]()
            for _ in range(warm_up):
                run()
        started = time.perf_counter()
        run()
        print(1e3 * (time.perf_counter() - started), file=out, flush=True)
