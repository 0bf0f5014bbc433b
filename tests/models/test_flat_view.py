"""Flat networks: loops over layers work as with keras.applications."""

import json

import keras
import numpy as np
import pytest
from cases import FAMILIES, OTHER_MODELS
from support import ramp, run, set_sequential_weights, to_numpy

import keras_residual
from keras_residual import models, weights
from keras_residual.models import flat_view

SMALL = {"input_shape": (8, 8, 3), "classes": 3}
BODY = {"depths": (2, 1), "widths": (4, 8), "stem": "conv3", "stem_width": 4}


def network(block="basic", **options):
    return keras_residual.ResNet(block, **{**BODY, **SMALL, **options})


def sequential(model):
    set_sequential_weights(model)
    return model


def open_network(case):
    try:
        return case.make(execution="unrolled")
    except ValueError:
        return case.make()


@pytest.mark.parametrize("case", FAMILIES, ids=lambda case: case.name)
def test_flat_network_computes_the_same_with_the_same_variables(case):
    model = sequential(open_network(case))
    flat = flat_view(model)
    inputs = ramp(2, *case.shape)
    np.testing.assert_allclose(run(flat, inputs), run(model, inputs), rtol=1e-5, atol=1e-6)
    assert {id(weight) for weight in flat.weights} == {id(weight) for weight in model.weights}
    assert len(flat.trainable_weights) == len(model.trainable_weights)
    kernels = [weight for weight in flat.weights if weight.name == "kernel"]
    assert len(kernels) == sum(hasattr(layer, "kernel") for layer in flat.layers)


@pytest.mark.parametrize("name", ["EDSR", "SRResNet", "VDSR"])
def test_super_resolution_networks_open(name):
    model = sequential(OTHER_MODELS[name]())
    flat = flat_view(model)
    inputs = ramp(1, *model.input_shape[1:])
    np.testing.assert_allclose(run(flat, inputs), run(model, inputs), rtol=1e-5, atol=1e-5)
    assert "stage1_block2_conv1" in {layer.name for layer in flat.layers}


def test_option_of_a_factory():
    flat = keras_residual.ResNet8(flat=True, **SMALL)
    assert flat.get_layer("stage3_block1_add").output.shape == (None, 2, 2, 64)
    assert keras_residual.SRResNet(scale=2, filters=4, depth=2, flat=True).get_layer("skip")
    # Its row rematerializes, whether that is said again or not.
    for options in ({}, {"rematerialize": True}, {"rematerialize": False}):
        assert keras_residual.RevNet38(flat=True, **options).get_layer("stage1_block1_f_conv1")
    deep = network(depths=(34, 1), flat=True)
    assert deep.get_layer("stage1_block34_add")
    with pytest.raises(ValueError, match='execution="unrolled"'):
        network(execution="scanned", flat=True)
    with pytest.raises(ValueError, match="rematerialize"):
        network(rematerialize=True, flat=True)


def test_scanned_stage_refuses():
    with pytest.raises(ValueError, match='execution="unrolled"'):
        flat_view(network(depths=(3, 1), execution="scanned"))
    with pytest.raises(ValueError, match="`model` must be"):
        flat_view(keras.Sequential([keras.layers.Dense(2)]))


def test_loop_freezes_only_the_batch_normalizations():
    flat = network(flat=True)
    for layer in flat.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    flat.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    before = {weight.path: to_numpy(weight) for weight in flat.weights}
    flat.train_on_batch(ramp(4, 8, 8, 3), np.arange(4) % 3)
    moved = {path for path in before if not np.array_equal(before[path], _value(flat, path))}
    assert moved and all(path.endswith(("kernel", "bias")) for path in moved)
    assert {path for path in before if path.endswith("kernel")} <= moved


def _value(model, path):
    return next(to_numpy(weight) for weight in model.weights if weight.path == path)


def test_frozen_network_stays_frozen_and_thaws():
    model = network()
    model.trainable = False
    flat = flat_view(model)
    assert not flat.trainable_weights
    flat.trainable = True
    for layer in flat.layers:
        layer.trainable = True
    assert len(flat.trainable_weights) == len(network().trainable_weights)


def test_regularizers_set_afterwards():
    flat = sequential(network(flat=True))
    for layer in flat.layers:
        if hasattr(layer, "kernel_regularizer"):
            layer.kernel_regularizer = keras.regularizers.L2(1e-3)
    new = keras.models.model_from_json(flat.to_json())
    new.set_weights(flat.get_weights())
    kernels = [weight for weight in flat.trainable_weights if weight.path.endswith("kernel")]
    expected = 1e-3 * sum((to_numpy(kernel) ** 2).sum() for kernel in kernels)
    np.testing.assert_allclose(sum(float(loss) for loss in new.losses), expected, rtol=1e-4)


