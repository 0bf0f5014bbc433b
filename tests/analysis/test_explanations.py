"""Heat maps and attributions equal published recipes, are complete, and depend on the weights."""

import keras
import numpy as np
import pytest
from keras import ops
from support import ramp, set_sequential_weights

import keras_residual
from keras_residual import analysis, data, weights

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the recipe of keras.io is for TensorFlow"
)


def small(name="basic", **options):
    options = {"input_shape": (12, 12, 3), "classes": 4, "stem": "conv3", **options}
    model = keras_residual.ResNet(name, (1, 2), (4, 8), **options)
    set_sequential_weights(model)
    return model


def keras_io_map(model, image, layer, index):
    """The recipe of keras.io's "Grad-CAM class activation visualization", word for word."""
    import tensorflow as tf

    model.layers[-1].activation = None
    grad_model = keras.models.Model(model.input, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        last_conv_layer_output, preds = grad_model(image)
        class_channel = preds[:, index]
    grads = tape.gradient(class_channel, last_conv_layer_output)
    pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
    last_conv_layer_output = last_conv_layer_output[0]
    heatmap = last_conv_layer_output @ pooled_grads[..., tf.newaxis]
    heatmap = tf.squeeze(heatmap)
    heatmap = tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)
    model.layers[-1].activation = keras.activations.softmax
    return heatmap.numpy()


