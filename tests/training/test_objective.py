"""The loss derived from the model's output and the labels, or an error that names `loss`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_residual import data, training
from keras_residual.training.heads import Head, head_of
from keras_residual.training.inputs import read
from keras_residual.training.objective import accuracy_of
from keras_residual.training.targets import kind_of_targets

INT, FLOAT = "int32", "float32"
# Labels of four examples.
NUMBERS = np.array([0, 1, 2, 1])
BINARY = np.array([0, 1, 1, 0])
ONE_HOT = np.eye(3)[NUMBERS]
SHARES = np.array([[0.5, 0.5, 0], [0, 0.2, 0.8], [1, 0, 0], [0, 1, 0]])
SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]])
MEASURED = np.array([0.3, -2.0, 7.5, 1.0])


def model(units, activation, shape=(4,)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Dense(units, activation, name="head")(inputs), name="m")


def batches(x, y, size=2):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


@pytest.mark.parametrize(
    ("labels", "dtype", "units", "activation", "kind"),
    [
        (NUMBERS, INT, 3, "softmax", "classes"),
        (NUMBERS, FLOAT, 3, None, "classes"),
        (NUMBERS[:, None], INT, 3, "softmax", "classes"),
        (BINARY, bool, 2, "softmax", "classes"),
        (ONE_HOT, INT, 3, "softmax", "one_hot"),
        (ONE_HOT, FLOAT, 3, None, "one_hot"),
        (SHARES, FLOAT, 3, "softmax", "one_hot"),
        (SEVERAL, INT, 3, "sigmoid", "multi_label"),
        (SEVERAL, FLOAT, 3, None, "multi_label"),
        (ONE_HOT, FLOAT, 3, "sigmoid", "multi_label"),
        (BINARY, FLOAT, 1, "sigmoid", "multi_label"),
        (BINARY, bool, 1, None, "multi_label"),
        (BINARY[:, None], INT, 1, "sigmoid", "multi_label"),
        (MEASURED, FLOAT, 1, None, "regression"),
        (MEASURED[:, None], "float64", 1, "relu", "regression"),
        (np.stack([MEASURED] * 3, 1), FLOAT, 3, None, "regression"),
        (np.stack([NUMBERS] * 3, 1), INT, 3, None, "regression"),
    ],
)
def test_kind_of_labels(labels, dtype, units, activation, kind):
    chosen = kind_of_targets(labels.astype(dtype), head_of(model(units, activation)))
    assert chosen == kind
    training.objective(model(units, activation), chosen)


@pytest.mark.parametrize("trailing", [False, True])
def test_maps_have_a_label_for_each_position(trailing):
    labels = np.zeros((2, 5, 5, 1) if trailing else (2, 5, 5))
    maps, masks = Head((None, 5, 5, 3), "softmax"), Head((None, 5, 5, 1), "sigmoid")
    assert kind_of_targets(labels.astype(INT), maps) == "classes"
    assert kind_of_targets(labels.astype(FLOAT), masks) == "multi_label"
    assert kind_of_targets(np.zeros((2, 7, 5), INT), Head((None, None, 5, 3), "softmax"))
    with pytest.raises(ValueError, match=r"`loss`.*\(batch, 5, 4\).*one axis more"):
        kind_of_targets(np.zeros((2, 5, 4), INT), maps)


@pytest.mark.parametrize(
    ("labels", "dtype", "units", "activation", "reason"),
    [
        (BINARY, FLOAT, 1, "softmax", "over one unit is always 1"),
        (BINARY, INT, 1, "sigmoid", "0 and 1 for one unit are floating point"),
        (NUMBERS[:, None], INT, 1, None, "measurements, which are floating point"),
        (MEASURED, FLOAT, 1, "sigmoid", "mean_squared_error"),
        (MEASURED, FLOAT, 3, None, "a unit for each number"),
        (NUMBERS + 1, INT, 3, "softmax", r"0\.\.2, not 1\.\.3"),
        (NUMBERS - 1, INT, 3, None, r"not -1\.\.1"),
        (SEVERAL, FLOAT, 3, "softmax", "several labels an example"),
        (SHARES, FLOAT, 3, "sigmoid", "a sigmoid answers labels of 0 and 1"),
        (ONE_HOT, FLOAT, 3, "relu", "need softmax, sigmoid or no activation"),
        (np.full(4, np.nan), FLOAT, 1, None, "NaN"),
        (np.array(["a", "b"]), "str", 2, "softmax", "labels are numbers"),
        (np.zeros((4, 2)), FLOAT, 3, None, "a number a unit"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, dtype, units, activation, reason):
    with pytest.raises(ValueError, match=f"`loss` does not follow.*{reason}"):
        kind_of_targets(labels.astype(dtype), head_of(model(units, activation)))


@pytest.mark.parametrize(
    ("kind", "units", "activation", "recipe", "message"),
    [
        ("classes", 1, None, "quick", "one unit cannot tell classes apart"),
        ("classes", 3, "sigmoid", "quick", "softmax or no activation"),
        ("classes", 3, "tanh", "quick", "softmax or no activation"),
        ("multi_label", 3, "softmax", "quick", "sigmoid or no activation"),
        ("regression", 3, "softmax", "quick", "no activation"),
        ("regression", 1, None, "modern", "without label_smoothing"),
        ("regression", 1, None, training.Recipe(cutmix=1.0), "without cutmix"),
        ("regression", 1, None, training.Recipe(loss="binary_cross_entropy"), "without a loss for"),
        ("shares", 3, None, "quick", "`kind` must be one of"),
    ],
)
def test_kinds_that_do_not_go_with_the_output(kind, units, activation, recipe, message):
    with pytest.raises(ValueError, match=message):
        training.objective(model(units, activation), kind, recipe)


def test_each_class_for_itself_takes_a_sigmoid():
    recipe = training.Recipe(loss="binary_cross_entropy")
    scores = np.array([[0.5, -1.0, 2.0]] * 4, FLOAT)
    probabilities = 1 / (1 + np.exp(-scores))
    losses = [
        float(training.objective(model(3, activation), "classes", recipe).loss(NUMBERS, outputs))
        for activation, outputs in (("sigmoid", probabilities), (None, scores))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_last_activation_is_found():
    layers = keras.layers

    def activation(*steps, shape=(8,)):
        x = inputs = keras.Input(shape)
        for step in steps:
            x = step(x)
        return head_of(keras.Model(inputs, x)).activation

    nested = model(4, "sigmoid")
    assert activation(nested, layers.Activation("linear", dtype=FLOAT), shape=(4,)) == "sigmoid"
    assert activation(layers.Dense(4), keras.ops.softmax) == "softmax"
    assert activation(layers.Dense(4), layers.Softmax(), layers.Reshape((2, 2))) == "softmax"
    assert activation(layers.TimeDistributed(layers.Dense(4, "softmax")), shape=(3, 8)) == "softmax"
    assert activation(layers.Dense(4, "log_softmax")) == "linear"
    assert activation(layers.Dense(4, "softmax"), layers.Rescaling(2.0)) is None
    sequential = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Activation("tanh")])
    assert head_of(sequential).activation == "tanh"


def test_an_unknown_activation_is_no_logits():
    inputs = keras.Input((4,))
    doubled = keras.Model(inputs, keras.layers.Rescaling(2.0)(keras.layers.Dense(3)(inputs)))
    with pytest.raises(ValueError, match=r"`loss` does not follow.*unknown activation"):
        training.objective(doubled, "classes")


def test_several_outputs_need_a_loss(tmp_path):
    inputs = keras.Input((4,))
    two = keras.Model(inputs, {n: keras.layers.Dense(2, name=n)(inputs) for n in "ab"})
    x, y = np.zeros((4, 4), FLOAT), {"a": BINARY, "b": BINARY}
    with pytest.raises(ValueError, match="`loss` must be given for a model with 2 outputs"):
        training.fit(two, (batches(x, y), None), output=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def expected_loss(kind, outputs, y):
    """The loss in NumPy, of probabilities or numbers."""
    if kind == "classes":
        return -np.log(outputs[np.arange(len(y)), y]).mean()
    if kind == "one_hot":
        return -(y * np.log(outputs)).sum(-1).mean()
    y = y.reshape(outputs.shape)
    if kind == "multi_label":
        return -(y * np.log(outputs) + (1 - y) * np.log(1 - outputs)).mean()
    return ((outputs - y) ** 2).mean()


@pytest.mark.parametrize(
    ("labels", "dtype", "units", "activation", "kind", "metrics"),
    [
        (NUMBERS, INT, 3, "softmax", "classes", ["accuracy"]),
        (ONE_HOT, FLOAT, 3, "softmax", "one_hot", ["accuracy"]),
        (SEVERAL, FLOAT, 3, "sigmoid", "multi_label", ["binary_accuracy", "auc"]),
        (BINARY, FLOAT, 1, "sigmoid", "multi_label", ["accuracy", "auc"]),
        (MEASURED, FLOAT, 1, None, "regression", ["mean_absolute_error"]),
    ],
)
@pytest.mark.parametrize("way", ["arrays", "batches", "epochs"])
def test_each_kind_is_trained(tmp_path, labels, dtype, units, activation, kind, metrics, way):
    """Its loss is what NumPy computes, with batches made in the step or outside."""
    x = np.random.default_rng(0).normal(size=(4, 4)).astype(FLOAT)
    y = labels.astype(dtype)
    given = {
        "arrays": ((x, y), (x, y)),
        "batches": (batches(x, y), batches(x, y)),
        "epochs": (lambda epoch: batches(x, y).repeat(), batches(x, y)),
    }[way]
    network = model(units, activation)
    history = training.fit(
        network, given, training.Recipe(learning_rate=0.0, batch_size=2), tmp_path, epochs=1,
        steps_per_epoch=2, verbose=0,
    )  # fmt: skip
    outputs = keras.ops.convert_to_numpy(network(x))
    assert history["loss"][0] == pytest.approx(expected_loss(kind, outputs, y), rel=1e-4)
    assert history["val_loss"][0] == pytest.approx(history["loss"][0], rel=1e-4)
    assert {*metrics} == {*history} - {"loss", "learning_rate", "seconds"} - {
        name for name in history if name.startswith("val_")
    }


def test_data_that_can_be_read_once_is_read_whole(tmp_path):
    x, seen = np.zeros((2, 4), FLOAT), []

    def generate():
        for number in range(3):
            seen.append(number)
            yield x, np.array([0, number])

    network = model(3, None)
    history = training.fit(
        network, (generate(), None), "quick", tmp_path, epochs=1, steps_per_epoch=3, verbose=0
    )
    assert seen == [0, 1, 2] and len(history["loss"]) == 1


def test_all_labels_of_arrays_are_looked_at(tmp_path):
    """Each of the first examples has one label, and a later one two; or a class too many."""
    x, labels = np.zeros((40, 4), FLOAT), np.eye(3, dtype=INT)[np.arange(40) % 3]
    several = labels.copy()
    several[39] = 1, 1, 0
    recipe = training.Recipe(batch_size=2)
    for kind, y in (("one_hot", labels), ("multi_label", several)):
        inputs = read(model(3, None), (x, y), recipe, seed=0)
        assert inputs.kind_of_labels(model(3, None)) == kind
    data_of_batches = tf.data.Dataset.from_tensor_slices((x[-12:], several[-12:])).batch(2)
    inputs = read(model(3, None), (data_of_batches, None), recipe, seed=0)
    assert inputs.kind_of_labels(model(3, None)) == "multi_label"
    numbers = np.arange(40) % 3
    numbers[39] = 7
    with pytest.raises(ValueError, match=r"class numbers lie in 0\.\.2, not 0\.\.7"):
        training.fit(model(3, None), (x, numbers), recipe, tmp_path, epochs=1, verbose=0)


def test_the_users_own_loss_and_metrics_are_kept(tmp_path):
    x, network = np.ones((4, 4), FLOAT), model(1, "sigmoid")
    options = {"epochs": 1, "verbose": 0, "resume": False}
    given = (batches(x, BINARY), None)
    history = training.fit(network, given, "quick", tmp_path, loss="binary_crossentropy", **options)
    assert {*history} == {"loss", "learning_rate", "seconds"}
    given = (x, BINARY.astype(FLOAT))
    history = training.fit(network, given, "quick", tmp_path, metrics=["accuracy"], **options)
    assert "accuracy" in history and "auc" not in history
    with pytest.raises(ValueError, match="`metrics` must be others than accuracy"):
        training.fit(model(1, None), (x, MEASURED), "quick", tmp_path, metrics=["accuracy"])


def test_accuracy_of_scores_has_its_threshold_at_zero(tmp_path):
    """Keras reads the word as a threshold of 0.5, which is for probabilities."""
    network = model(1, None)
    network.set_weights([np.full((4, 1), 0.1, FLOAT), np.zeros(1, FLOAT)])
    x = np.array([[1.0] * 4, [-1.0] * 4], FLOAT)
    history = training.fit(
        network, (x, np.array([1.0, 0.0])), training.Recipe(learning_rate=0.0), tmp_path,
        epochs=1, verbose=0, metrics=["accuracy"],
    )  # fmt: skip
    assert history["accuracy"] == [1.0]


def test_a_dataset_with_more_classes_than_units(tmp_path):
    x = np.zeros((8, 8, 8, 1), "uint8")
    images = data.load((x, np.arange(8) % 4, x, np.arange(8) % 4))
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="`model` must have a unit for each of 4 classes"):
        training.fit(network, images, output=tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((np.zeros((4, 4)), np.zeros(3)), r"equally many examples. Received: shapes"),
        ((np.zeros((0, 4)), np.zeros(0)), "equally many examples"),
        ((tf.ragged.constant([[1], [2, 3]]), np.zeros(2)), "ragged"),
        ((np.array([[1], [2, 3]], object), np.zeros(2)), "array of objects"),
        (([(np.zeros((2, 4)),)], None), "`loss` must be given where batches have no labels"),
        (([], None), "at least one training batch"),
    ],
)
def test_data_that_cannot_be_trained_on(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        training.fit(model(2, None), given, output=tmp_path / "new", steps_per_epoch=1)
    assert not (tmp_path / "new").exists()


def test_ragged_batches_are_named(tmp_path):
    ragged = tf.data.Dataset.from_tensor_slices((tf.ragged.constant([[1.0], [2.0, 3.0]]), [0, 1]))
    with pytest.raises(ValueError, match="ragged"):
        training.fit(model(2, None), (ragged.batch(2), None), output=tmp_path)


def test_transcribers():
    """Outputs that end with a blank are trained by CTC; the blank is not a label."""
    from keras_residual import ResidualLSTMTranscriber

    transcriber = ResidualLSTMTranscriber((None, 3), classes=4, units=4, mask_value=0.0)
    head = head_of(transcriber)
    assert head.blank and head.activation == "linear" and head.units == 5
    assert kind_of_targets(np.array([[0, 3, -1], [2, -1, -1]]), head) == "text"
    chosen = training.objective(transcriber, "text")
    assert isinstance(chosen.loss, training.CTC)
    assert isinstance(chosen.metrics[0], training.CharacterErrorRate)
    for labels in ([[0, 4]], [[-2, 0]], [[0.5, 1]], [0, 1]):
        with pytest.raises(ValueError, match=r"numbers in 0..3 with -1 behind the last"):
            kind_of_targets(np.array(labels), head)
    with pytest.raises(ValueError, match="logits at each step suit them"):
        training.objective(model(3, "softmax"), "text")
    with pytest.raises(ValueError, match="without label_smoothing where labels are transcripts"):
        training.objective(transcriber, "text", training.Recipe(label_smoothing=0.1))
    with pytest.raises(ValueError, match="accuracy where labels are transcripts"):
        accuracy_of(chosen)
