"""Files of an earlier commit load and give the same outputs as they did there."""

from pathlib import Path

import keras
import numpy as np
import pytest
from support import ramp, run

import keras_residual

SAVED = Path(__file__).parent / "saved"


@pytest.mark.parametrize("name", ["se", "scanned", "resnext", "dense", "tagger"])
def test_file_of_an_earlier_commit_loads(name):
    model = keras.models.load_model(SAVED / f"{name}.keras")
    inputs = (
        ramp(2, *model.input_shape[1:]) if name != "tagger" else np.arange(12).reshape(2, 6) % 11
    )
    with np.load(SAVED / "outputs.npz") as expected:
        np.testing.assert_allclose(run(model, inputs), expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel of TensorFlow's")
def test_saved_model_of_a_module_holds_a_scanned_network(tmp_path):
    import tensorflow as tf

    model = keras_residual.ResNet(
        "basic", (3,), (4,), stem="conv3", execution="scanned", dropout_rate=0.2,
        drop_path_rate=0.2, input_shape=(6, 6, 3), classes=2,
    )  # fmt: skip

    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 3])])
        def serve(self, images):
            return {"outputs": self.model(images)}

    served = Served()
    tf.saved_model.save(served, str(tmp_path), signatures=served.serve)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    images = ramp(2, 6, 6, 3)
    outputs = loaded(tf.constant(images, tf.float32))["outputs"]
    np.testing.assert_allclose(outputs, run(model, images), rtol=1e-5, atol=1e-6)
