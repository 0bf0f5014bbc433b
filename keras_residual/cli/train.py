from typing import Annotated

import typer

from keras_residual import _checks
from keras_residual.cli._options import DatasetName, Options, RunFolder
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import LARGEST_SEED, fail, quiet, refusing, same_command


def train(
    model: Annotated[
        str, typer.Option(help="Name of a network, such as resnet20, or a best.json of tune.")
    ],
    dataset: DatasetName = "digits",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Published weights to begin with: imagenet, a tag, a path, a URL or hf://..."
        ),
    ] = None,
    freeze: Annotated[
        str | None, typer.Option(help="Last layer that does not train, such as stage3.")
    ] = None,
    layer_decay: Annotated[
        float | None,
        typer.Option(help="Factor by which the learning rate falls from block to block: 0.75."),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of classes in the loss: balanced, or pairs such as ant=2,bee=1."
        ),
    ] = None,
    scaling: Annotated[
        str | None,
        typer.Option(help="Scaling of pixels, for weights that do not state it: caffe, tf, torch."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="quick, one_cycle, modern, he2015, ...; unknown names are answered "
            "with the nearest. Default: quick, fine_tune with --weights, or that of best.json."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of the recipe, such as optimizer=sgd; repeat."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: the recipe's.", min=1)] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to this side. Default: their own.", min=1)
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of the training images to show accuracy on instead.")
    ] = 0.0,
    scale: Annotated[
        int | None,
        typer.Option(help="2, 3 or 4: what EDSR, SRResNet or VDSR enlarges by. Default: 4."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Seed of initial weights, order, augmentation.", min=0, max=LARGEST_SEED),
    ] = 0,
    output: RunFolder = None,
    dtype: Annotated[
        str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")
    ] = "float32",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="TensorBoard log.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="Write LiteRT files too, in float32 and int8.")
    ] = False,
    resume: Annotated[
        bool, typer.Option(help="Resume the training in the output folder, or start over.")
    ] = True,
) -> None:
    """Train a network on a dataset; after an interruption the same command resumes it.

    With --weights it starts from these, with a new head: the head trains first, then the layers
    below it at rates that fall from block to block. Accuracy is shown on the held-out images after
    each epoch; the last epoch counts, with --weights the best on these images. With --hold-out they
    are taken from the training images, and the test images are seen once, at the end. result.json
    records the settings and the results. EDSR, SRResNet and VDSR take a folder of pictures as the
    dataset, and the side of a reduced patch as the image size.
    """
    with Steps("Starting Keras"), refusing(), quiet():
        from keras_residual.cli import _super_resolution

        _checks.real("--hold-out", hold_out, 0.0, 1.0, open_end=True)
    enlarges = _super_resolution.is_super_resolution(model)
    of_classifiers = {"--recipe": recipe, "--set": changes, "--hold-out": hold_out or None}
    of_classifiers["--export"] = export or None
    of_classifiers |= {"--weights": weights, "--freeze": freeze, "--layer-decay": layer_decay}
    of_classifiers |= {"--class-weights": class_weights, "--scaling": scaling}
    _refuse(of_classifiers if enlarges else {"--scale": scale}, model, enlarges)
    if enlarges:
        _super_resolution.train(
            model,
            dataset,
            4 if scale is None else scale,
            epochs=epochs,
            batch_size=batch_size,
            patch_size=image_size,
            seed=seed,
            output=output,
            dtype=dtype,
            tensorboard=tensorboard,
            resume=resume,
            again=same_command(drop="--no-resume"),
        )
        return
    with Steps("Starting Keras"), refusing(), quiet():
        from keras_residual.cli import _classification

    options = Options(
        model,
        dataset,
        recipe,
        changes,
        epochs=epochs,
        batch_size=batch_size,
        image_size=image_size,
        hold_out=hold_out,
        seed=seed,
        output=output,
        dtype=dtype,
        weights=weights,
        scaling=scaling,
        freeze=freeze,
        layer_decay=layer_decay,
        class_weights=class_weights,
    )
    _classification.train(options, tensorboard=tensorboard, export=export, resume=resume)


def _refuse(options, model, enlarges):
    """Fails if an option is given that this kind of network does not take."""
    kind = "enlarges pictures" if enlarges else "classifies images"
    for option, value in options.items():
        if value is not None:
            fail(f"`{option}` has no effect on {model}, which {kind}.")
