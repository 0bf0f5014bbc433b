"""The class names of published weights."""

import functools

from keras_residual import _checks
from keras_residual.weights.sources import asset

CLASS_LISTS = ("imagenet", "cifar10", "kinetics400")
CLASS_COUNTS = {"imagenet": 1000, "cifar10": 10, "cifar100": 100, "kinetics400": 400}


@functools.cache
def class_names(classes: str = "imagenet") -> tuple[tuple[str, str], ...]:
    """Returns (identifier, name) of every class in the order of the network's outputs.

    The order and names of `"imagenet"` are those of `keras.applications` (and of torchvision and
    timm, which write them with spaces); its identifiers are WordNet's. For the other lists the
    identifiers are the names.

    Args:
        classes: `"imagenet"` (the 1000 classes of ILSVRC 2012), `"cifar10"` or `"kinetics400"` (the
            actions of Kinetics-400, with underscores for spaces). Defaults to `"imagenet"`.

    Raises:
        ValueError: If the list is unknown.

    Example:

    >>> class_names()[207]
    ('n02099601', 'golden_retriever')
    """
    _checks.known("class list", classes, CLASS_LISTS)
    lines = asset(f"{classes}_classes.txt").read_text(encoding="utf-8").splitlines()
    return tuple((line.split()[0], line.split()[1]) for line in lines)
