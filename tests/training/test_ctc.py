"""CTC equals TensorFlow's and PyTorch's loss and gradients, and never confuses paddings."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_residual import training

UNITS = 5
STEPS = np.array([9, 4, 7, 6, 1, 3])
LABELS = [[0, 1, 1, 2, 0], [3], [2, 2, 2], [], [1], [0, 3, 0]]


def padded(labels, length=6):
    return np.array([row + [-1] * (length - len(row)) for row in labels], "int32")


def logits(scale=1.0):
    return (scale * np.random.default_rng(0).normal(size=(6, 9, UNITS))).astype("float32")


def masked(array, mask):
    """Returns a tensor that comes with a mask, as a layer of Keras hands it on."""
    mask = ops.convert_to_tensor(mask)

    class Masked(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 1

        def compute_mask(self, inputs, previous_mask=None):
            return mask

    layer = Masked(autocast=False)
    layer.supports_masking = True
    return layer(array)


def gradient(function, x):
    """Returns the value and the gradient of a scalar function."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return float(y), tape.gradient(y, x).numpy()
    if backend == "jax":
        import jax

        y, slope = jax.value_and_grad(function)(x)
        return float(y), np.asarray(slope)
    x = ops.convert_to_tensor(x).clone().requires_grad_()
    y = function(x)
    y.backward()
    return y.item(), x.grad.cpu().numpy()


def log_sum(values):
    values = np.array(values)
    return values.max() + np.log(np.exp(values - values.max()).sum())


def brute_force(logits, labels, blank):
    """Returns the loss as the sum over every path, in float64."""
    scores = logits.astype("float64")
    scores = scores - np.array([log_sum(row) for row in scores])[:, None]
    found = []
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        merged = [unit for unit, _ in itertools.groupby(path) if unit != blank]
        if merged == labels:
            found.append(sum(scores[t, unit] for t, unit in enumerate(path)))
    return -log_sum(found)


MASK = np.arange(9) < STEPS[:, None]


@pytest.mark.parametrize("blank", [-1, 0, 2])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_equals_torch(torch, blank, scale):
    """Also where a blank is not last, and where the right labels are very improbable."""
    place = UNITS - 1 if blank == -1 else blank
    y = padded(LABELS)
    y = np.where(y >= place, y + 1, y).astype("int32")
    x = torch.tensor(logits(scale), dtype=torch.float64, requires_grad=True)
    peer = torch.nn.CTCLoss(blank=place, reduction="sum")
    expected = peer(
        x.log_softmax(-1).transpose(0, 1),
        torch.tensor(np.maximum(y, 0)).long(),
        torch.tensor(STEPS),
        torch.tensor([len(row) for row in LABELS]),
    )
    expected.backward()
    loss = training.CTC(blank=blank, reduction="sum")
    value, slope = gradient(lambda x: loss(y, masked(x, MASK)), logits(scale))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    # Sums of large numbers in float32, as PyTorch's own have it.
    np.testing.assert_allclose(slope, x.grad.numpy(), atol=1e-5 if scale == 1 else 5e-5)


