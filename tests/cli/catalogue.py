"""What `keras-residual list` shows, counted; run this file to write it after adding a model."""

import json
import re
from pathlib import Path

import keras_residual
from keras_residual.analysis import cost
from keras_residual.models.registry import find_variant

PATH = Path(keras_residual.__file__).parent / "cli" / "models.json"


def entry(name: str) -> dict:
    variant, counted = find_variant(name), cost(name)
    paper, address = re.fullmatch(r"\[(.*)\]\((.*)\)", variant.paper).groups()
    return {
        "name": name,
        "parameters": counted.trainable_parameters,
        "macs": counted.macs,
        "input_shape": list(variant.input_shape),
        "paper": paper,
        "address": address,
    }


if __name__ == "__main__":
    rows = ",\n".join(json.dumps(entry(name)) for name in keras_residual.list_models())
    PATH.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
