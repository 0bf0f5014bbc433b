"""Classes of `training` and `tuning` name the argument that they refuse."""

import numpy as np
import pytest

from keras_residual import training, tuning

CURVE = {"peak": 0.1, "steps": 10, "rising": 3}
STEPS = {"boundaries": [5], "values": [0.1, 0.01], "warmup_steps": 2, "warmup_rate": 0.01}
SERIES = {"input_shape": (8, 2), "classes": 3}
REFUSED = {
    training.OneCycle: (CURVE, {"peak": (-1, "x", None), "steps": (0, 2.5), "rising": (11, -1)}),
    training.Steps: (
        STEPS,
        {
            "boundaries": (5, "x", [2.5], None),
            "values": (0.1, [0.1], ["x", "y"], {}),
            "warmup_steps": (-1, "x", None),
            "warmup_rate": (-1, "x"),
            "constant": (1, "yes"),
        },
    ),
    training.LayerwiseSGD: ({}, {"factors": (1, "x", [None], [[0.5, "x"]], {})}),
    training.LayerwiseAdamW: ({}, {"factors": (2.5, object(), ["x"])}),
    training.CrossEntropy: ({}, {"class_weights": (1, "x", ["x"], [-1.0], [np.nan])}),
    tuning.HyperResNet1D: (SERIES, {"input_shape": ((8,), (1, 2, 3, 4), 3, "x")}),
}


@pytest.mark.parametrize("made", REFUSED, ids=lambda made: made.__name__)
def test_the_argument_is_named(made):
    arguments, refused = REFUSED[made]
    made(**arguments)
    for name, values in refused.items():
        for value in values:
            with pytest.raises(ValueError, match=f"`{name}` must"):
                made(**{**arguments, name: value})
