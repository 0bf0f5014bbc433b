"""Options that several commands share, and the options of `train` as one object."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

# Options of several commands.
DatasetName = Annotated[
    str, typer.Option(help="digits, a TFDS name such as cifar10, an .npz file or a folder.")
]
RunFolder = Annotated[Path | None, typer.Option(help="Folder to write. Default: one of runs/.")]
Scaling = Annotated[
    str | None,
    typer.Option(
        help="What the weights expect: caffe, tf, torch or the name of published weights. "
        "Default: that stored with the weights.",
    ),
]


@dataclass(frozen=True)
class Options:
    """The options of a training, `None` for those that were not given.

    Attributes:
        model: Name of a network, or a best.json of `tune`.
        dataset: As `data.load` takes it.
        recipe: Name of a recipe.
        changes: NAME=VALUE overrides of the recipe.
        epochs: Number of epochs.
        batch_size: Number of images in a batch.
        image_size: Side to which images are resized, in training and test.
        hold_out: Share of the training images that is held out for validation.
        seed: Seed of initial weights, order and augmentation.
        output: Folder to write.
        dtype: Name of a dtype policy.
        weights: Published weights to start from, as `weights.load` takes them.
        scaling: The scaling of pixels that these expect, if they do not state it.
        freeze: Name of the last frozen layer.
        layer_decay: Factor by which the learning rate falls from block to block.
        class_weights: `balanced`, or comma-separated CLASS=WEIGHT.
    """

    model: str
    dataset: str
    recipe: str | None
    changes: list[str] | None
    epochs: int | None
    batch_size: int | None
    image_size: int | None
    hold_out: float
    seed: int
    output: Path | None
    dtype: str
    weights: str | None = None
    scaling: str | None = None
    freeze: str | None = None
    layer_decay: float | None = None
    class_weights: str | None = None

    def settings(self, batch_size: int) -> dict:
        """Returns the settings besides the recipe that must be the same in a resumed training."""
        names = ("dataset", "seed", "dtype", "image_size")
        shown = {name: getattr(self, name) for name in names}
        begun = {"weights": self.weights} if self.weights else {}
        return {**shown, **begun, "batch_size": batch_size, "hold_out": self.hold_out}

    def weights_of_classes(self, names: tuple[str, ...]) -> str | dict[int, float] | None:
        """Returns the class weights as `training.fit` takes them."""
        if self.class_weights in (None, "balanced"):
            return self.class_weights
        weights = {}
        for part in self.class_weights.split(","):
            name, _, value = part.rpartition("=")
            try:
                weights[names.index(name.strip())] = float(value)
            except ValueError:
                raise ValueError(
                    "`--class-weights` takes balanced, or CLASS=WEIGHT with commas between, of "
                    f"the classes {', '.join(names)}. Received: {self.class_weights}"
                ) from None
        return weights
