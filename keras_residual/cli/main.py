"""The command `keras-residual`."""

import functools
import inspect as inspection
from importlib import metadata
from typing import Annotated

import typer

from keras_residual.cli._wording import running
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
_VERBS = {
    "quickstart": quickstart,
    "list": list_models,
    "summary": summary,
    "checks": checks,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "tune": tune,
    "inspect": inspect,
    "upscale": upscale,
    "export": export,
    "benchmark": benchmark,
}

# The same option as in other commands, whose help names it otherwise.
_SAME = {
    "train": {"preprocessing": "scaling"},
    "predict": {"scaling": "preprocessing"},
    "export": {"scaling": "preprocessing"},
}


def _help_of(verb) -> str:
    """Returns a docstring with each paragraph on one line, so that the terminal wraps it."""
    paragraphs = inspection.getdoc(verb).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _command(name, verb):
    """Wraps a command so that its errors name its options."""

    @functools.wraps(verb)
    def run(**values):
        with running(name, verb, values):
            verb(**values)

    return run


def _context_of(name):
    same = _SAME.get(name, {})
    return {"token_normalize_func": lambda token: same.get(token, token)}


for _name, _verb in _VERBS.items():
    _settings = {"help": _help_of(_verb), "context_settings": _context_of(_name)}
    app.command(_name, **_settings)(_command(_name, _verb))


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
