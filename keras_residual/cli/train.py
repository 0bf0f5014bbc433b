from pathlib import Path
from typing import Annotated

import typer

from keras_residual.cli._terminal import console, human_bytes, quiet, refusing, same_command


def train(
    model: Annotated[
        str, typer.Option(help="Name of a network, such as resnet20, or a best.json of tune.")
    ],
    dataset: Annotated[
        str, typer.Option(help="digits, a TFDS name such as cifar10, an .npz file or a folder.")
    ] = "digits",
    recipe: Annotated[
        str | None,
        typer.Option(help="Name of a recipe: quick, he2015. Default: quick, or that of best.json."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to this side. Default: their own.", min=1)
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Decides initial weights, order, augmentation.", min=0)
    ] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: runs/MODEL-DATASET.")
    ] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")
    ] = "float32",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="TensorBoard log.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="Write LiteRT files too, in float32 and int8.")
    ] = False,
    resume: Annotated[
        bool, typer.Option(help="Go on with what the output folder holds, or start anew.")
    ] = True,
) -> None:
    """Train a network on a dataset; killed at any moment, the same command goes on.

    Accuracy is shown on the held-out images after each epoch; nothing is chosen by it, the last
    epoch counts.
    """
    with refusing(), quiet():
        import keras

        from keras_residual import analysis, data, training
        from keras_residual.cli import _classifier, _session, _winner

        keras.utils.set_random_seed(seed)
        options, chosen = {}, _recipe(training.recipes, recipe or "quick")
        if model.endswith(".json"):
            winner = _winner.read(Path(model))
            model, options = winner.name, winner.options
            chosen = winner.recipe if recipe is None else chosen
        epochs, batch_size = epochs or chosen.epochs, batch_size or chosen.batch_size
        source = data.load(dataset)
        size = _classifier.training_size(source, image_size)
        network = _classifier.make_classifier(model, source, size, dtype, **options)
        cost = analysis.cost(network)
        batches = _classifier.batches(source, batch_size, chosen.augmentation, seed, size)
        output = output or Path("runs") / f"{network.name}-{source.name}"
    console.print(f"{network.name}, {cost.trainable_parameters:,} parameters, on {source}")
    settings = {"dataset": dataset, "seed": seed, "dtype": dtype, "image_size": image_size}
    history = _session.run(
        network,
        batches,
        chosen,
        output,
        resume,
        epochs=epochs,
        settings={**settings, "batch_size": batch_size},
        tensorboard=tensorboard,
        again=same_command(drop="--no-resume"),
    )
    console.print(
        f"Held-out accuracy {history['val_accuracy'][-1]:.2%} after {len(history['loss'])} epochs"
    )
    console.print(
        f"{output / 'model.keras'}, log.csv and checkpoint.keras beside it", soft_wrap=True
    )
    if export:
        with console.status("Exporting"), refusing(), quiet():
            rows = _winner.export_for_phones(network, source, size, output)
        for row in rows:
            console.print(f"{row.path}, {human_bytes(row.bytes)}", soft_wrap=True)
    console.print(
        f"[dim]Next: keras-residual evaluate {output / 'model.keras'} --dataset {dataset}[/]",
        soft_wrap=True,
    )


def _recipe(recipes, name):
    if name not in recipes:
        raise ValueError(f"Unknown recipe: {name!r}. Accepted: {', '.join(recipes)}.")
    return recipes[name]
