"""What `keras-residual list` shows; `python tests/write_tables.py` writes it."""

import json
import re
from pathlib import Path

from models.counting import stated

import keras_residual
from keras_residual.models.registry import find_variant

PATH = Path(keras_residual.__file__).parent / "cli" / "models.json"


def entry(name: str) -> dict:
    variant = find_variant(name)
    trainable, _, macs = stated(name)
    paper, address = re.fullmatch(r"\[(.*)\]\((.*)\)", variant.paper).groups()
    return {
        "name": name,
        "parameters": trainable,
        "macs": macs,
        "input_shape": list(variant.input_shape),
        "paper": paper,
        "address": address,
    }


def write() -> None:
    rows = ",\n".join(json.dumps(entry(name)) for name in keras_residual.list_models())
    PATH.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
