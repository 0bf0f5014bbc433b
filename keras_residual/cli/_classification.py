"""The training of a classifier from the command line, from its options to its files."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_residual import analysis, data, training
from keras_residual.cli import _classifier, _recipes, _results, _session, _winner
from keras_residual.cli._terminal import (
    console,
    human_bytes,
    print_next,
    quiet,
    refusing,
    same_command,
)


@dataclass(frozen=True)
class Options:
    """What the command line says of the training, `None` where it is silent.

    Attributes:
        model: Name of a network, or a best.json of `tune`.
        dataset: As `data.load` takes it.
        recipe: Name of a recipe.
        changes: NAME=VALUE of the recipe.
        epochs: Number of epochs.
        batch_size: Number of images in a batch.
        image_size: Side to which images are brought, in training and test.
        hold_out: Share of the training images to show accuracy on.
        seed: Decides initial weights, order and augmentation.
        output: Folder to write.
        dtype: Name of a dtype policy.
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

    def settings(self, batch_size: int) -> dict:
        """Returns what must stay the same for a training to go on, beside the recipe."""
        names = ("dataset", "seed", "dtype", "image_size")
        shown = {name: getattr(self, name) for name in names}
        return {**shown, "batch_size": batch_size, "hold_out": self.hold_out}


@dataclass(frozen=True)
class Plan:
    """A training as it is about to begin.

    Attributes:
        network: The network, at the size of its test images.
        recipe_name: Name of the recipe, or the best.json that it comes from.
        recipe: The recipe with the changes, epochs and batch size of the command line.
        source: The whole dataset.
        shown: The same, or its training images alone with a part of them held out.
        size: `(height, width)` of training images.
        tested: That of held-out images.
        output: Folder to write.
    """

    network: keras.Model
    recipe_name: str
    recipe: training.Recipe
    source: data.Dataset
    shown: data.Dataset
    size: tuple[int, int]
    tested: tuple[int, int]
    output: Path

    def batches(self, seed: int) -> _classifier.Batches:
        """Returns the batches of the whole training."""
        made = self.recipe.batch_options()
        made |= {"image_size": self.size, "test_image_size": self.tested}
        batches = self.shown.batches(seed=seed, **made)
        return _classifier.Batches(batches, len(batches[0]))


def plan(options: Options) -> Plan:
    """Returns the training that is meant; weights are drawn by its seed."""
    keras.utils.set_random_seed(options.seed)
    name, changed, recipe_name, recipe = _network_and_recipe(options)
    source = data.load(options.dataset)
    shown = source.hold_out(options.hold_out) if options.hold_out else source
    size = _classifier.size_of_images(source, options.image_size or recipe.image_size)
    tested = size
    if recipe.test_image_size is not None:
        tested = _classifier.size_of_images(source, recipe.test_image_size)
    network = _classifier.make_classifier(
        name, shown, tested, options.dtype, **recipe.model | changed
    )
    output = options.output or Path("runs") / f"{network.name}-{source.name}"
    return Plan(network, recipe_name, recipe, source, shown, size, tested, output)


def _network_and_recipe(options):
    """Returns the network's name and options, and the recipe's name and the recipe."""
    name, changed, recipe_name = options.model, {}, options.recipe or "quick"
    recipe = _recipes.find(recipe_name)
    if name.endswith(".json"):
        winner = _winner.read(Path(name))
        if options.recipe is None:
            recipe_name, recipe = name, winner.recipe
        name, changed = winner.name, winner.options
    if options.image_size is not None:
        recipe = dataclasses.replace(recipe, test_image_size=None)
    recipe = _recipes.changed(recipe, options.changes or [])
    asked = {"epochs": options.epochs, "batch_size": options.batch_size}
    recipe = dataclasses.replace(recipe, **{field: n for field, n in asked.items() if n})
    return name, changed, recipe_name, recipe


def train(options: Options, *, tensorboard: bool, export: bool, resume: bool) -> None:
    """Trains, says how well it went, and writes the files."""
    with refusing(), quiet():
        planned = plan(options)
        cost = analysis.cost(planned.network)
        batches = planned.batches(options.seed)
    network, recipe, output = planned.network, planned.recipe, planned.output
    _say(f"{network.name}, {cost.trainable_parameters:,} parameters, on {planned.shown}")
    settings = options.settings(recipe.batch_size)
    of_two_sizes = planned.tested != planned.size
    history = _session.run(
        _classifier.of_any_size(network) if of_two_sizes else network,
        batches,
        recipe,
        output,
        resume,
        epochs=recipe.epochs,
        settings=settings,
        tensorboard=tensorboard,
        again=same_command(drop="--no-resume"),
    )
    if of_two_sizes:
        # It has the same layers, and takes and exports images as they are tested.
        _results.save_model(network, output / "model.keras")
    done = {"model": network.name, "recipe": planned.recipe_name, "set": options.changes or []}
    spent = {"epochs": len(history["loss"]), "seconds": round(sum(history["seconds"]))}
    said = {"test_accuracy": _accuracy(planned, history), "command": same_command()}
    _results.write(output / "result.json", {**done, **settings, **spent, **said})
    _say(f"{output / 'model.keras'}, result.json, log.csv and checkpoint.keras beside it")
    if export:
        _export(planned)
    usual = recipe.test_crop == _classifier.TEST_CROP
    crop = [] if usual else ["--test-crop", recipe.test_crop]
    print_next("evaluate", output / "model.keras", "--dataset", options.dataset, *crop)


def _accuracy(planned, history):
    """Prints the accuracies and returns that on the test images."""
    recipe, accuracy = planned.recipe, history["val_accuracy"][-1]
    _say(f"Held-out accuracy {accuracy:.2%} after {len(history['loss'])} epochs")
    if planned.shown is not planned.source:
        accuracy = _results.test_accuracy(
            planned.network,
            planned.source,
            recipe.batch_size,
            planned.tested,
            recipe.augmentation,
            recipe.test_crop,
        )
        _say(f"Test accuracy {accuracy:.2%}")
    return accuracy


def _export(planned):
    with console.status("Exporting"), refusing(), quiet():
        rows = _winner.export_for_phones(
            planned.network, planned.source, planned.tested, planned.output
        )
    for row in rows:
        _say(f"{row.path}, {human_bytes(row.bytes)}")


def _say(line):
    console.print(line, markup=False, soft_wrap=True)
