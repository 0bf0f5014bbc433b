"""Class weights in the loss, for batches of any kind."""

import keras
import numpy as np
import pytest
from training.tiny_training import tiny_model

from keras_residual import data, training
from keras_residual.training.class_weights import weights_of_classes

LABELS = np.array([0] * 6 + [1] * 2 + [2] * 4, np.int32)
# 12 / (3 · 6), 12 / (3 · 2), 12 / (3 · 4)
BALANCED = [2 / 3, 2.0, 1.0]
SMALL = dict.fromkeys(range(3), 1e-6)


def images():
    return np.random.default_rng(0).integers(0, 255, (12, 8, 8, 1)).astype(np.uint8)


def sources():
    dataset = data.load((images(), LABELS, images()[:4], LABELS[:4]))
    return {
        "in step": dataset.batches(batch_size=4)[0],
        "pipeline": lambda epoch: data.pipeline(
            dataset.train, batch_size=4, training=True, epoch=epoch, repeat=True
        ),
        "tf.data": data.pipeline(dataset.train, batch_size=4),
    }


@pytest.mark.parametrize("kind", ["in step", "pipeline", "tf.data"])
def test_balanced_weights_are_those_of_scikit_learn(kind):
    found = weights_of_classes("balanced", sources()[kind], 3, 3)
    np.testing.assert_allclose(found, BALANCED)


def test_one_hot_labels_are_counted():
    batches = [(np.zeros((12, 1)), np.eye(3)[LABELS])]
    np.testing.assert_allclose(weights_of_classes("balanced", batches, 1, 3), BALANCED)


def test_a_mapping_by_name_or_number():
    names = ("ants", "bees", "5")
    assert weights_of_classes({"bees": 2, 0: 0.5}, None, 1, 3, names) == [0.5, 2, 1]
    assert weights_of_classes({"5": 3}, None, 1, 3, names) == [1, 1, 3]


@pytest.mark.parametrize(
    "given, message",
    [
        ("balance", "'balanced' or a mapping"),
        ({"wasps": 2}, "must name classes: ants, bees, flies. Received: 'wasps'"),
        ({3: 1.0}, "Received: 3"),
        ({True: 1.0}, "Received: True"),
        ({"ants": -1}, "class_weights"),
    ],
)
def test_what_is_no_weight(given, message):
    with pytest.raises(ValueError, match=message):
        weights_of_classes(given, None, 1, 3, ("ants", "bees", "flies"))


def test_a_class_without_examples_cannot_be_balanced():
    with pytest.raises(ValueError, match="class 'flies' has no training example"):
        weights_of_classes("balanced", [(None, np.array([0, 1]))], 1, 3, ("ants", "bees", "flies"))


def test_a_loss_that_is_always_zero_is_refused():
    with pytest.raises(ValueError, match="`class_weights` must be positive for some class"):
        training.CrossEntropy(class_weights=[0, 0.0, 0])


def test_the_loss_is_that_of_keras_with_sample_weights():
    draw = np.random.default_rng(0)
    scores, weights = draw.normal(size=(12, 3)).astype("float32"), np.array(BALANCED)
    loss = training.CrossEntropy("cross_entropy", 0.1, class_weights=BALANCED)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(
        np.eye(3)[LABELS], scores, sample_weight=weights[LABELS]
    )
    assert float(loss(LABELS, scores)) == pytest.approx(float(expected), rel=1e-5)
    mixed = 0.5 * np.eye(3)[LABELS] + 0.5 * np.eye(3)[LABELS[::-1]]
    one = training.CrossEntropy("cross_entropy", class_weights=[1, 1, 1])
    plain = training.CrossEntropy("cross_entropy")
    assert float(one(mixed, scores)) == pytest.approx(float(plain(mixed, scores)), rel=1e-5)
    again = training.CrossEntropy.from_config(loss.get_config())
    assert float(again(LABELS, scores)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("kind", ["in step", "pipeline"])
def test_a_training_takes_them(tmp_path, kind):
    data_ = (sources()[kind], None)
    options = {"steps_per_epoch": 3, "epochs": 1, "verbose": 0}
    losses = {}
    for name, given in (("none", None), ("balanced", "balanced"), ("small", SMALL)):
        history = training.fit(
            tiny_model(), data_, "quick", tmp_path / name, class_weights=given, **options
        )
        losses[name] = history["loss"][0]
    assert 0 < losses["small"] < 1e-5 and losses["balanced"] != pytest.approx(
        losses["none"], rel=1e-3
    )
    with pytest.raises(training.CheckpointError, match="class_weights"):
        training.fit(
            tiny_model(), data_, "quick", tmp_path / "small", class_weights={0: 1}, **options
        )


def test_a_loss_of_ones_own_weighs_by_itself(tmp_path):
    with pytest.raises(ValueError, match="leave out `loss`"):
        training.fit(
            tiny_model(), (images(), LABELS), "quick", tmp_path, loss="mse",
            class_weights="balanced",
        )  # fmt: skip


def test_the_name_of_keras_means_the_same(tmp_path):
    options = {"steps_per_epoch": 3, "epochs": 1, "verbose": 0, "class_weight": SMALL}
    data_ = (sources()["in step"], None)
    assert training.fit(tiny_model(), data_, "quick", tmp_path, **options)["loss"][0] < 1e-5
    with pytest.raises(ValueError, match="two names of one argument"):
        training.fit(tiny_model(), data_, "quick", tmp_path, class_weights="balanced", **options)
