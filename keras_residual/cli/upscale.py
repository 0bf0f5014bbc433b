import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import bold, console, in_one_line, interruptible, quiet, refusing
from keras_residual.cli._units import human_seconds


def upscale(
    image: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP picture.")],
    model: Annotated[
        Path,
        typer.Option(help="A .keras or .tflite file, the folder of a training or a SavedModel."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Picture to write. Default: IMAGE_x4.png or so.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help="Side of the windows. Default: 192, or the model's.", min=8)
    ] = None,
    overlap: Annotated[
        int, typer.Option(help="Border of a window that its neighbour computes.", min=0)
    ] = 32,
    runtime: Annotated[
        Literal["auto", "keras", "litert"],
        typer.Option(help="Runtime. Default: by the model's file."),
    ] = "auto",
    quality: Annotated[int, typer.Option(help="JPEG quality.", min=1, max=100)] = 95,
) -> None:
    """Enlarge a picture with a super-resolution network, window by window."""
    with refusing(), quiet():
        with Steps("Starting Keras"):
            from keras_residual import data
            from keras_residual.cli import _upscaling
            from keras_residual.cli._progress import window_bar

            picture = data.read_picture(image)
            enlarger = _upscaling.Enlarger(model, runtime, tile, overlap)
        output = output or image.with_name(f"{image.stem}_x{enlarger.scale}.png")
        data.check_writable(output, picture)
        started = time.perf_counter()
        with interruptible(), window_bar() as progress:
            enlarged = enlarger(picture, progress)
        data.write_picture(output, enlarged, quality)
    sizes = [f"{p.pixels.shape[1]}×{p.pixels.shape[0]}" for p in (picture, enlarged)]
    console.print(
        f"{bold(output)}: {sizes[0]} enlarged to {sizes[1]} by {escape(str(model))} in "
        f"{human_seconds(time.perf_counter() - started)}",
        soft_wrap=in_one_line(),
    )
