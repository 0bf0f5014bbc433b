"""Reductions over a mask that leaves nothing."""

import numpy as np
import pytest
from support import ramp, to_numpy

import keras_residual
from keras_residual.layers import BatchNorm
from keras_residual.layers.lstm.attentive_lstm import AttentiveLSTM
from keras_residual.layers.lstm.segment_pooling import SegmentPooling
from keras_residual.layers.lstm.sequence_average import SequenceAverage

MASK = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], "bool")


def test_average_of_unmasked_steps():
    x = ramp(3, 4, 2)
    outputs = to_numpy(SequenceAverage()(x, mask=MASK))
    expected = [x[0, :2].mean(0), x[1, 1::2].mean(0), [0, 0]]
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    first = SequenceAverage(data_format="channels_first", keepdims=True)
    outputs = to_numpy(first(np.moveaxis(x, 1, 2), mask=MASK))
    np.testing.assert_allclose(outputs[..., 0], expected, rtol=1e-6)


def test_average_ignores_what_masked_steps_hold():
    x = np.where(MASK[..., None], ramp(3, 4, 2), np.nan)
    assert np.isfinite(to_numpy(SequenceAverage()(x, mask=MASK))).all()


def test_average_of_a_long_sequence_in_half_precision():
    x, mask = np.full((1, 4000, 1), 60.0, "float16"), np.ones((1, 4000), "bool")
    outputs = to_numpy(SequenceAverage(dtype="float16")(x, mask=mask))
    assert outputs[0, 0] == 60.0


@pytest.mark.parametrize("pooling", ["last", "avg"])
def test_classifier_of_padding_alone_is_finite_and_has_gradients(pooling):
    model = keras_residual.ResidualLSTMClassifier(
        (4, 2), units=3, num_layers=2, mask_value=0.0, pooling=pooling
    )
    x = np.where(MASK[..., None], ramp(3, 4, 2), 0.0)
    outputs = model.predict_on_batch(x)
    assert np.isfinite(outputs).all()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.train_on_batch(x, np.array([0, 1, 0]))
    assert all(np.isfinite(to_numpy(weight)).all() for weight in model.weights)


def test_segment_of_padding_alone_is_zero():
    segments = np.array([[[0, 2], [2, 4]]] * 3)
    outputs = to_numpy(SegmentPooling()([ramp(3, 4, 2), segments], mask=[MASK, None]))
    np.testing.assert_array_equal(outputs[2], 0)
    np.testing.assert_array_equal(outputs[0, 1], 0)


def test_segments_ignore_what_masked_steps_hold():
    x, segments = ramp(3, 4, 2), np.array([[[0, 2], [2, 4]]] * 3)
    expected = to_numpy(SegmentPooling()([x, segments], mask=[MASK, None]))
    x = np.where(MASK[..., None], x, np.nan)
    np.testing.assert_allclose(
        to_numpy(SegmentPooling()([x, segments], mask=[MASK, None])), expected, rtol=1e-6
    )


def test_attention_to_padding_alone_is_zero():
    layer = AttentiveLSTM(3)
    memory = ramp(3, 4, 2)
    outputs = to_numpy(layer(ramp(3, 5, 2), memory, memory_mask=MASK))
    np.testing.assert_array_equal(outputs[2, :, 3:], 0)
    other = np.where(MASK[..., None], memory, 7.0)
    np.testing.assert_allclose(
        to_numpy(layer(ramp(3, 5, 2), other, memory_mask=MASK)), outputs, atol=1e-6
    )


def test_batch_of_padding_alone_leaves_the_statistics():
    layer = BatchNorm()
    layer(ramp(3, 4, 2), training=True, mask=MASK)
    before = [to_numpy(weight) for weight in layer.non_trainable_weights]
    outputs = layer(ramp(3, 4, 2), training=True, mask=np.zeros_like(MASK))
    assert np.isfinite(to_numpy(outputs)).all()
    for weight, value in zip(layer.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), value)
    layer(ramp(3, 4, 2), training=True, mask=MASK)
    assert not np.array_equal(to_numpy(layer.moving_mean), before[0])
