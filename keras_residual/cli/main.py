"""The command `keras-residual`."""

from importlib import metadata
from typing import Annotated

import typer

from keras_residual.cli.benchmark import benchmark
from keras_residual.cli.checks import checks
from keras_residual.cli.evaluate import evaluate
from keras_residual.cli.export import export
from keras_residual.cli.inspect import inspect
from keras_residual.cli.list import list_models
from keras_residual.cli.predict import predict
from keras_residual.cli.quickstart import quickstart
from keras_residual.cli.summary import summary
from keras_residual.cli.train import train
from keras_residual.cli.tune import tune
from keras_residual.cli.upscale import upscale

app = typer.Typer(
    name="keras-residual",
    help="Residual networks in Keras 3: built, trained, searched and exported.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("quickstart")(quickstart)
app.command("list")(list_models)
app.command("summary")(summary)
app.command("checks")(checks)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("predict")(predict)
app.command("tune")(tune)
app.command("inspect")(inspect)
app.command("upscale")(upscale)
app.command("export")(export)
app.command("benchmark")(benchmark)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("keras-residual"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line."""
    app(prog_name="keras-residual")
