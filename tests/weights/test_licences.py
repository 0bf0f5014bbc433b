"""The licence of published weights stands in the card of what is exported from them."""

import keras
import pytest
from weights.small_network import network

from keras_residual import export, weights


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one backend is enough")
@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("fb_swsl_ig1b_ft_in1k", "have the licence CC-BY-NC-4.0, which forbids commercial use."),
        ("IMAGENET1K_V1", "have the licence BSD-3-Clause."),
    ],
)
def test_cards_state_the_licence(tmp_path, tag, text):
    model = network(depths=(1, 1))
    weights.remember(model, weights.find("ResNeXt50_32x4d", tag))
    report = export.export(model, tmp_path, "saved_model", measure=False)
    assert f"ResNeXt50_32x4d.{tag} {text}" in report.notes[-1]
    assert text in (tmp_path / "README.md").read_text()
