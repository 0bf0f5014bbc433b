from typing import Annotated

import typer
from rich.table import Table

from keras_residual.cli._terminal import console, human_bytes, human_count, quiet, refusing


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
) -> None:
    """Show a network's layers, output shapes, parameters and cost."""
    with refusing(), quiet():
        import keras

        import keras_residual

        options = {} if input_shape is None else {"input_shape": parse_shape(input_shape)}
        if classes is not None:
            options["classes"] = classes
        # Only shapes are shown: no weight is allocated, however many there are.
        with keras.StatelessScope(initialize_variables=False):
            model = keras_residual.get_model(name, **options)
        # Images of any size are counted at the size of the paper.
        known = None not in model.input_shape[1:]
        cost = keras_residual.analysis.cost(model if known else name)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Layer", no_wrap=True)
    table.add_column("Kind")
    table.add_column("Output", justify="right", no_wrap=True)
    table.add_column("Parameters", justify="right")
    for layer in model.layers:
        shape = " × ".join(str(size or "any") for size in layer.output.shape[1:])
        table.add_row(layer.name, type(layer).__name__, shape, f"{layer.count_params():,}")
    console.print(f"[bold]{model.name}[/]")
    console.print(table)
    console.print(
        f"{cost.parameters:,} parameters ({cost.trainable_parameters:,} trainable), "
        f"{human_count(cost.macs)} multiply-adds an image, "
        f"{human_bytes(cost.activation_bytes)} of activations an image in training",
        soft_wrap=True,
    )
