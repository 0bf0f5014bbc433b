"""`keras-residual train` for classifiers, from its options to the files that it writes."""

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_residual import _description, analysis, data, training
from keras_residual._words import counted
from keras_residual.cli import (
    _classifier,
    _measures,
    _recipes,
    _report,
    _results,
    _session,
    _winner,
)
from keras_residual.cli._options import Options
from keras_residual.cli._progress import counting
from keras_residual.cli._steps import Steps
from keras_residual.cli._terminal import (
    command,
    console,
    in_one_line,
    print_next,
    quiet,
    refusing,
    same_command,
)
from keras_residual.cli._units import human_bytes, human_minutes


@dataclass(frozen=True)
class Plan:
    """A training that is about to start.

    Attributes:
        network: The network, at the size of its test images.
        recipe_name: Name of the recipe, or the best.json that it comes from.
        recipe: The recipe with the overrides, epochs and batch size of the command line.
        source: The whole dataset.
        shown: The dataset on which accuracy is shown each epoch: the same, or the training
            images with a part of them held out.
        size: `(height, width)` of training images.
        tested: `(height, width)` of held-out images.
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
        if self.shown.examples == "images":
            made |= {"image_size": self.size, "test_image_size": self.tested}
        batches = self.shown.batches(seed=seed, **made)
        return _classifier.Batches(batches, len(batches[0]))


def plan(options: Options) -> Plan:
    """Returns the training that the options describe, and initializes weights by its seed."""
    keras.utils.set_random_seed(options.seed)
    name, changed, recipe_name, recipe = _network_and_recipe(options)
    source = data.load(options.dataset)
    shown = source.hold_out(options.hold_out) if options.hold_out else source
    side = options.image_size or recipe.image_size
    size = _classifier.size_of_images(source, side)
    if options.weights:
        size = _classifier.size_for_weights(source, name, side)
    tested = size
    if recipe.test_image_size is not None:
        tested = _classifier.size_of_images(source, recipe.test_image_size)
    network = _classifier.make_classifier(
        name,
        shown,
        tested,
        options.dtype,
        options.weights,
        options.scaling,
        **recipe.model | changed,
    )
    training.describe(network, source, recipe)
    if source.label_kind == "text":
        training.check_transcripts_fit(network, source)
    output = options.output or Path("runs") / f"{network.name}-{source.name}"
    return Plan(network, recipe_name, recipe, source, shown, size, tested, output)


def _network_and_recipe(options):
    """Returns the network's name and options, and the recipe's name and the recipe."""
    name, changed, recipe_name = options.model, {}, options.recipe
    recipe_name = recipe_name or ("fine_tune" if options.weights else "quick")
    recipe = training.find_recipe(recipe_name)
    if name.endswith(".json"):
        winner = _winner.read(Path(name))
        if options.recipe is None:
            recipe_name, recipe = name, winner.recipe
        name, changed = winner.name, winner.options
    if options.image_size is not None:
        recipe = dataclasses.replace(recipe, test_image_size=None)
    recipe = _recipes.changed(recipe, options.changes or [])
    asked = {"epochs": options.epochs, "batch_size": options.batch_size}
    asked |= {"freeze": options.freeze, "layer_decay": options.layer_decay}
    given = {field: value for field, value in asked.items() if value is not None}
    recipe = dataclasses.replace(recipe, **given)
    return name, changed, recipe_name, recipe


def train(options: Options, *, tensorboard: bool, export: bool, resume: bool) -> None:
    """Trains, prints the results and writes the output files."""
    started = time.perf_counter()
    with Steps("Preparing"), refusing(), quiet():
        planned = plan(options)
        # Recordings to transcribe may have any length.
        any_length = None in planned.network.input_shape[1:]
        shape = planned.source.image_shape if any_length else None
        cost = analysis.cost(planned.network, shape)
        batches = planned.batches(options.seed)
        class_weights = options.weights_of_classes(planned.shown.class_names)
    network, recipe, output = planned.network, planned.recipe, planned.output
    _say(f"{network.name}, {cost.trainable_parameters:,} parameters, on {planned.shown}")
    settings = options.settings(recipe.batch_size)
    of_two_sizes = planned.tested != planned.size
    trained = _classifier.of_any_size(network) if of_two_sizes else network
    _description.describe(trained, _description.described(network))
    history = _session.run(
        trained,
        batches,
        recipe,
        output,
        resume,
        epochs=options.epochs or recipe.epochs_of(batches.steps_per_epoch),
        settings=settings,
        tensorboard=tensorboard,
        again=same_command(drop="--no-resume"),
        class_weights=class_weights,
        metric=_metric(planned.source.label_kind),
    )
    if of_two_sizes:
        # The same layers, with an input of the size of test images, which is also exported.
        _results.save_model(network, output / "model.keras")
    outcome, pictures = _outcome(planned, history)
    predictable = planned.source.examples in ("images", "recordings", "clips")
    following = [
        ("evaluate", output / "model.keras", "--dataset", options.dataset),
        *([("predict", output, _pictures(options))] if predictable else []),
        ("export", output / "model.keras", "--output", output),
    ]
    if planned.source.label_kind == "text":
        following[1:] = [("predict", output, "RECORDINGS")]
    result = {
        "model": network.name,
        "recipe": planned.recipe_name,
        "set": options.changes or [],
        **settings,
        **_chosen(options, recipe, history),
        "seconds": round(sum(history["seconds"])),
        "seconds_in_all": round(time.perf_counter() - started),
        **outcome,
        "pictures": pictures,
        "command": same_command(),
        "next": [command(*words) for words in following],
    }
    _results.write(output / "result.json", result)
    _say(_results.files_in(output, pictures))
    _say(f"{human_minutes(time.perf_counter() - started)} in all")
    if export:
        _export(planned)
    for words in following:
        print_next(*words)


def _metric(label_kind):
    if label_kind == "text":
        return training.CharacterErrorRate()
    return _measures.METRICS[label_kind]


def _chosen(options, recipe, history) -> dict:
    """Returns further settings that identify a training, and the epoch whose weights are kept."""
    settings = {"epochs": len(history["loss"]), "best_epoch": _best(recipe, history)}
    if recipe.in_phases:
        settings |= {"freeze": recipe.freeze, "layer_decay": recipe.layer_decay}
    if options.class_weights:
        settings["class_weights"] = options.class_weights
    return settings


def _best(recipe, history) -> int:
    """Returns the number of the epoch whose weights the model ends with."""
    losses = history.get("val_loss", [])
    known = [number for number, loss in enumerate(losses) if math.isfinite(loss)]
    if not recipe.restore_best or not known:
        return len(history["loss"])
    return 1 + min(known, key=losses.__getitem__)


def _outcome(planned, history) -> tuple[dict, list[str]]:
    """Prints and returns the test results, and the names of the pictures that were drawn."""
    if planned.source.label_kind == "classes":
        answers = _answers(planned, history)
        with refusing():
            pictures = answers.draw(planned.output, history)
        return {"test_accuracy": answers.report.accuracy, **answers.as_dict()}, pictures
    with refusing(), quiet(), counting(_held_out(planned), len(planned.source.test)) as batches:
        measures = _measures.measure(
            planned.network.predict_on_batch,
            batches,
            planned.source.label_kind,
            planned.source.class_names,
        )
    _say(measures.headline)
    measures.print_table()
    return measures.as_dict(), []


def _held_out(planned):
    images = planned.source.examples == "images"
    recipe, size = planned.recipe, planned.tested if images else None
    return _classifier.held_out_batches(
        planned.source, recipe.batch_size, size, recipe.augmentation, recipe.test_crop
    )


def _answers(planned, history) -> _report.Answers:
    """Prints the results on the test images and returns the predictions."""
    recipe, best = planned.recipe, _best(planned.recipe, history)
    epochs, seen_once = len(history["loss"]), planned.shown is not planned.source
    which = f"after epoch {best} of {epochs}, which had the lowest loss"
    if not recipe.restore_best:
        which = f"after {counted(epochs, 'epoch')}"
    if seen_once:
        _say(f"Held-out accuracy {history['val_accuracy'][best - 1]:.2%} {which}")
    with refusing(), quiet(), counting(_held_out(planned), len(planned.source.test)) as batches:
        answers = _report.ask(
            planned.network.predict_on_batch,
            batches,
            planned.source.class_names,
            files=getattr(planned.source.test, "paths", ()),
        )
    if seen_once:
        _say(f"Test accuracy {answers.report.accuracy:.2%}")
    else:
        # In training, outputs of frozen layers may be computed in bfloat16.
        _say(f"Held-out accuracy {answers.report.accuracy:.2%} {which}")
        if recipe.restore_best:
            _say(
                "The epoch was selected on these images, so accuracy on new ones may be slightly "
                "lower; --hold-out 0.1 selects it on others."
            )
    answers.print_table()
    return answers


def _export(planned):
    with Steps("Exporting") as steps, refusing(), quiet():
        steps.plan((1, 4, 2, 2) * 2)
        rows = _winner.export_for_phones(
            planned.network, planned.source, planned.tested, planned.output, steps
        )
    for row in rows:
        _say(f"{row.path}, {human_bytes(row.bytes)}")


def _say(line):
    console.print(line, markup=False, soft_wrap=in_one_line())


def _pictures(options):
    """Returns the dataset's folder, or a placeholder for the user's files."""
    return options.dataset if Path(options.dataset).is_dir() else "FILES"
