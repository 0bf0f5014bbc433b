"""A space whose networks are not trained, and a search of it as a process.

python toy.py FOLDER '{"seconds": 0.2}' '{"max_trials": 5}' ['{"role": "chief", …}']
"""

import json
import sys
import time

import keras
import numpy as np

from keras_residual import tuning
from keras_residual.training import find_recipe
from keras_residual.tuning.budget import Cost
from keras_residual.tuning.hypermodel import HyperNetwork
from keras_residual.tuning.knobs import Knob
from keras_residual.tuning.recipe_knobs import recipe_knobs

X, Y = np.zeros((20, 4), "float32"), np.arange(20) % 2
# Without these a space has three knobs.
NO_RECIPE = dict.fromkeys(knob.name for knob in recipe_knobs(find_recipe("quick"), ()))


class ToySpace(HyperNetwork):
    """Dense networks; the accuracy of one is a formula of its values."""

    builder = "toy"
    sizes = ("units", "layers")

    def __init__(self, seconds=0.0, **settings):
        self.seconds = seconds
        knobs = [
            Knob("units", (1, 2, 4, 8, 16, 32), 8),
            Knob("layers", (1, 2, 3), 1),
            Knob("activation", ("relu", "tanh"), "relu"),
            Knob("mishap", ("none",), "none"),
        ]
        super().__init__((4,), 2, knobs, **{**NO_RECIPE, **settings})

    def options(self, values):
        return {name: values[name] for name in ("units", "layers", "activation", "mishap")}

    def count(self, options):
        units, layers = options["units"], options["layers"]
        macs = 4 * units + (layers - 1) * units * units + 2 * units
        return Cost(macs + layers * units + 2, macs)

    def in_words(self, options):
        return f"{options['layers']} x {options['units']}"

    def network(self, options):
        layers = [
            keras.layers.Dense(options["units"], options["activation"])
            for _ in range(options["layers"])
        ]
        return keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])

    def fit(self, hp, model, x, y=None, *, epochs=None, callbacks=(), **options):
        values = self.values(hp)
        time.sleep(self.seconds)
        if values["mishap"] == "memory":
            raise MemoryError("20 GB were asked for")
        if values["mishap"] == "error":
            raise RuntimeError("two\nlines")
        if values["mishap"] == "killed":
            raise SystemExit(9)
        for callback in callbacks:
            callback.set_model(model)
            loss = float("nan") if values["mishap"] == "nan" else 1.0
            callback.on_train_batch_end(0, {"loss": loss})
            callback.on_epoch_end(0, {"loss": loss, "val_accuracy": 0.1, "score": 0.1})
        accuracy = 1 - 1 / (values["units"] + values["layers"])
        metrics = {"accuracy": accuracy, "val_accuracy": accuracy}
        return {**metrics, "score": self._score(metrics, hp)}


def search(folder, space=None, listener=None, **options):
    options = {"max_trials": 5, "epochs": 1, **options}
    return tuning.search(space or ToySpace(), (X, Y), folder, listener=listener, **options)


class Lines(tuning.Listener):
    def __init__(self):
        self.lines = []

    def message(self, line):
        self.lines.append(line)


class Ended(Lines):
    def trial_ended(self, trial):
        self.lines.append(f"trial {trial.trial_id} {trial.status}")


if __name__ == "__main__":
    folder, space, options, *cluster = sys.argv[1:]
    if cluster:
        cluster = tuning.Cluster(**json.loads(cluster[0]))
    lines = Ended()
    try:
        search(
            folder,
            ToySpace(**json.loads(space)),
            lines,
            cluster=cluster or None,
            **json.loads(options),
        )
    except tuning.SearchError as error:
        print("SearchError:", error)
        sys.exit(1)
    finally:
        print(*lines.lines, sep="\n")
