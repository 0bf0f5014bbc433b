"""The entries of `keras-residual list`, written by `python tests/write_tables.py`."""

import inspect
import json
import re
from pathlib import Path

from models.counting import stated

import keras_residual
from keras_residual import weights
from keras_residual.models.registry import BUILDER_TASKS, BUILDERS, find_variant

PATH = Path(keras_residual.__file__).parent / "cli" / "models.json"
# The values of `--task` for some kinds of `Variant`; other kinds have the same name.
TASKS = {"classifier": "classification"}
# Published accuracies are compared on the first of these that a network has weights for.
ACCURACY = ("accuracy", "accuracy_on", "accuracy_size", "weights")
CLASS_LISTS = ("imagenet", "cifar10", "cifar100", "kinetics400")


def entry(name: str) -> dict:
    """Returns what is shown of a network with a published size."""
    variant = find_variant(name)
    trainable, _, macs = stated(name)
    return {
        "name": name,
        "task": TASKS.get(variant.kind, variant.kind.replace("_", "-")),
        "parameters": trainable,
        "macs": macs,
        "input_shape": list(variant.input_shape),
        **accuracy(name),
        **reference(variant.paper),
    }


def builder_entry(name: str) -> dict:
    """Returns what is shown of a builder, whose networks are of any size."""
    sizes = dict.fromkeys(("parameters", "macs", "input_shape", *ACCURACY))
    section = inspect.getdoc(BUILDERS[name]).partition("Reference:")[2]
    return {
        "name": name,
        "task": BUILDER_TASKS[name],
        **sizes,
        **reference(re.search(r"\[[^]]*\]\([^)]*\)", section)[0]),
    }


def accuracy(name: str) -> dict:
    """Returns the highest top-1 accuracy that is published of a network, and with which weights.

    On images of the size of the network's `input_shape` where there are such weights, because its
    cost is that for this size.
    """
    try:
        sources = weights.list_sources(name)
    except ValueError:
        sources = ()
    for classes in CLASS_LISTS:
        measured = [s for s in sources if s.classes == classes and s.top1 is not None]
        if measured:
            side = find_variant(name).input_shape[-2]
            alike = [source for source in measured if source.input_size in (side, None)]
            best = max(alike or measured, key=lambda source: source.top1)
            found = (best.top1, classes, best.input_size or side, best.tag)
            return dict(zip(ACCURACY, found, strict=True))
    return dict.fromkeys(ACCURACY)


def reference(paper: str) -> dict:
    """Returns a Markdown link as text and address."""
    text, address = re.fullmatch(r"\[(.*)\]\((.*)\)", paper).groups()
    return {"paper": text, "address": address}


def entries() -> list[dict]:
    """Returns all entries: networks in the order of their definition, then builders."""
    named = [entry(name) for name in keras_residual.list_models()]
    return named + [builder_entry(name) for name in sorted(BUILDERS)]


def write() -> None:
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in entries())
    PATH.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
