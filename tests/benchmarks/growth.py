"""How cost grows: time and memory over depth, width, sizes, data, trials, and their slopes.

    python tests/benchmarks/growth.py
    python tests/benchmarks/growth.py --curves "depth, scanned" folders --again

Each curve is measured in a process of its own, and each point is written as soon as it is measured,
so that an interrupted command can be repeated. A point has the CPU seconds of the part that is done
once (building, loading, the first step), those of the repeated part (a step, an epoch, a pass over
files; the median of up to five), and the increase of peak memory by both. The slope is that of a
line through the last three points on logarithmic axes, against the amount of work: the
multiply-accumulates of a network, or the number of examples, files, trials or knobs. A slope above
1.15 is reported, and ends the command with status 1. `--figure FILE` draws the curves.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from _growth_curves import CURVES
from _kept import RESULTS, keep

QUANTITIES = ("once_s", "each_s", "memory_mib")
LINEAR = 1.15
# Below these, a quantity is noise: processor seconds, and MiB.
_LEAST = {"once_s": 0.05, "each_s": 0.002, "memory_mib": 20}
_REPEATS, _ENOUGH_SECONDS = 5, 2


def peak_memory() -> float:
    """Returns the peak memory of this process, in MiB, since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> float:
    """Makes the peak that of now, and returns the memory in use, in MiB."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no {name}")


def measured(name: str, size: int, folder: pathlib.Path) -> dict:
    """Measures one point of a curve."""
    work = CURVES[name].work(size, folder)
    before, started = forget_peak(), time.process_time()
    run = work.prepare()
    once, each = time.process_time() - started, []
    while callable(run) and len(each) < _REPEATS and sum(each) < _ENOUGH_SECONDS:
        started = time.process_time()
        run()
        each.append(time.process_time() - started)
    return {
        "curve": name,
        "size": size,
        "amount": work.amount,
        "once_s": round(once, 4),
        "each_s": round(statistics.median(each), 5) if each else None,
        "memory_mib": round(peak_memory() - before, 1),
    }


def slope(points: list[dict], quantity: str) -> float | None:
    """Returns the exponent with which a quantity grows, from the last three points."""
    last = [
        (math.log(point["amount"]), math.log(point[quantity]))
        for point in sorted(points, key=lambda point: point["size"])[-3:]
        if point[quantity] and point[quantity] >= _LEAST[quantity]
    ]
    if len({x for x, _ in last}) < 2:
        return None
    return round(statistics.linear_regression(*zip(*last, strict=True)).slope, 2)


def slopes(points: list[dict]) -> dict[str, dict]:
    """Returns the slopes of each curve that has points."""
    found = {}
    for name in CURVES:
        own = [point for point in points if point["curve"] == name]
        if own:
            found[name] = {quantity: slope(own, quantity) for quantity in QUANTITIES}
    return found


def worse_than_linear(found: dict[str, dict]) -> list[str]:
    """Returns what grows faster than its arithmetic, in words."""
    return [
        f"{name}: {quantity} grows with exponent {exponent}"
        for name, of_curve in found.items()
        for quantity, exponent in of_curve.items()
        if exponent is not None and exponent > LINEAR
    ]


def table(points: list[dict]) -> str:
    """Returns the slopes as a table in Markdown, with the largest sizes and what they took."""
    lines = ["| | sizes | once, s | each, s | memory, MiB |", "|---|---|---:|---:|---:|"]
    for name, of_curve in slopes(points).items():
        own = sorted((p for p in points if p["curve"] == name), key=lambda p: p["size"])
        cells = []
        for quantity in QUANTITIES:
            value, exponent = own[-1][quantity], of_curve[quantity]
            shown = "" if value is None else f"{value:.3g}"
            cells.append(shown if exponent is None else f"{shown} ({exponent:.2f})")
        sizes = f"{own[0]['size']:,} to {own[-1]['size']:,} {CURVES[name].axis}"
        lines.append(f"| {name} | {sizes} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(arguments) -> list[dict]:
    """Measures the points that are missing, and returns all."""
    path = arguments.results / "growth.json"
    points = json.loads(path.read_text())["points"] if path.is_file() else []
    if arguments.again:
        points = [point for point in points if point["curve"] not in arguments.curves]
    for name in arguments.curves:
        known = {point["size"] for point in points if point["curve"] == name}
        missing = [str(size) for size in CURVES[name].sizes if size not in known]
        if not missing:
            continue
        command = [sys.executable, "-W", "ignore", __file__, "--folder", str(arguments.folder)]
        command += ["--curves", name, "--measure", *missing]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("{"):
                    points.append(json.loads(line))
                    print(points[-1], flush=True)
                    keep(arguments.results, "growth", points=points, slopes=slopes(points))
        if process.returncode:
            raise SystemExit(f"{name} ended with status {process.returncode}")
    return points


def draw(points: list[dict], path: pathlib.Path) -> None:
    """Draws every curve: time of both parts and memory over size, logarithmic."""
    from matplotlib.figure import Figure

    found = slopes(points)
    columns = 4
    rows = math.ceil(len(found) / columns)
    figure = Figure(figsize=(3.1 * columns, 2.5 * rows), layout="constrained")
    for place, (name, of_curve) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        own = sorted((p for p in points if p["curve"] == name), key=lambda p: p["size"])
        for quantity, label, colour in (
            ("once_s", "once, s", "#1565c0"),
            ("each_s", "each, s", "#2e7d32"),
            ("memory_mib", "memory, MiB", "#c62828"),
        ):
            shown = [(p["size"], p[quantity]) for p in own if p[quantity]]
            if shown:
                exponent = of_curve[quantity]
                words = label if exponent is None else f"{label} ({exponent:.2f})"
                axes.loglog(*zip(*shown, strict=True), "o-", ms=3, lw=1, color=colour, label=words)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(CURVES[name].axis, fontsize=8)
        axes.tick_params(labelsize=7, which="both")
        axes.minorticks_off()
        # Room for the legend above the lines.
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top * (top / bottom) ** 0.45)
        axes.legend(fontsize=6, frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--curves", nargs="+", choices=CURVES, default=list(CURVES), metavar="CURVE"
    )
    parser.add_argument("--again", action="store_true", help="measure known points again")
    parser.add_argument("--figure", type=pathlib.Path, help="draw the curves to this file")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS)
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path(tempfile.gettempdir()) / "growth",
        help="keeps the pictures that are made",
    )
    parser.add_argument("--measure", nargs="+", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        curve = CURVES[arguments.curves[0]]
        # What a process pays once, such as imports, belongs to no size.
        curve.work(curve.sizes[0], arguments.folder).prepare()
        for size in arguments.measure:
            print(json.dumps(measured(arguments.curves[0], size, arguments.folder)), flush=True)
        return 0
    points = measure(arguments)
    found = slopes(points)
    print(table(points))
    if arguments.figure:
        draw(points, arguments.figure)
    worse = worse_than_linear(found)
    print("\n".join(worse) or "Nothing grows faster than its arithmetic.")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
