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
    name: Annotated[str, typer.Argument(help="Name of a network, such as resnet50.")],
    input_shape: Annotated[
        str | None, typer.Option(help="Input sizes, such as 96x128x1. Default: the paper's.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a network's layers, output shapes, parameters and cost.

    With --json, an object: name, input_shape and output_shape (without batch; null for any size),
    parameters, trainable_parameters, macs (for one input), activation_bytes (for one input in
    training), and layers, a list of objects: name, kind, output_shape, parameters.
    """
    with Steps("Starting Keras"), refusing(), quiet():
        import keras

        import keras_residual

        options = {} if input_shape is None else {"input_shape": parse_shape(input_shape)}
        if classes is not None:
            options["classes"] = classes
        # Only shapes are needed, so no weights are allocated.
        with keras.StatelessScope(initialize_variables=False):
            model = keras_residual.get_model(name, **options)
        # A network for images of any size is counted at the size of its paper.
        known = None not in model.input_shape[1:]
        cost = keras_residual.analysis.cost(model if known else name)
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
