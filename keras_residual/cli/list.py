import fnmatch
import json
from importlib import resources
from typing import Annotated, Any

import typer
from rich.text import Text

from keras_residual._words import counted
from keras_residual.cli._json import AsJson, print_json
from keras_residual.cli._table import Column, print_table
from keras_residual.cli._terminal import console, fail, in_one_line
from keras_residual.cli._units import human_count

_SIZED = (
    Column("Model", text=True),
    Column("Parameters"),
    Column("MACs"),
    Column("Input"),
    Column("Top-1 %"),
    Column("Paper", text=True, wraps=True),
)
_SORTS = ("parameters", "macs", "accuracy", "name")
_OF_ANY_SIZE = (
    Column("Any size", text=True),
    Column("Task", text=True),
    Column("Paper", text=True),
)


_Sort = Annotated[
    str | None,
    typer.Option(
        help="parameters, macs, name: the least first; accuracy: the highest first, on ImageNet, "
        "then on other data. Default: by family."
    ),
]
_MaxParameters = Annotated[int | None, typer.Option(help="Trainable parameters at most.", min=1)]
_MaxMacs = Annotated[int | None, typer.Option(help="Multiply-adds for one input at most.", min=1)]
_Task = Annotated[
    str | None,
    typer.Option(help="classification, super-resolution, sequences, translation, ..."),
]


def list_models(
    pattern: Annotated[str, typer.Argument(help="Names to show, such as 'resnext*'.")] = "*",
    sort: _Sort = None,
    max_parameters: _MaxParameters = None,
    max_macs: _MaxMacs = None,
    task: _Task = None,
    as_json: AsJson = False,
) -> None:
    """List the networks with trainable parameters, cost, published accuracy and paper.

    A network whose sizes the caller chooses has no size here, and is left out where a bound is
    given. With --json, a list of objects: name, task, parameters (trainable), macs, input_shape,
    accuracy (the highest published top-1, in percent), accuracy_on (imagenet, cifar10, ...),
    accuracy_size (side of the images that it was measured on), weights (their tag), paper, address.
    """
    models = catalogue()
    _check("--task", task, sorted({model["task"] for model in models}))
    _check("--sort", sort, _SORTS)
    bounds = {"parameters": max_parameters, "macs": max_macs}
    shown = [
        model
        for model in models
        if fnmatch.fnmatchcase(model["name"].lower(), pattern.lower())
        and task in (None, model["task"])
        and all(_within(model[name], bound) for name, bound in bounds.items())
    ]
    if sort is not None:
        shown.sort(key=lambda model: _place(model, sort))
    if as_json:
        print_json(shown)
        return
    if not shown:
        _fail_for_none(pattern, models)
    _print(shown)


def catalogue() -> list[dict[str, Any]]:
    """Returns the catalogue of networks that `--json` prints."""
    # Counting all networks takes 13 s; a test checks the stored counts against fresh ones.
    text = resources.files("keras_residual.cli").joinpath("models.json").read_text("utf-8")
    return json.loads(text)


def _check(option, value, accepted):
    if value is not None and value not in accepted:
        fail(f"`{option}` must be one of {', '.join(accepted)}. Received: {value}")


def _within(value, bound):
    return bound is None or (value is not None and value <= bound)


def _place(model, sort):
    """Returns the sort key of a network; those without a value come last."""
    if sort == "name":
        return model["name"].lower()
    value = model[sort]
    if sort == "accuracy":
        # Accuracies on ImageNet first, then by name of the dataset.
        data_set = model["accuracy_on"]
        return data_set is None, data_set != "imagenet", data_set or "", -(value or 0)
    return value is None, value or 0


def _fail_for_none(pattern, models):
    named = any(fnmatch.fnmatchcase(model["name"].lower(), pattern.lower()) for model in models)
    if named:
        fail("No network is within these bounds and of this task.")
    fail(f"No model is named like {pattern!r}. `keras-residual list` shows all names.")


def _print(models):
    sized = [model for model in models if model["parameters"] is not None]
    if sized:
        print_table(_SIZED, [_row(model) for model in sized])
    if any(_is_larger(model) for model in sized):
        console.print("+ measured on larger images than Input", style="dim")
    if any(_is_of_others(model) for model in sized):
        console.print(
            "* of CIFAR-10, CIFAR-100 or Kinetics-400, the others of ImageNet", style="dim"
        )
    others = [model for model in models if model["parameters"] is None]
    if others:
        console.print()
        print_table(_OF_ANY_SIZE, [[m["name"], m["task"], _paper(m)] for m in others])
        console.print(
            "In Python, `help(keras_residual.NAME)` says which sizes these take.", style="dim"
        )
    count, shows = counted(len(models), "model"), "`keras-residual summary NAME` shows the layers"
    if not sized:
        console.print(f"[dim]{count}.[/]")
    elif others:
        console.print(f"[dim]{count}; {shows} of one with a size.[/]", soft_wrap=in_one_line())
    else:
        console.print(f"[dim]{count}; {shows}.[/]")


def _row(model) -> list[str | Text]:
    marks = "+" * _is_larger(model) + "*" * _is_of_others(model)
    accuracy = model["accuracy"]
    return [
        model["name"],
        f"{model['parameters']:,}",
        human_count(model["macs"]),
        "×".join(map(str, model["input_shape"])),
        "–" if accuracy is None else f"{accuracy:.2f}{marks}",
        _paper(model),
    ]


def _is_larger(model) -> bool:
    size = model["accuracy_size"]
    return size is not None and size > model["input_shape"][-2]


def _is_of_others(model) -> bool:
    return model["accuracy_on"] not in (None, "imagenet")


def _paper(model) -> Text:
    return Text(_citation(model["paper"]), f"link {model['address']}")


def _citation(paper: str) -> str:
    """Returns the first author and the year of a paper such as `He et al., 2015`."""
    authors, _, year = paper.rpartition(", ")
    return f"{authors.removesuffix(' et al.').split(' and ')[0].split(',')[0]} {year}"