def test_model_cut_at_a_block_and_a_new_stem():
    flat = sequential(network(flat=True))
    cut = keras.Model(flat.input, flat.get_layer("stage1_block2_activation").output)
    assert cut.output_shape == (None, 8, 8, 4)
    # The layers behind the stem on another one.
    rest = keras.Model(flat.get_layer("stem_conv1_activation").output, flat.output)
    inputs = keras.Input((16, 16, 3))
    new = keras.Model(inputs, rest(keras.layers.Conv2D(4, 3, 2, "same")(inputs)))
    assert run(new, ramp(2, 16, 16, 3)).shape == (2, 3)


def test_summary_names_every_layer_and_clones_compute(capsys):
    flat = sequential(network("bottleneck", se_ratio=0.5, drop_path_rate=0.1, flat=True))
    lines = []
    flat.summary(print_fn=lines.append, line_length=150)
    for name in ("stage2_block1_shortcut_conv", "stage2_block1_add", "stage1_block1_conv3_norm"):
        assert name in "\n".join(lines)
    clone = keras.models.clone_model(flat)
    clone.set_weights(flat.get_weights())
    inputs = ramp(2, 8, 8, 3)
    np.testing.assert_allclose(run(clone, inputs), run(flat, inputs), rtol=1e-5)


def test_plot_model(tmp_path):
    pytest.importorskip("pydot")
    dot = keras.utils.model_to_dot(network(flat=True), show_layer_names=True).to_string()
    assert "stage2_block1_add" in dot


def test_grad_cam_of_keras_io():
    flat = network(flat=True)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the tutorial is TensorFlow's")
    import tensorflow as tf

    last = flat.get_layer("stage2_block1_add")
    both = keras.Model(flat.input, [last.output, flat.output])
    with tf.GradientTape() as tape:
        activation, predictions = both(ramp(1, 8, 8, 3))
        channel = predictions[:, tf.argmax(predictions[0])]
    gradients = tape.gradient(channel, activation)
    assert gradients.shape == (1, 4, 4, 8) and np.abs(gradients).max() > 0


def test_saved_flat_network_loads(tmp_path):
    flat = sequential(network(activation_order="pre", shortcut="pad", flat=True))
    flat.save(tmp_path / "flat.keras")
    loaded = keras.models.load_model(tmp_path / "flat.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(flat.get_config())
    inputs = ramp(2, 8, 8, 3)
    np.testing.assert_array_equal(run(loaded, inputs), run(flat, inputs))


FORMS = {
    "basic": lambda **o: network(**o),
    "bottleneck": lambda **o: network("bottleneck", activation_order="pre", se_ratio=0.5, **o),
    "deep stem": lambda **o: network(stem="deep", shortcut="pooled", **o),
    "dense": lambda **o: keras_residual.DenseNet(
        (2, 1), 4, stem="conv3", stem_width=4, **SMALL, **o
    ),
    "super-resolution": lambda **o: models.SRResNet(
        scale=2, filters=4, depth=2, input_shape=(6, 6, 3), **o
    ),
}


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("name", FORMS)
def test_files_of_one_form_load_into_the_other(name, suffix, tmp_path):
    make = FORMS[name]
    forms = {False: make(), True: make(flat=True)}
    inputs = ramp(1, *forms[True].input_shape[1:])
    for flat, model in forms.items():
        for weight in model.weights:
            weight.assign(0.3 * to_numpy(weight) + 0.1 + 0.1 * flat)
        path = tmp_path / f"{flat}{suffix}"
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
        expected = run(model, inputs)
        others = [make(flat=not flat), make(flat=flat)]
        if flat and suffix == ".keras":  # a flat network that came from a file
            others.append(keras.models.load_model(path))
        for other in others:
            weights.load(other, path)
            np.testing.assert_allclose(run(other, inputs), expected, rtol=1e-5, atol=1e-6)


def test_nested_network_opens():
    base = keras_residual.ResNet8(include_top=False, pooling="avg", input_shape=(8, 8, 3))
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(base(inputs, training=False)))
    flat = flat_view(model)
    assert flat.get_layer("stage1_block1_conv1")
    x = ramp(2, 8, 8, 3)
    np.testing.assert_allclose(run(flat, x), run(model, x), rtol=1e-5, atol=1e-6)
    assert {id(weight) for weight in base.weights} <= {id(weight) for weight in flat.weights}