def test_equals_tensorflow():
    tf = pytest.importorskip("tensorflow")
    x, y = tf.constant(logits()), padded(LABELS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        lengths = [len(row) for row in LABELS]
        peer = tf.nn.ctc_loss(
            np.maximum(y, 0), x, lengths, STEPS, logits_time_major=False, blank_index=UNITS - 1
        )
        total = tf.reduce_sum(peer)
    loss = training.CTC(reduction=None)
    np.testing.assert_allclose(
        ops.convert_to_numpy(loss(y, masked(logits(), MASK))), peer, rtol=1e-5, atol=1e-5
    )
    loss = training.CTC(reduction="sum")
    _, slope = gradient(lambda x: loss(y, masked(x, MASK)), logits())
    np.testing.assert_allclose(slope, tape.gradient(total, x), atol=1e-5)


def test_masked_steps_count_nowhere():
    """A mask of any form takes its steps out, with what they hold."""
    x, mask = logits()[:3], np.random.default_rng(1).random((3, 9)) < 0.6
    labels = [[0, 0], [1], [2, 1]]
    loss = training.CTC(reduction=None)
    values = ops.convert_to_numpy(loss(padded(labels), masked(x, mask)))
    for row in range(3):
        expected = brute_force(x[row][mask[row]], labels[row], UNITS - 1)
        np.testing.assert_allclose(values[row], expected, rtol=1e-5)
    changed = np.where(mask[..., None], x, 7.0)
    again = ops.convert_to_numpy(loss(padded(labels), masked(changed, mask)))
    np.testing.assert_array_equal(values, again)


def test_weights_and_reductions():
    mask, y = MASK, padded(LABELS)
    each = ops.convert_to_numpy(training.CTC(reduction=None)(y, masked(logits(), mask)))
    mean = float(training.CTC()(y, masked(logits(), mask)))
    np.testing.assert_allclose(mean, each.mean(), rtol=1e-6)
    weights = np.arange(6, dtype="float32")
    weighted = training.CTC(reduction="sum")(y, masked(logits(), mask), sample_weight=weights)
    np.testing.assert_allclose(float(weighted), (each * weights).sum(), rtol=1e-6)


def compiled(function):
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return None


SHORT = (
    np.array([[1, 1, -1], [0, 1, 2], [0, -1, -1]], "int32"),
    np.zeros((3, 2, UNITS), "float32"),
)


def test_labels_too_long_for_their_sequence():
    y, x = SHORT
    with pytest.raises(ValueError, match=r"labels that need 3 steps, and 2 steps"):
        training.CTC()(y, x)
    loss = training.CTC(zero_infinity=True, reduction=None)
    values = ops.convert_to_numpy(loss(y, x))
    assert values[:2].tolist() == [0, 0]
    np.testing.assert_allclose(values[2], -np.log(3 / UNITS**2), rtol=1e-5)
    loss = training.CTC(zero_infinity=True, reduction="sum")
    _, slope = gradient(lambda x: loss(y, x), x)
    assert not slope[:2].any()
    assert np.isfinite(slope).all() and slope[2].any()
    function = compiled(training.CTC(reduction=None))
    if function is not None:
        assert np.isinf(ops.convert_to_numpy(function(y, x))[:2]).all()


def test_nothing_to_hear():
    """No step that counts gives no labels with certainty, and any label never."""
    loss = training.CTC(reduction=None, zero_infinity=True)
    y = np.array([[-1, -1], [0, -1]], "int32")
    values = loss(y, masked(logits()[:2], np.zeros((2, 9), bool)))
    assert ops.convert_to_numpy(values).tolist() == [0, 0]
    with pytest.raises(ValueError, match="need 1 steps, and 0 steps"):
        training.CTC()(y, masked(logits()[:2], np.zeros((2, 9), bool)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 4]], "must not contain the blank.* Received: 4"),
        ([[0, 5]], r"labels lie in 0..4 without the blank 4; -1 is padding. Received: 5"),
        ([[0, -2]], "Received: -2"),
        ([[0.5, 1]], "Received: 0.5"),
        ([[-1, 1]], "padding after the last label only"),
        ([0, 1], r"\(batch, length\).*Received: a shape of \(2,\)"),
    ],
)
def test_no_such_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        training.CTC()(np.array(labels), logits()[:1])
    function = compiled(training.CTC())
    if function is not None and np.ndim(labels) == 2:
        assert np.isnan(float(function(np.array(labels, "float32"), logits()[:1])))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blank": -2}, "`blank` must be"),
        ({"blank": True}, "`blank` must be"),
        ({"padding": 0}, "`padding` must be a negative integer"),
        ({"zero_infinity": 1}, "`zero_infinity` must be True or False"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        training.CTC(**arguments)


def test_outputs_without_room_for_a_blank():
    with pytest.raises(ValueError, match="a unit for the blank"):
        training.CTC()(np.array([[0]]), np.zeros((1, 3, 1), "float32"))
    with pytest.raises(ValueError, match=r"`blank` must be one of the 5 units.*blank=5"):
        training.CTC(blank=5)(np.array([[0]]), logits()[:1])
    with pytest.raises(ValueError, match=r"`y_pred` must have the shape"):
        training.CTC()(np.array([[0]]), np.zeros((1, 3), "float32"))


def test_saved_and_loaded():
    loss = training.CTC(blank=1, padding=-5, zero_infinity=True, reduction="sum", name="c")
    loaded = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(loaded, training.CTC)
    assert loaded.get_config() == loss.get_config()


def test_trains_in_keras():
    """`compile` and `fit` hand the mask on; the loss of two padded lengths is the same."""
    inputs = keras.Input((None, 3))
    x = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(UNITS)(x))
    model.compile("sgd", training.CTC())
    x = np.random.default_rng(2).normal(size=(2, 6, 3)).astype("float32")
    longer = np.pad(x, [(0, 0), (0, 4), (0, 0)])
    y = padded([[0, 1], [2]])
    values = [model.evaluate(each, y, verbose=0) for each in (x, longer)]
    np.testing.assert_allclose(*values, rtol=1e-6)
    history = model.fit(longer, y, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]


def test_lists_and_ragged_labels():
    lists = [row or [1] for row in LABELS]
    wanted = training.CTC()(padded(lists), logits())
    np.testing.assert_allclose(training.CTC()(lists, logits()), wanted, rtol=1e-6)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        ragged = tf.ragged.constant(LABELS)
        wanted = training.CTC()(padded(LABELS), logits())
        np.testing.assert_allclose(training.CTC()(ragged, logits()), wanted, rtol=1e-6)
        sequence = keras.Sequential([keras.Input((9, UNITS)), keras.layers.Dense(UNITS)])
        sequence.compile("sgd", training.CTC(), metrics=[training.CharacterErrorRate()])
        history = sequence.fit(logits(), ragged, verbose=0).history
        assert np.isfinite(history["loss"]).all()


def test_a_row_of_labels_for_each_sequence():
    with pytest.raises(ValueError, match=r"a row for each of 6 sequences.*\(2, 6\)"):
        training.CTC()(padded(LABELS[:2]), logits())
