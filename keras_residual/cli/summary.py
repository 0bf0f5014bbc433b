from pathlib import Path
from typing import Annotated

import typer

from keras_residual.cli._json import AsJson, print_json
from keras_residual.cli._steps import Steps
from keras_residual.cli._table import Column, print_table
from keras_residual.cli._terminal import console, in_one_line, quiet, refusing
from keras_residual.cli._units import human_bytes, human_count

_COLUMNS = (
    Column("Layer", text=True, wraps=True),
    Column("Kind", text=True),
    Column("Output"),
    Column("Parameters"),
)


def parse_shape(text: str) -> tuple[int, ...]:
    """Returns the sizes of a shape such as `224x224x3` or `224,224,3`."""
    parts = text.lower().replace(",", "x").replace("×", "x").strip("()").split("x")
    try:
        return tuple(int(part) for part in parts)
    except ValueError as error:
        raise ValueError(
            f"`--input-shape` must be sizes such as 224x224x3. Received: {text!r}"
        ) from error


def summary(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a network, such as resnet50, a .keras file or a training's folder."
        ),
    ],
    input_shape: Annotated[
        str | None,
        typer.Option(help="Input sizes, such as 96x128x1. Default: the paper's, or the file's."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes of a network by name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a network's layers, output shapes, parameters and cost.

    With --json, an object: name, input_shape and output_shape (without batch; null for any size),
    parameters, trainable_parameters, macs (for one input), activation_bytes (for one input in
    training), and layers, a list of objects: name, kind, output_shape, parameters.
    """
    with Steps("Starting Keras"), refusing(), quiet():
        shape = None if input_shape is None else parse_shape(input_shape)
        model, cost = (_by_name if not _is_file(name) else _in_file)(name, shape, classes)
    if as_json:
        print_json(_as_dict(model, cost))
        return
    console.print(f"[bold]{model.name}[/]")
    print_table(_COLUMNS, [_row(layer) for layer in _layers(model)])
    console.print(
        f"{cost.parameters:,} parameters ({cost.trainable_parameters:,} trainable), "
        f"{human_count(cost.macs)} multiply-adds an image, "
        f"{human_bytes(cost.activation_bytes)} of activations an image in training",
        soft_wrap=in_one_line(),
    )


def _is_file(name) -> bool:
    return Path(name).suffix == ".keras" or "/" in name or Path(name).is_dir()


def _by_name(name, shape, classes):
    """Returns a network and its cost."""
    import keras

    import keras_residual

    given = {"input_shape": shape, "classes": classes}
    options = {key: value for key, value in given.items() if value is not None}
    # Only shapes are needed, so no weights are allocated.
    with keras.StatelessScope(initialize_variables=False):
        model = keras_residual.get_model(name, **options)
    # A network for images of any size is counted at the size of its paper.
    known = None not in model.input_shape[1:]
    return model, keras_residual.analysis.cost(model if known else name)


def _in_file(name, shape, classes):
    """Returns the model in a file and its cost."""
    from keras_residual import analysis
    from keras_residual.cli import _model_files

    if classes is not None:
        raise ValueError(f"`--classes` is for networks by name. Received: {name}")
    path = Path(name)
    model = _model_files.load_keras(path / "model.keras" if path.is_dir() else path)
    if None in model.input_shape[1:] and shape is None:
        raise ValueError(
            f"`--input-shape` must give the sizes at which to count. Received: {name}, which "
            f"takes inputs of {model.input_shape[1:]}"
        )
    return model, analysis.cost(model, shape)


def _layers(model) -> list[dict]:
    return [
        {
            "name": layer.name,
            "kind": type(layer).__name__,
            "output_shape": list(layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in model.layers
    ]


def _row(layer) -> list[str]:
    shape = " × ".join(str(size or "any") for size in layer["output_shape"])
    return [layer["name"], layer["kind"], shape, f"{layer['parameters']:,}"]


def _as_dict(model, cost) -> dict:
    """Returns the summary as JSON types."""
    return {
        "name": model.name,
        "input_shape": list(model.input_shape[1:]),
        "output_shape": list(model.output_shape[1:]),
        "parameters": cost.parameters,
        "trainable_parameters": cost.trainable_parameters,
        "macs": cost.macs,
        "activation_bytes": cost.activation_bytes,
        "layers": _layers(model),
    }
