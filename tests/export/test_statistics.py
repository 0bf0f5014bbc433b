"""Int8 files of networks that normalize by statistics of their inputs."""

import keras
import numpy as np
import pytest
from export.phone_networks import RGB, described, network, write

from keras_residual import export
from keras_residual.export.formats.litert.statistics import has_statistics

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT files are written on TensorFlow", allow_module_level=True)


KINDS = {"group": {}, "layer": {}, "evonorm": {"activation": None}}


@pytest.mark.parametrize("kind", KINDS)
def test_deviations_are_computed_in_floating_point(kind, tmp_path):
    model = described(network(normalization=kind, **KINDS[kind]), white=1.0)
    data = RGB / np.float32(255)
    # Contrasts of a hundred to one, as a flat sky and a tree have.
    data[::2] = 0.5 + 0.01 * data[::2]
    (row,) = write(model, tmp_path, "int8", data).rows
    assert has_statistics(row.path.read_bytes())
    assert {"DEQUANTIZE", "QUANTIZE", "CONV_2D"} <= set(row.operations)
    file, expected = export.load(row.path), model.predict(data, verbose=0)
    got = file.predict(data)
    assert np.linalg.norm(got - expected) / np.linalg.norm(expected) < 0.05, kind
