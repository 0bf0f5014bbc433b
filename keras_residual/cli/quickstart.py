import time
from pathlib import Path
from typing import Annotated

import typer

from keras_residual._words import counted
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import (
    LARGEST_SEED,
    bold,
    command,
    console,
    in_one_line,
    quiet,
    refusing,
)
from keras_residual.cli._units import human_count


def quickstart(
    seed: Annotated[
        int,
        typer.Option(help="Seed of initial weights, order, augmentation.", min=0, max=LARGEST_SEED),
    ] = 0,
    epochs: Annotated[int, typer.Option(help="Number of epochs.", min=1)] = 30,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/quickstart"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an interrupted quickstart.")
    ] = False,
) -> None:
    """Train ResNet8 on handwritten digits, export it and compare the files, in half a minute."""
    started = time.perf_counter()
    console.print("[bold]keras-residual quickstart[/]")
    with Steps("Starting Keras"), refusing(), quiet():
        from keras_residual.cli import _quickstart

        _quickstart.check_extras()
        job = _quickstart.Quickstart(seed, epochs, output)
    cost = job.cost()
    console.print(f"Data      {job.describe_data()}")
    console.print(
        f"Network   {job.name}, {cost.trainable_parameters:,} parameters, "
        f"{human_count(cost.macs)} multiply-adds an image"
    )
    history = job.train(resume)
    console.print(
        f"Trained   {counted(len(history['loss']), 'epoch')}, held-out accuracy "
        f"[bold]{history['val_accuracy'][-1]:.2%}[/]"
    )
    with Steps("Exporting") as steps, refusing(), quiet():
        steps.plan(_quickstart.SHARES)
        job.export(steps)
        rows = job.compare(steps)
        steps("Drawing")
        job.draw(history)
        job.write_report(history, rows, time.perf_counter() - started)
    console.print()
    job.print_table(rows)
    console.print(
        f"On {len(job.labels)} held-out images; latency of one image; worst difference of a "
        "probability from the trained model.\n",
        style="dim",
    )
    console.print(f"{bold(f'{output}/')} {', '.join(job.written())}", soft_wrap=in_one_line())
    console.print(f"Done in {time.perf_counter() - started:.0f} s. What next:")
    for line in (
        command("evaluate", output / "model_int8.tflite"),
        "keras-residual train --model resnet20 --dataset cifar10 --recipe he2015",
        "keras-residual list",
    ):
        console.print(f"  {line}", markup=False, soft_wrap=True)
