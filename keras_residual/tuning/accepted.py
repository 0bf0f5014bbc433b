"""Checks of the values that a user gives a knob, made when a space is created."""

import re

from keras_residual import _checks
from keras_residual.data.batches.augmentation import NAMES as AUGMENTATIONS
from keras_residual.layers.residual_unit import ORDERS
from keras_residual.layers.shortcut import KINDS as SHORTCUTS
from keras_residual.layers.stem import KINDS as STEMS
from keras_residual.tuning.knobs import Knob

_COUNTS = {
    "depth",
    "width",
    "stem_width",
    "cardinality",
    "base_width",
    "growth_rate",
    "num_layers",
    "units",
    "embedding_size",
}
_RATES = {"drop_path_rate", "dropout_rate", "dropout"}
_CHOICES = {
    "block": ("basic", "bottleneck"),
    "shortcut": SHORTCUTS,
    "stem": STEMS,
    "activation_order": ORDERS,
    "pooling": ("last", "avg"),
    "augmentation": AUGMENTATIONS,
}


def check_value(knob: Knob, value: object) -> None:
    """Checks a value that a user gives a knob.

    A value that is invalid for every network or training is rejected at once; otherwise it would
    become an infeasible point of the space.

    Args:
        knob: The knob before it is narrowed.
        value: A value of the knob's type.

    Raises:
        ValueError: If the value is invalid for every network.
    """
    name, kind = knob.name, knob.name.rstrip("0123456789")
    if kind in _COUNTS:
        _checks.integer(name, value)
    elif kind == "stages":
        _checks.integer(name, value, 1, max(knob.choices))
    elif kind == "bottleneck":
        _checks.integer(name, value, 0)
    elif kind in _RATES:
        _checks.real(name, value, 0, 1, open_end=True)
    elif kind == "se_ratio":
        _checks.real(name, value, 0, 1)
    elif kind == "compression":
        _checks.real(name, value, 0, 1, open_start=True)
    elif kind == "optimizer":
        _checks.choice(name, value, knob.choices)
    elif kind in _CHOICES:
        _checks.choice(name, value, _CHOICES[kind])
    elif kind == "kernels" and not re.fullmatch(r"[1-9]\d{0,3}(-[1-9]\d{0,3})*", value):
        raise ValueError(
            f'`{name}` must be kernel sizes such as "8-5-3". Received: {name}={value!r}'
        )
