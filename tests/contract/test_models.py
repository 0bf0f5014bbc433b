"""Properties of every named model, on a tiny version that keeps what distinguishes it."""

import inspect
import json

import keras
import numpy as np
import pytest
from cases import (
    BUILDERS_OF_CLASSIFIERS,
    BUILDERS_OF_KEYWORDS,
    DIFFERENT,
    FAMILIES,
    FUNCTIONS,
    MODELS,
    MORE_FAMILIES,
    OTHER_MODELS,
    SEQUENCE_MODELS,
    SUPER_RESOLUTION_MODELS,
)
from support import (
    checkpoint_restores_every_weight,
    gradients,
    ramp,
    run,
    set_sequential_weights,
    to_numpy,
)

import keras_residual
from keras_residual import models

SIGNATURE = {
    "include_top": True,
    "weights": None,
    "input_tensor": None,
    "input_shape": None,
    "pooling": None,
    "classes": None,  # the published number
    "classifier_activation": "softmax",
    "name": None,  # the factory's name in lower case
}
INPUTS = ("image", "waveform")
NAMED = [
    case for case in MODELS if case.name not in (*BUILDERS_OF_CLASSIFIERS, *BUILDERS_OF_KEYWORDS)
]


def tiny(case, **overrides):
    model = case.make(**overrides)
    set_sequential_weights(model)
    return model


def signature_is_that_of_keras_applications(case):
    parameters = inspect.signature(getattr(models, case.name)).parameters
    *named, rest = parameters.values()
    assert rest.kind is rest.VAR_KEYWORD
    defaults = {parameter.name: parameter.default for parameter in named}
    assert defaults["name"] == case.name.lower()
    expected = {**SIGNATURE, "classes": defaults["classes"], "name": defaults["name"]}
    assert list(defaults.items())[-len(expected) :] == list(expected.items())


def outputs_are_probabilities(case):
    outputs = case.make()(ramp(2, *case.shape))
    assert outputs.shape == (2, 5)
    np.testing.assert_allclose(to_numpy(outputs).sum(-1), 1.0, rtol=1e-5)


def every_size_may_be_unknown(case):
    shape = (None,) * (len(case.shape) - 1) + case.shape[-1:]
    model, known = tiny(case, input_shape=shape), tiny(case)
    inputs = ramp(2, *case.shape)
    np.testing.assert_allclose(run(model, inputs), run(known, inputs), rtol=1e-5)
    longer = (2, *[size + 3 for size in case.shape[:-1]], case.shape[-1])
    assert model.predict_on_batch(ramp(*longer)).shape == (2, 5)


def keras_file_gives_the_same_outputs(case, tmp_path):
    model = tiny(case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(
        run(loaded, ramp(2, *case.shape)), run(model, ramp(2, *case.shape))
    )


def weights_file_gives_the_same_outputs(case, tmp_path):
    model, other = tiny(case), case.make()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        run(other, ramp(2, *case.shape)), run(model, ramp(2, *case.shape))
    )


def tensorflow_checkpoint_restores_every_weight(case, tmp_path):
    checkpoint_restores_every_weight(tiny(case), case.make(), tmp_path)


def every_gradient_is_finite(case):
    _, found = gradients(tiny(case), ramp(2, *case.shape))
    for name, gradient in found.items():
        assert gradient is not None, f"{name} has no gradient"
        assert np.isfinite(gradient).all(), f"{name} has an infinite gradient"


def training_lowers_the_loss(case):
    model = tiny(case)
    model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy", jit_compile=False)
    inputs, labels = ramp(6, *case.shape), np.array([0, 1, 2, 3, 4, 0])
    losses = [float(model.train_on_batch(inputs, labels)) for _ in range(8)]
    assert np.isfinite(losses).all()
    assert min(losses[1:]) < losses[0]


def half_precision_leaves_the_classifier_float32(case):
    model = tiny(case, dtype="mixed_bfloat16")
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    assert model.get_layer("classifier").compute_dtype == "float32"
    stages = [layer for layer in model.layers if layer.name not in ("classifier", *INPUTS)]
    assert {layer.compute_dtype for layer in stages} == {"bfloat16"}
    expected = run(tiny(case), ramp(2, *case.shape))
    np.testing.assert_allclose(run(model, ramp(2, *case.shape)), expected, atol=0.05)


def channels_first_equals_channels_last(case):
    *spatial, channels = case.shape
    model = tiny(case, data_format="channels_first", input_shape=(channels, *spatial))
    inputs = ramp(2, *case.shape)
    outputs = run(model, np.moveaxis(inputs, -1, 1))
    np.testing.assert_allclose(outputs, run(tiny(case), inputs), rtol=1e-4, atol=1e-5)


# Models on PyTorch are no objects of TensorFlow's.
CHECKPOINTED = FAMILIES if keras.backend.backend() == "tensorflow" else []
ALL_CHECKS = [
    (signature_is_that_of_keras_applications, MODELS),
    (outputs_are_probabilities, DIFFERENT),
    (every_size_may_be_unknown, FAMILIES),
    (keras_file_gives_the_same_outputs, [*FAMILIES, *MORE_FAMILIES]),
    (weights_file_gives_the_same_outputs, FAMILIES),
    (tensorflow_checkpoint_restores_every_weight, CHECKPOINTED),
    (every_gradient_is_finite, [*FAMILIES, *MORE_FAMILIES]),
    (training_lowers_the_loss, FAMILIES),
    (half_precision_leaves_the_classifier_float32, FAMILIES),
    (channels_first_equals_channels_last, [*FAMILIES, *MORE_FAMILIES]),
]
# JAX compiles every shape that a model initializes: seconds for a model and check.
TRAINED_ON_JAX = ("ResNet20", "ResNet1001V2")
CHECKS_ON_JAX = [
    (signature_is_that_of_keras_applications, MODELS),
    (training_lowers_the_loss, [case for case in FAMILIES if case.name in TRAINED_ON_JAX]),
]
CHECKS = CHECKS_ON_JAX if keras.backend.backend() == "jax" else ALL_CHECKS


def marks(case, check):
    """Most of what only differs in its rows is slow."""
    quick = check is not outputs_are_probabilities or case in (*FAMILIES, *MORE_FAMILIES)
    return [] if quick else [pytest.mark.slow]


@pytest.mark.parametrize(
    ("case", "check"),
    [
        pytest.param(case, check, id=f"{case.name}-{check.__name__}", marks=marks(case, check))
        for check, cases in CHECKS
        for case in cases
    ],
)
def test_model(case, check, tmp_path):
    arguments = (tmp_path,) if "tmp_path" in inspect.signature(check).parameters else ()
    check(case, *arguments)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's checkpoints")
@pytest.mark.parametrize("name", [*SEQUENCE_MODELS, *SUPER_RESOLUTION_MODELS])
def test_tensorflow_checkpoint_restores_every_weight(name, tmp_path):
    make = OTHER_MODELS[name]
    model = make()
    set_sequential_weights(model)
    checkpoint_restores_every_weight(model, make(), tmp_path)


def test_every_public_model_has_a_case():
    assert {case.name for case in MODELS} == set(models.__all__) - set(FUNCTIONS)


def test_every_named_model_is_listed_and_exported():
    named = {case.name for case in NAMED} | set(SUPER_RESOLUTION_MODELS)
    assert named == set(models.list_models())
    assert set(models.__all__) <= set(keras_residual.__all__)