@on_tensorflow
@pytest.mark.slow
def test_maps_are_those_of_keras_io_on_keras_applications():
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 96, 3), classes=7)
    ours = keras_residual.ResNet50V1(input_shape=(64, 96, 3), classes=7, norm_epsilon=1.001e-5)
    rng = np.random.default_rng(0)
    for weight in theirs.weights:
        if "moving_variance" not in weight.path:
            noise = rng.normal(size=weight.shape) * 0.02
            weight.assign(ops.convert_to_numpy(weight) + noise.astype("float32"))
    weights.load(ours, _file_of(theirs))
    image = rng.uniform(-100, 100, (1, 64, 96, 3)).astype("float32")
    for layer, block in (("conv5_block3_out", "stage4"), ("conv4_block2_out", "stage3/block2")):
        expected = keras_io_map(theirs, image, layer, 3)
        assert expected.std() > 0.05
        found = analysis.grad_cam(ours, image, 3, block, resize=False)[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
        of_theirs = analysis.grad_cam(theirs, image, 3, layer, resize=False)[0]
        np.testing.assert_allclose(of_theirs, expected, atol=1e-5)


def _file_of(model):
    import tempfile

    path = f"{tempfile.mkdtemp()}/resnet50.weights.h5"
    model.save_weights(path)
    return path


@pytest.mark.parametrize(
    ("options", "layer"),
    [
        ({"input_shape": (16, 3)}, "stage2/block1"),
        ({"input_shape": (8, 8, 8, 2)}, "stage1"),
        ({"execution": "scanned"}, "stage2/block2"),
        ({"data_format": "channels_first", "input_shape": (3, 12, 12)}, "stage2"),
        ({"classifier_activation": None, "activation_order": "pre"}, "stage2/block2"),
    ],
)
def test_maps_cover_the_input_for_series_volumes_and_every_form(options, layer):
    model = small(**options)
    x = ramp(3, *model.input_shape[1:])
    maps = analysis.grad_cam(model, x, 1, layer)
    first = options.get("data_format") == "channels_first"
    assert maps.shape == (3, *(x.shape[2:] if first else x.shape[1:-1]))
    assert maps.min() >= 0 and maps.max() <= 1 and np.isfinite(maps).all()
    parts = analysis.grad_cam(model, x, [0, 1, 2], layer, resize=False, batch_size=2)
    assert parts.max() == pytest.approx(1) and parts.ndim == maps.ndim


def test_scanned_and_unrolled_stages_have_equal_maps():
    x = ramp(2, 12, 12, 3)
    maps = [
        analysis.grad_cam(small(execution=execution), x, 2, "stage2/block1")
        for execution in ("scanned", "unrolled")
    ]
    np.testing.assert_allclose(*maps, atol=1e-5)


def test_dense_units_and_nested_models():
    dense = keras_residual.DenseNet((2, 2), growth_rate=4, input_shape=(32, 32, 3), classes=3)
    set_sequential_weights(dense)
    assert analysis.grad_cam(dense, ramp(2, 32, 32, 3), 0, "dense1/unit2").shape == (2, 32, 32)
    body = small(include_top=False, input_shape=(12, 12, 3))
    inputs = keras.Input((12, 12, 3))
    x = keras.layers.GlobalAveragePooling2D()(body(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    assert analysis.grad_cam(model, ramp(2, 12, 12, 3), layer="stage2/block2").shape == (2, 12, 12)


def test_the_class_explained_is_the_predicted_one():
    model, x = small(), ramp(3, 12, 12, 3)
    classes = model.predict(x, verbose=0).argmax(-1)
    np.testing.assert_allclose(analysis.grad_cam(model, x), analysis.grad_cam(model, x, classes))
    assert model.layers[-1].activation is keras.activations.softmax


def test_unknown_layers_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"stage2/block2.*Received: layer='conv9'"):
        analysis.grad_cam(small(), ramp(1, 12, 12, 3), layer="conv9")
    with pytest.raises(ValueError, match="`classes` must be"):
        analysis.grad_cam(small(), ramp(1, 12, 12, 3), 4)
    with pytest.raises(ValueError, match=r"`x` must be a batch of inputs \(12, 12, 3\)"):
        analysis.grad_cam(small(), ramp(1, 12, 12, 1))
    with pytest.raises(ValueError, match="`x` must be finite"):
        analysis.saliency(small(), np.full((1, 12, 12, 3), np.nan))
    with pytest.raises(ValueError, match="integers have no gradient"):
        tagger = keras_residual.ResidualLSTMTagger(vocabulary_size=9, classes=2, units=4)
        analysis.saliency(tagger, np.zeros((1, 5)))
    with pytest.raises(ValueError, match='method="integrated_gradients"'):
        analysis.saliency(small(), ramp(1, 12, 12, 3), method="gradient", baseline=0.5)


def test_integrated_gradients_are_complete():
    model, x = small(classifier_activation=None, activation="tanh"), ramp(2, 12, 12, 3)
    values = analysis.saliency(model, x, 2, steps=64, batch_size=50)
    logits = [model.predict(part, verbose=0)[:, 2] for part in (x, np.full_like(x, 0))]
    assert values.shape == x.shape
    np.testing.assert_allclose(
        values.sum(axis=(1, 2, 3)), logits[0] - logits[1], rtol=2e-2, atol=1e-3
    )


def test_saliency_of_a_linear_model_is_its_kernel():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    kernel = ops.convert_to_numpy(model.layers[-1].kernel)[:, 1]
    x = ramp(2, 4)
    gradient = analysis.saliency(model, x, 1, "gradient")
    np.testing.assert_allclose(gradient, np.stack([kernel] * 2), rtol=1e-5)
    smooth = analysis.saliency(model, x, 1, "smooth_grad", steps=3)
    np.testing.assert_allclose(smooth, np.stack([kernel] * 2), rtol=1e-5)
    integrated = analysis.saliency(model, x, 1, baseline=0.5)
    np.testing.assert_allclose(integrated, (x - 0.5) * kernel, rtol=1e-5)


def trained_on_one_digit_among_noise():
    """Returns a network that names the digit on a sheet, sheets, and the corner of each digit."""
    digits = data.load("digits")
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)

    def sheets(split, count):
        pictures = rng.uniform(0, 0.3, (count, 20, 20, 1)).astype("float32")
        chosen, corners = rng.integers(len(split.y), size=count), rng.integers(0, 13, (count, 2))
        for picture, index, (top, left) in zip(pictures, chosen, corners, strict=True):
            picture[top : top + 8, left : left + 8] += split.x[index] / split.scale
        return pictures, split.y[chosen], corners

    model = keras_residual.ResNet(
        "basic", (1, 1), (16, 32), stem="conv3", stage_strides=(1, 2), input_shape=(20, 20, 1),
        classes=10,
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    x, y, _ = sheets(digits.train, 4096)
    model.fit(x, y, 64, epochs=12, verbose=0)
    return model, *sheets(digits.test, 200)


@pytest.mark.slow
def test_maps_point_at_the_digit_and_follow_the_weights():
    model, x, y, corners = trained_on_one_digit_among_noise()
    assert (model.predict(x, verbose=0).argmax(-1) == y).mean() > 0.9
    maps = analysis.grad_cam(model, x, y)
    values = np.abs(analysis.saliency(model, x[:50], y[:50], "smooth_grad", steps=8))[..., 0]
    for found, least in ((maps, 0.9), (values, 0.9)):
        positions = found.reshape(len(found), -1).argmax(-1)
        rows, columns = np.unravel_index(positions, (20, 20))
        inside = [
            top <= row < top + 8 and left <= column < left + 8
            for row, column, (top, left) in zip(rows, columns, corners, strict=False)
        ]
        assert np.mean(inside) > least  # by chance 0.16
    # Adebayo et al., 2018: a map that is the same for shuffled weights explains no network.
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        value = ops.convert_to_numpy(weight)
        weight.assign(rng.permutation(value.ravel()).reshape(value.shape))
    shuffled = analysis.grad_cam(model, x, y)
    pairs = [(a, b) for a, b in zip(maps, shuffled, strict=True) if b.std() > 0]
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert np.mean(correlations) < 0.5
