"""Files of an earlier commit load and give the outputs that they gave there."""

from pathlib import Path

import keras
import numpy as np
import pytest
from support import ramp, run

import keras_residual  # noqa: F401

SAVED = Path(__file__).parent / "saved"


@pytest.mark.parametrize("name", ["se", "scanned", "resnext", "dense", "tagger"])
def test_file_of_an_earlier_commit_loads(name):
    model = keras.models.load_model(SAVED / f"{name}.keras")
    inputs = (
        ramp(2, *model.input_shape[1:]) if name != "tagger" else np.arange(12).reshape(2, 6) % 11
    )
    with np.load(SAVED / "outputs.npz") as expected:
        np.testing.assert_allclose(run(model, inputs), expected[name], rtol=1e-5, atol=1e-6)
