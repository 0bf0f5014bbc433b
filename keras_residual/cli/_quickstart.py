"""The steps of `keras-residual quickstart`."""

import importlib.util
import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

import keras_residual
from keras_residual import _needs, analysis, data, export, training
from keras_residual._files import write_text
from keras_residual.cli import _classifier, _comparison, _figures, _session
from keras_residual.cli._terminal import same_command

NAME, RECIPE = "ResNet8", "quick"
# Usual seconds of each step after the training: folding, writing and comparing the files of both
# exports, reloading and measuring four, and drawing.
SHARES = (0.5, 3, 1, 3, 1, 0.5, 4, 1, 1, 1.5, 0.5, 0.5, 1.5)
_PICTURES = ("learning_curves.png", "confusion_matrix.png", "sample_predictions.png")


def check_extras() -> None:
    """Raises an ImportError before the training if a later step lacks a package."""
    _needs.tensorflow("The quickstart, which writes files for phones,")
    needed = {"matplotlib": "plot", "ai_edge_litert": "export"}
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(needed[name] for name in missing)
        raise ImportError(
            f'The quickstart needs {" and ".join(missing)}: pip install "keras-residual[{extras}]"'
        )


class Quickstart:
    """A small network on the embedded digits, from training to exported files."""

    name = NAME

    def __init__(self, seed: int, epochs: int, output: Path):
        self.seed, self.epochs, self.output = seed, epochs, output
        self.recipe = training.recipes[RECIPE]
        self.dataset = data.load("digits")
        keras.utils.set_random_seed(seed)
        self.size = self.dataset.image_shape[:2]
        self.model = _classifier.make_classifier(NAME, self.dataset, self.size)
        batches = _classifier.held_out_batches(self.dataset).as_numpy_iterator()
        images, labels = zip(*batches, strict=True)
        self.images, self.labels = np.concatenate(images), np.concatenate(labels)

    def describe_data(self) -> str:
        """Returns a line that describes the dataset."""
        training, held_out = len(self.dataset.train), len(self.dataset.test)
        return f"{training:,} training and {held_out} held-out scans of digits, 8 × 8 pixels each"

    def cost(self) -> analysis.Cost:
        """Returns the network's cost."""
        return analysis.cost(
            NAME, input_shape=self.dataset.image_shape, classes=self.dataset.num_classes
        )

    def train(self, resume: bool) -> dict[str, list[float]]:
        """Trains the network with a progress bar and returns the history."""
        batches = self.dataset.batches(seed=self.seed, **self.recipe.batch_options())
        return _session.run(
            self.model,
            _classifier.Batches(batches, len(batches[0])),
            self.recipe,
            self.output,
            resume,
            epochs=self.epochs,
            settings={"dataset": "digits", "seed": self.seed},
            tensorboard=False,
            again=same_command(add="--resume"),
        )

    def export(self, progress: Callable[[str], None]) -> None:
        """Writes the SavedModel and both LiteRT files; `progress` gets each step."""
        samples = self.dataset.train.x[:200] / np.float32(self.dataset.train.scale)
        common = {
            "labels": self.dataset.class_names,
            "evaluation_data": (self.images, self.labels),
            "measure": False,
            "progress": progress,
        }
        export.export(self.model, self.output, representative_data=samples, **common)
        export.export(self.model, self.output, ("litert",), "int8", samples, **common)

    def compare(self, progress: Callable[[str], None]) -> list[_comparison.FormatRow]:
        """Loads every file and measures it on the held-out images."""
        self.probabilities = self.model.predict(self.images, verbose=0)
        files = {
            "Keras": "model.keras",
            "SavedModel": "saved_model",
            "LiteRT float32": "model.tflite",
            "LiteRT int8": "model_int8.tflite",
        }
        paths = {name: self.output / file for name, file in files.items()}
        return _comparison.compare(paths, self.images, self.labels, self.probabilities, progress)

    print_table = staticmethod(_comparison.print_rows)

    def draw(self, history: dict[str, list[float]]) -> None:
        """Draws the three pictures."""
        names = self.dataset.class_names
        curves, matrix, samples = (self.output / picture for picture in _PICTURES)
        _figures.learning_curves(history, curves)
        _figures.confusion_matrix(self._confusion(), names, matrix)
        _figures.sample_predictions(self.images, self.labels, self.probabilities, names, samples)

    def _confusion(self) -> np.ndarray:
        counts = np.zeros((self.dataset.num_classes,) * 2, int)
        np.add.at(counts, (self.labels, self.probabilities.argmax(-1)), 1)
        return counts

    def write_report(self, history, rows, seconds: float) -> None:
        """Writes every number to `report.json`."""
        report = {
            "command": same_command(),
            "dataset": str(self.dataset),
            "model": NAME,
            "cost": asdict(self.cost()),
            "recipe": asdict(self.recipe) | {"name": RECIPE, "epochs": self.epochs},
            "seed": self.seed,
            "seconds": round(seconds, 1),
            "formats": [asdict(row) for row in rows],
            "confusion_matrix": self._confusion().tolist(),
            "history": history,
            "versions": {
                "keras_residual": keras_residual.__version__,
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
                "python": platform.python_version(),
                "machine": platform.machine(),
            },
        }
        write_text(self.output / "report.json", json.dumps(report, indent=2) + "\n")

    def written(self) -> list[str]:
        """Returns the names of the files in the output folder."""
        return sorted(path.name for path in self.output.iterdir())
