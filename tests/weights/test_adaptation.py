"""Weights for other inputs and of other precision are adapted; anything else is refused."""

import keras
import numpy as np
import peers
import pytest
from model_weights import outputs, randomize
from weights.torch_networks import NETWORKS, SMALL

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import MismatchError, WeightsError


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_input_channels_are_adapted_as_timm_does(channels):
    torch = peers.torch()
    model = randomize(NETWORKS["basic"]())
    state = weights.to_torch(model)
    other = kr.ResNet("basic", (1, 2), (8, 16), **{**SMALL, "input_shape": (32, 32, channels)})
    weights.from_torch(other, state)
    adapt = peers.timm().models.adapt_input_conv
    expected = adapt(channels, torch.from_numpy(state["conv1.weight"])).numpy()
    np.testing.assert_allclose(weights.to_torch(other)["conv1.weight"], expected, rtol=1e-6)


def test_grey_images_give_what_three_equal_channels_gave():
    model = randomize(NETWORKS["d"]())
    grey = kr.ResNet(
        "basic",
        (2, 1),
        (8, 16),
        stem="deep",
        stem_width=16,
        shortcut="pooled",
        **{**SMALL, "input_shape": (32, 32, 1)},
    )
    weights.from_torch(grey, weights.to_torch(model))
    images = peers.images((32, 32), channels=1)
    np.testing.assert_allclose(
        outputs(grey, images), outputs(model, np.repeat(images, 3, axis=-1)), rtol=1e-4, atol=1e-6
    )


def test_channels_that_no_rule_covers_are_misshapen():
    grey = kr.ResNet("basic", (1, 2), (8, 16), **{**SMALL, "input_shape": (32, 32, 2)})
    colour = NETWORKS["basic"]()
    with pytest.raises(MismatchError, match=r"conv1.weight: file \(64, 2, 7, 7\), model"):
        weights.from_torch(colour, weights.to_torch(grey))


def test_half_precision_weights_are_widened():
    model = randomize(NETWORKS["basic"]())
    state = {
        name: value.astype("float16") if value.dtype.kind == "f" else value
        for name, value in weights.to_torch(model).items()
    }
    weights.from_torch(model, state)
    for name, value in weights.to_torch(model).items():
        assert value.dtype == ("int64" if "num_batches" in name else "float32")
        assert np.array_equal(value, state[name])


def test_from_torch_takes_a_state_dict_only():
    with pytest.raises(ValueError, match=r"`state_dict` must be a dict .*type Functional"):
        weights.from_torch(NETWORKS["basic"](), NETWORKS["basic"]())


def test_to_torch_takes_networks_of_this_package_only():
    model = keras.Sequential([keras.Input((4,)), keras.layers.EinsumDense("ab,bc->ac", 3)])
    with pytest.raises(WeightsError, match=r"not a network of this package.*einsum_dense"):
        weights.to_torch(model)


def test_a_second_dense_layer_is_not_taken_for_the_classifier():
    network = NETWORKS["basic"]()
    model = keras.Model(network.input, keras.layers.Dense(2, name="new")(network.output))
    with pytest.raises(WeightsError, match=r"weights in the layers new; .*pass that model"):
        weights.to_torch(model)
    with pytest.raises(ValueError, match="`model` must be a Keras model"):
        weights.to_torch(3)
