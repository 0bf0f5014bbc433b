import fnmatch
import json
from importlib import resources
from typing import Annotated

import typer
from rich.table import Table

from keras_residual.cli._terminal import console, fail, human_count


def list_models(
    pattern: Annotated[str, typer.Argument(help="Names to show, such as 'resnext*'.")] = "*",
) -> None:
    """List the networks with their size, cost and paper."""
    # Counting all of them takes 13 s; a test keeps the file equal to what would be counted.
    text = resources.files("keras_residual.cli").joinpath("models.json").read_text("utf-8")
    models = [
        model
        for model in json.loads(text)
        if fnmatch.fnmatchcase(model["name"].lower(), pattern.lower())
    ]
    if not models:
        fail(f"No model is named like {pattern!r}. `keras-residual list` shows all names.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("Model", "left"),
        ("Parameters", "right"),
        ("Multiply-adds", "right"),
        ("Input", "right"),
        ("Paper", "left"),
    ):
        table.add_column(heading, justify=justify, no_wrap=heading != "Paper")
    for model in models:
        table.add_row(
            model["name"],
            f"{model['parameters']:,}",
            human_count(model["macs"]),
            " × ".join(map(str, model["input_shape"])),
            f"[link={model['address']}]{model['paper']}[/link]",
        )
    console.print(table)
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    console.print(f"[dim]{count}; `keras-residual summary NAME` shows the layers.[/]")
