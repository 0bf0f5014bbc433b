import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from keras_residual._words import counted
from keras_residual.cli._json import AsJson, print_json, standard_output_kept
from keras_residual.cli._options import Scaling
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import bold, console, interruptible, quiet, refusing
from keras_residual.cli._units import human_seconds


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A training's folder, a .keras file, a network's name with --weights, or an "
            "exported file or SavedModel."
        ),
    ],
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, clips or WAV files, and folders of such; - reads names.",
        ),
    ],
    weights: Annotated[
        str | None, typer.Option(help="With a network's name: imagenet, a tag, a file or a URL.")
    ] = None,
    preprocessing: Scaling = None,
    top: Annotated[int, typer.Option(help="How many classes to name.", min=1)] = 5,
    output: Annotated[
        Path | None, typer.Option(help="Write the answers as .csv or .json too.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(help="Folder for pictures of where the model looked.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="With --explain: the block to look at, e.g. stage3/block2.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.", min=1)] = 32,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out pictures that cannot be read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Classify pictures or recordings; --explain shows where the model looked.

    A model for transcripts says what it hears in WAV, FLAC and OGG files.

    A model for video takes clips in place of pictures: video files, or folders of frames.

    With --json, a list of objects, one for each picture: picture (its name) and answers, the
    best first: name and value (a probability); or recording and text.
    """
    started = time.perf_counter()
    with standard_output_kept(as_json), refusing(), quiet():
        with Steps("Starting Keras"):
            from keras_residual import inference
            from keras_residual.cli._progress import picture_bar

        if output is not None and output.suffix not in (".csv", ".json"):
            raise ValueError(f"--output must end in .csv or .json. Received: {output}")
        if layer is not None and explain is None:
            raise ValueError(f"--layer has no effect without --explain. Received: {layer}")
        paths = _names(pictures)
        with Steps("Loading the model"):
            predictor = inference.load_predictor(
                model, weights=weights, preprocessing=preprocessing
            )
        if predictor.takes_sound and explain is not None:
            raise ValueError("--explain is for models that take pictures.")
        if predictor.description.task == "transcription":
            if output is not None:
                raise ValueError(f"--output is for classes of pictures. Received: {output}")
            with picture_bar(shown=not as_json) as progress:
                heard = inference.transcribe(
                    predictor, paths, skip_damaged=skip_damaged, progress=progress
                )
            _print_transcripts(heard, as_json)
            return
        paths = inference.paths_for(predictor, paths)
        with interruptible():
            with picture_bar(shown=not as_json) as progress:
                answers = inference.predict(
                    predictor,
                    paths,
                    top,
                    batch_size=batch_size,
                    skip_damaged=skip_damaged,
                    progress=progress,
                )
            explained = []
            if explain:
                with picture_bar(shown=not as_json, verb="Explaining") as progress:
                    explained = inference.explain(predictor, answers, explain, layer, progress)
        if output is not None:
            inference.write_predictions(output, answers)
    if as_json:
        print_json(inference.as_rows(answers))
        return
    for answer in answers:
        console.print(str(answer), markup=False, soft_wrap=True)
    seconds = human_seconds(time.perf_counter() - started)
    predicted = len({answer.path for answer in answers})
    left_out = f", {len(paths) - predicted} left out" if predicted < len(paths) else ""
    console.print(f"{counted(predicted, predictor.noun)} in {seconds}{left_out}", style="dim")
    if output is not None:
        console.print(bold(output), soft_wrap=True)
    if explained:
        console.print(f"{bold(explain)}: {counted(len(explained), 'picture')}", soft_wrap=True)


def _print_transcripts(heard, as_json):
    if as_json:
        print_json([{"recording": path, "text": text} for path, text in heard])
        return
    for path, text in heard:
        console.print(f"{path}: {text}", markup=False, soft_wrap=True)


def _names(pictures):
    """Returns the given paths, with those read from standard input in place of `-`."""
    names = []
    for name in pictures:
        lines = [name] if name != "-" else [line.rstrip("\r\n") for line in sys.stdin]
        names += [line for line in lines if line]
    return names
