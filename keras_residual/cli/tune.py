from pathlib import Path
from typing import Annotated

import typer

from keras_residual.cli._options import DatasetName, RunFolder
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import (
    INTERRUPTED,
    bold,
    console,
    fail,
    in_one_line,
    quiet,
    refusing,
    same_command,
)


def tune(
    dataset: DatasetName = "digits",
    model: Annotated[
        str, typer.Option(help="resnet, densenet, or the network to start from, such as resnet8.")
    ] = "resnet",
    output: RunFolder = None,
    algorithm: Annotated[
        str, typer.Option(help="evolution, random, bayesian, hyperband or grid.")
    ] = "evolution",
    max_trials: Annotated[
        int, typer.Option(help="Largest number of networks to train.", min=1)
    ] = 20,
    max_minutes: Annotated[
        float | None, typer.Option(help="Minutes after which no trial starts.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of each trial.", min=1)] = 10,
    max_parameters: Annotated[
        int | None, typer.Option(help="Budget: trainable parameters.", min=1)
    ] = None,
    max_macs: Annotated[
        int | None, typer.Option(help="Budget: multiply-adds an image.", min=1)
    ] = None,
    max_file_size: Annotated[
        int | None, typer.Option(help="Budget: bytes of int8 LiteRT.", min=1)
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Budget: ms an image, int8 LiteRT on this machine.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="Beside accuracy: parameters, macs, file_size, latency_ms; repeatable."),
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE fixes a knob, NAME=A,B,... narrows it, NAME=none omits it; "
            "repeatable. Knobs are depth, width, block, cardinality, ..."
        ),
    ] = None,
    constant_macs: Annotated[
        bool, typer.Option("--constant-macs", help="Let base_width follow from cardinality.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="Recipe to start from: quick, one_cycle, modern, he2015, ...")
    ] = "quick",
    inherit: Annotated[
        bool,
        typer.Option("--inherit", help="Changed networks inherit weights (with evolution)."),
    ] = False,
    early_stopping: Annotated[
        str | None,
        typer.Option(help="median: end trials whose learning curve is below the median."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write a TensorBoard log of each trial.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the search.", min=0)] = 0,
    resume: Annotated[
        bool, typer.Option(help="Resume the search in the output folder, or start over.")
    ] = True,
    distributed: Annotated[
        str | None, typer.Option(help="chief or worker of a search by several processes.")
    ] = None,
    chief: Annotated[
        str | None,
        typer.Option(help="HOST:PORT at which the chief listens. Default: 127.0.0.1:8000."),
    ] = None,
    worker: Annotated[str, typer.Option(help="Name of a worker. Default: host and process.")] = "",
    lease: Annotated[
        float, typer.Option(help="Seconds after which a silent worker loses its trial.", min=1)
    ] = 120.0,
    patience: Annotated[
        float, typer.Option(help="Seconds to wait for a chief, or for any worker.", min=1)
    ] = 300.0,
    secret_file: Annotated[
        Path | None,
        typer.Option(help="File of the secret that chief and workers share."),
    ] = None,
    data_parallel: Annotated[
        bool, typer.Option("--data-parallel", help="Train each trial on all devices.")
    ] = False,
) -> None:
    """Search for the best network within a budget; the same command resumes it when interrupted.

    Networks are compared on a fifth of the training images; the test images are never used.
    Several processes that search together share a secret, which --secret-file or the environment
    variable KERAS_RESIDUAL_SECRET gives.
    """
    with Steps("Starting Keras"), refusing(), quiet():
        from keras_residual.cli import _search_progress, _searching

    bounds = {
        "max_parameters": max_parameters,
        "max_macs": max_macs,
        "max_file_size": max_file_size,
        "max_latency_ms": max_latency_ms,
    }
    with Steps("Preparing"), refusing(), quiet():
        from keras_residual import data, tuning

        source = data.load(dataset)
        knobs = _searching.parsed_knobs(knob or ())
        space = _searching.space(model, source, recipe, bounds, constant_macs, knobs)
        output = output or Path("runs") / f"tune-{model.lower()}-{source.name}"
        cluster = _searching.cluster(distributed, chief, worker, lease, patience, secret_file)
    console.print(
        f"{_searching.described(space)}, on {source}", markup=False, soft_wrap=in_one_line()
    )
    progress = _search_progress.SearchProgress(space, max_trials, epochs, max_minutes)
    try:
        with refusing(), quiet(tuning.SearchError), progress:
            result = tuning.search(
                space,
                source,
                output,
                algorithm,
                max_trials,
                epochs,
                objective=(space.measure.metric, *(objective or ())),
                max_minutes=max_minutes,
                seed=seed,
                resume=resume,
                inherit=inherit,
                early_stopping=early_stopping,
                tensorboard=tensorboard,
                data_parallel=data_parallel,
                cluster=cluster,
                listener=progress,
            )
    except tuning.SearchError as error:
        fail(error, code=1)
    except KeyboardInterrupt:
        again = same_command(drop="--no-resume")
        console.print(f"\nInterrupted. To resume: {bold(again)}", soft_wrap=True)
        raise SystemExit(INTERRUPTED) from None
    if distributed == "worker":
        console.print("The search is over; the chief has the report.")
        return
    with refusing(), quiet():
        files = result.report(pictures=_searching.can_draw(), dataset=dataset)
    _searching.show(result, files, dataset)
