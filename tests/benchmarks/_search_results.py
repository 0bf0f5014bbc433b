"""Tables and pictures of the accuracies that searches find over time."""

import json
import pathlib
import shutil
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tables

GUIDE = tables.ROOT / "docs" / "guide" / "search.md"


def best_after(points, seconds):
    return max((accuracy for spent, accuracy in points if spent <= seconds), default=0.0)


def minutes_until(points, accuracy):
    """Returns when a search had found a network of some accuracy, in minutes, or `None`."""
    return next((spent / 60 for spent, found in points if found >= accuracy), None)


def draw(curves, minutes, path):
    """Draws the mean over seeds of the best held-out accuracy so far, and the seeds faintly."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    times, highest, lowest = np.linspace(0, 60 * minutes, 400), 0.0, 1.0
    for name, seeds in curves.items():
        every = [[best_after(found["points"], t) for t in times] for found in seeds.values()]
        values = np.mean(every, 0)
        started = np.min(every, 0) > 0
        style = "-" if name.startswith("evolution") else "--"
        (line,) = axes.plot(times[started] / 60, 100 * values[started], style, label=name)
        for seed in every if len(every) > 1 else ():
            shown = 100 * np.array(seed)[started]
            axes.plot(times[started] / 60, shown, style, color=line.get_color(), alpha=0.2, lw=0.8)
        highest = max(highest, np.max(every))
        lowest = min(lowest, values[-1])
    axes.set(xlabel="minutes of processor time", ylabel="best held-out accuracy so far, %")
    axes.set_ylim(100 * (lowest - 1.5 * (highest - lowest) - 0.01), 100 * highest + 0.3)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def table(curves, minutes):
    """Returns the searches as a table in Markdown, each number a mean over the seeds."""
    end = 60 * minutes
    best = {
        name: [best_after(found["points"], end) for found in seeds.values()]
        for name, seeds in curves.items()
    }
    peers = [np.mean(values) for name, values in best.items() if not name.startswith("evolution")]
    goal = max(peers, default=0) or None
    heads = [f"after {fraction * minutes:.2g} min" for fraction in (1 / 6, 1 / 3, 1)]
    columns = ["trials", *heads, "seeds", "from scratch", "minutes to the best peer's mean"]
    lines = [f"| search | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, seeds in curves.items():
        every = [found["points"] for found in seeds.values()]
        cells = [f"{np.mean([sum(t <= end for t, _ in points) for points in every]):.0f}"]
        cells += [
            f"{np.mean([best_after(points, fraction * end) for points in every]):.2%}"
            for fraction in (1 / 6, 1 / 3, 1)
        ]
        cells.append(", ".join(f"{100 * value:.1f}" for value in best[name]))
        anew = [found["from_scratch"] for found in seeds.values()]
        cells.append(f"{np.mean(anew):.2%}" if None not in anew else "")
        cells.append(", ".join(_minutes(points, goal) for points in every))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines).replace("%", " %")


def _minutes(points, goal):
    reached = None if goal is None else minutes_until(points, goal)
    return "–" if reached is None else f"{reached:.1f}"


def write_guide(folder):
    """Writes the kept results into the guide: the digits with a picture, the other data sets."""
    kept = json.loads((folder / "search_curves.json").read_text())
    tables.write(GUIDE, "search-curves", table(kept["curves"], kept["minutes"]) + "\n")
    shutil.copy(folder / "search_curves.png", tables.ROOT / "docs" / "images")
    others = [json.loads(path.read_text()) for path in sorted(folder.glob("search_curves-*.json"))]
    tables.write(GUIDE, "search-curves-of-others", others_table(others) + "\n")


def others_table(results):
    """Returns a table with a row for each data set and search, of one or more seeds."""
    lines = [
        "| data | budget | search | trials | after a third | at the end |",
        "|---|---|---|---:|---:|---:|",
    ]
    for kept in results:
        ((bound, most),) = kept["budget"].items()
        end = 60 * kept["minutes"]
        for name, seeds in kept["curves"].items():
            every = [found["points"] for found in seeds.values()]
            trials = np.mean([sum(spent <= end for spent, _ in points) for points in every])
            best = [
                np.mean([best_after(points, time) for points in every]) for time in (end / 3, end)
            ]
            lines.append(
                f"| {kept['searched']}, {kept['minutes']:.2g} min | `{bound}={most}` | {name} "
                f"| {trials:.0f} | {best[0]:.2%} | {best[1]:.2%} |".replace("%", " %")
            )
    return "\n".join(lines)
