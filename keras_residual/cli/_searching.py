"""The options and results of `tune`."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from rich.markup import escape

from keras_residual import tuning
from keras_residual._words import counted
from keras_residual.cli._table import Column, print_table
from keras_residual.cli._terminal import bold, command, console, in_one_line

_FAMILIES = {
    "resnet": "ResNet20",
    "densenet": "DenseNetBC100_12",
    "regnet": "RegNetX002",
    "lstm": "ResidualLSTMClassifier",
}
_LSTM = "residuallstmclassifier"


def space(model, source, recipe, bounds, constant_macs, knobs):
    """Returns the search space around a network, for the images of a dataset."""
    base = _FAMILIES.get(model.lower(), model)
    if source.label_kind not in ("classes", "multi_label", "regression"):
        raise ValueError(
            "`tune` compares networks by accuracy or error: labels must be classes, several labels "
            f"or numbers. Received: {source}"
        )
    bounds = {**bounds, "labels": source.label_kind}
    if None in source.image_shape:
        raise ValueError(f"The images of {source.name} differ in size; `tune` needs equal ones.")
    if source.examples == "series":
        shape, classes = source.image_shape, source.num_classes
        if base.lower() == _LSTM:
            return tuning.HyperResidualLSTM(shape, classes, recipe=recipe, **bounds, **knobs)
        if base.lower() != "resnet1d":
            raise ValueError(
                "`tune` knows `--model resnet1d` and `--model lstm` for series. "
                f"Received: --model {model}"
            )
        return tuning.HyperResNet1D(shape, classes, recipe, **bounds, **knobs)
    if base.lower() in (_LSTM, "resnet1d") or source.examples != "images":
        raise ValueError(
            f"`tune` needs series for `--model resnet1d` or `--model lstm`, and images for others. "
            f"Received: --model {model}, {source}"
        )
    arguments = (source.image_shape, source.num_classes, base, recipe)
    if base.lower().startswith("densenet"):
        return tuning.HyperDenseNet(*arguments, **bounds, **knobs)
    if base.lower().startswith("regnet"):
        return tuning.HyperRegNet(*arguments, **bounds, **knobs)
    return tuning.HyperResNet(*arguments, **bounds, constant_macs=constant_macs, **knobs)


def parsed_knobs(texts: Iterable[str]) -> dict:
    """Returns the knobs in `NAME=VALUE` texts: a value, a list of values, or `None` for each."""
    knobs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ValueError(f"`--knob` must be NAME=VALUE. Received: {text!r}")
        values = [_value(part) for part in value.split(",")]
        knobs[name] = values[0] if len(values) == 1 else values
    return knobs


def _value(text):
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def cluster(distributed, chief, worker, lease, patience, secret_file):
    """Returns this process' role in a distributed search, `None` for a single process."""
    if distributed is None:
        for name, value in (("--chief", chief), ("--secret-file", secret_file)):
            if value is not None:
                raise ValueError(f"`{name}` needs `--distributed chief` or `--distributed worker`.")
        return None
    address = {} if chief is None else {"chief": chief}
    secret = None if secret_file is None else tuning.read_secret(secret_file)
    return tuning.Cluster(
        distributed, worker=worker, lease=lease, patience=patience, secret=secret, **address
    )


def described(space) -> str:
    """Returns a one-line description of a search space."""
    bounds = {
        "max_parameters": "parameters",
        "max_macs": "multiply-adds",
        "max_file_size": "bytes of int8 LiteRT",
        "max_latency_ms": "ms an image",
    }
    parts = [
        f"at most {getattr(space.budget, name):,} {unit}"
        for name, unit in bounds.items()
        if getattr(space.budget, name) is not None
    ]
    budget = ", ".join(parts) or "no budget"
    return f"{counted(len(space.knobs), 'knob')} around {space.builder}, {budget}"


def can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def show(result, files: list[Path], dataset: str) -> None:
    """Prints the table of the best networks, the files, and the next command."""
    for row in result.failed:
        console.print(
            f"[red]Trial {row.trial} failed:[/] {escape(row.reason)}", soft_wrap=in_one_line()
        )
    if not result.completed:
        console.print("No trial completed.")
        return
    headings, *lines = result.table()
    last = len(headings) - 1  # The network in words.
    columns = [Column(h, text=n == last, wraps=n == last) for n, h in enumerate(headings)]
    print_table(columns, lines)
    for line in result.remarks():
        console.print(line, style="dim", soft_wrap=in_one_line())
    names = ", ".join(path.name for path in files)
    console.print(f"{bold(f'{result.output}/')} {names}", soft_wrap=in_one_line())
    if not can_draw():
        console.print('Pictures need: pip install "keras-residual[plot]"', markup=False)
    console.print("To train the winner on all training images and export it:")
    console.print(f"  {winner_command(result, dataset)}", markup=False, soft_wrap=True)


def winner_command(result, dataset: str) -> str:
    """Returns the command that trains and exports the best network."""
    best, output = result.output / "best.json", result.output / "best"
    return command("train", "--model", best, "--dataset", dataset, "--output", output, "--export")
