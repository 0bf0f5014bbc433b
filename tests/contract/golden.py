"""The numbers that all backends must give, from weights and inputs by formula.

`PYTHONPATH=tests python tests/contract/golden.py` adds those of new cases to `golden.npz`; with
`--all` it computes every one again.
"""

import sys
from pathlib import Path

import numpy as np
from cases import FAMILIES, LAYERS, MORE_FAMILIES
from support import gradients, is_floating, ramp, run, set_sequential_weights, to_numpy

FILE = Path(__file__).with_name("golden.npz")
LAYER_CASES = [case for case in LAYERS if not case.random]


def layer_numbers(case):
    """Returns outputs, updated statistics, and two numbers for every gradient."""
    layer = case.make()
    layer.build(case.shape)
    set_sequential_weights(layer)
    inputs = ramp(*case.shape, offset=0.1)
    inference = run(layer, inputs)
    training, found = gradients(layer, inputs)
    state = [to_numpy(w).ravel() for w in layer.non_trainable_weights if is_floating(w)]
    return {
        "inference": inference,
        "training": training,
        "statistics": np.concatenate([*state, np.zeros(0, "float32")]),
        "gradients": np.array([digest(gradient) for gradient in found.values()]),
    }


def digest(gradient):
    """Returns the norm of an array and its product with a ramp, which any permutation changes."""
    return np.linalg.norm(gradient), np.sum(gradient * ramp(*gradient.shape, offset=0.2))


def model_numbers(case):
    """Returns the logits of a tiny model."""
    model = case.make(classifier_activation=None)
    set_sequential_weights(model)
    return {"inference": run(model, ramp(2, *case.shape, offset=0.1))}


def main():
    numbers = {} if "--all" in sys.argv else dict(np.load(FILE))
    known = {key.rpartition("/")[0] for key in numbers}
    for cases, compute in (
        (LAYER_CASES, layer_numbers),
        ([*FAMILIES, *MORE_FAMILIES], model_numbers),
    ):
        for case in cases:
            if case_id(case) in known:
                continue
            for key, value in compute(case).items():
                numbers[f"{case_id(case)}/{key}"] = value.astype("float32")
    np.savez_compressed(FILE, **numbers)


def case_id(case):
    return getattr(case, "id", case.name)


if __name__ == "__main__":
    main()
