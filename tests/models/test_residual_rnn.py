"""Sequence models: shapes, masks that are honoured, files, training, wrong arguments."""

import keras
import numpy as np
import pytest
from support import ramp, run

import keras_residual
from keras_residual import ResidualLSTMClassifier, ResidualLSTMSegmentClassifier, ResidualLSTMTagger

TINY = {"units": 6, "num_layers": 3, "classes": 4}
TOKENS = np.array([[3, 1, 4, 1, 0, 0], [2, 7, 1, 8, 2, 8]])
SEGMENTS = np.array([[[0, 2], [2, 4]], [[1, 6], [0, 0]]])


def classifier(**options):
    return ResidualLSTMClassifier((None, 3), **{**TINY, **options})


def tagger(**options):
    return ResidualLSTMTagger((None, 3), **{**TINY, **options})


def segment_classifier(**options):
    return ResidualLSTMSegmentClassifier((None, 3), **{**TINY, **options})


def inputs_of(model, sequences):
    return {"sequences": sequences, "segments": SEGMENTS} if len(model.inputs) == 2 else sequences


MAKERS = (classifier, tagger, segment_classifier)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_outputs_are_probabilities_and_files_keep_them(make, bidirectional, tmp_path):
    model = make(bidirectional_bottom=bidirectional)
    inputs = inputs_of(model, ramp(2, 6, 3))
    outputs = run(model, inputs)
    assert outputs.shape == {1: (2, 4), 6: (2, 6, 4), 2: (2, 2, 4)}.get(
        outputs.shape[1] if outputs.ndim == 3 else 1
    )
    np.testing.assert_allclose(outputs.sum(-1), 1.0, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, inputs), outputs)
    model.save_weights(tmp_path / "model.weights.h5")
    again = make(bidirectional_bottom=bidirectional, weights=tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(run(again, inputs), outputs)


@pytest.mark.parametrize("pooling", ["last", "avg"])
def test_padding_of_integers_changes_no_classification(pooling):
    model = ResidualLSTMClassifier(vocabulary_size=9, pooling=pooling, **TINY)
    padded = run(model, TOKENS[:1])
    np.testing.assert_allclose(padded, run(model, TOKENS[:1, :4]), rtol=1e-5)


@pytest.mark.parametrize("make", [classifier, tagger])
def test_masked_steps_of_numbers_are_passed_over(make):
    model = make(mask_value=-9.0, bidirectional_bottom=True)
    x = ramp(2, 5, 3)
    gap = np.insert(x, 2, -9.0, axis=1)
    with_gap, without = run(model, gap), run(model, x)
    if with_gap.ndim == 3:
        with_gap = np.delete(with_gap, 2, axis=1)
    np.testing.assert_allclose(with_gap, without, rtol=1e-5)


def test_padded_steps_count_in_no_loss_and_no_metric():
    model = ResidualLSTMTagger(vocabulary_size=9, **TINY)
    model.compile(loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    labels = np.array([[0, 1, 2, 3, 0, 0], [0, 1, 2, 3, 0, 1]])
    other = labels.copy()
    other[0, 4:] = 3
    assert model.evaluate(TOKENS, labels, verbose=0) == model.evaluate(TOKENS, other, verbose=0)
    other[0, 3] = 1
    assert model.evaluate(TOKENS, labels, verbose=0) != model.evaluate(TOKENS, other, verbose=0)


def test_a_segment_is_the_mean_of_its_steps():
    model = segment_classifier()
    x = ramp(2, 6, 3)
    steps = keras.Model(model.input["sequences"], model.get_layer("dropout").output)(x)
    kernel, bias = model.get_layer("classifier").get_weights()
    logits = np.stack(
        [
            [np.asarray(keras.ops.convert_to_numpy(steps))[0, a:b].mean(0) @ kernel + bias]
            for a, b in SEGMENTS[0]
        ],
        axis=1,
    )
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    outputs = run(model, {"sequences": x, "segments": SEGMENTS})
    np.testing.assert_allclose(outputs[:1], expected, rtol=1e-5)


def test_padded_segments_count_in_no_loss_and_masked_steps_in_no_mean():
    model = ResidualLSTMSegmentClassifier(vocabulary_size=9, **TINY)
    model.compile(loss="sparse_categorical_crossentropy")
    inputs = {"sequences": TOKENS, "segments": SEGMENTS}
    labels = [np.array([[0, 1], [2, label]]) for label in (0, 3)]
    first, second = (model.evaluate(inputs, y, verbose=0) for y in labels)
    assert first == second
    longer = SEGMENTS.copy()
    longer[0, 1] = 2, 6  # two padded steps more
    outputs = run(model, {"sequences": TOKENS, "segments": longer})
    np.testing.assert_allclose(outputs, run(model, inputs), rtol=1e-5)


@pytest.mark.parametrize("make", MAKERS)
def test_training_lowers_the_loss(make):
    model = make(dropout=0.1)
    inputs = inputs_of(model, ramp(2, 6, 3))
    labels = np.arange(np.prod(model(inputs).shape[:-1])).reshape(model(inputs).shape[:-1]) % 4
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", jit_compile=False)
    losses = [float(model.train_on_batch(inputs, labels)) for _ in range(12)]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < losses[0]


def test_options_reach_the_stack_and_half_precision_leaves_the_classifier_float32():
    model = classifier(
        first_residual=None,
        recurrent_dropout=0.25,
        implementation="wavefront",
        dtype="mixed_bfloat16",
    )
    lstm = model.get_layer("lstm")
    assert (lstm.first_residual, lstm.recurrent_dropout) == (None, 0.25)
    assert (lstm.implementation, lstm.compute_dtype) == ("wavefront", "bfloat16")
    assert model.get_layer("classifier").compute_dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "`vocabulary_size` must be given"),
        ({"input_shape": (5,)}, "`vocabulary_size` must be given"),
        ({"input_shape": (5, 2), "vocabulary_size": 9}, "`vocabulary_size` must be given"),
        ({"input_shape": (5, None)}, "`input_shape` must be"),
        ({"input_shape": 5}, "`input_shape` must be"),
        ({"vocabulary_size": 1}, "`vocabulary_size` must be"),
        ({"vocabulary_size": 9, "embedding_size": 0}, "`embedding_size` must be"),
        ({"input_shape": (5, 2), "embedding_size": 4}, "`embedding_size` needs"),
        ({"vocabulary_size": 9, "mask_value": 0.0}, "`mask_value` is for numbers"),
        ({"vocabulary_size": 9, "units": 0}, "`units` must be"),
        ({"vocabulary_size": 9, "num_layers": 0}, "`num_layers` must be"),
        ({"vocabulary_size": 9, "classes": 0}, "`classes` must be"),
        ({"vocabulary_size": 9, "dropout": 1.0}, "`dropout` must be"),
        ({"vocabulary_size": 9, "first_residual": "second"}, "`first_residual` must be"),
        ({"vocabulary_size": 9, "pooling": "max"}, "`pooling` must be"),
        ({"vocabulary_size": 9, "classifier_activation": "soft"}, "`classifier_activation` must"),
        ({"vocabulary_size": 9, "dtype": "float7"}, "`dtype` must be"),
        ({"vocabulary_size": 9, "dtype": "int8"}, "`dtype` must be"),
        ({"vocabulary_size": 9, "name": ""}, "`name` must be"),
        ({"vocabulary_size": 9, "recurent_dropout": 0.1}, "Did you mean recurrent_dropout"),
        ({"vocabulary_size": 9, "return_sequences": True}, "Unknown option: 'return_sequences'"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError) as caught:
        keras_residual.ResidualLSTMClassifier(**arguments)
    assert words in str(caught.value)


def test_sizes_may_be_numpy_integers():
    sizes = {key: np.int64(value) for key, value in TINY.items()}
    assert ResidualLSTMTagger(vocabulary_size=np.int64(9), **sizes).output_shape == (None, None, 4)
    shape = (np.int64(5), np.int64(2))
    assert ResidualLSTMClassifier(shape, units=2).input_shape == (None, 5, 2)


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 3)])
def test_segments_of_a_wrong_shape_are_named(shape):
    from keras_residual.layers.lstm.segment_pooling import SegmentPooling

    with pytest.raises(ValueError, match="`segments` must be"):
        SegmentPooling()([ramp(2, 6, 3), np.zeros(shape, "int32")])


def test_taggers_and_classifiers_run_step_by_step():
    """A tagger's outputs are those of the whole sequence; a classifier's are those so far."""
    x = ramp(2, 5, 3)
    for make in (ResidualLSTMTagger, ResidualLSTMClassifier):
        model = make((None, 3), classes=4, units=6, num_layers=3)
        states, found = model.get_initial_state(2), []
        for t in range(5):
            outputs, states = model.step(x[:, t], states)
            found.append(keras.ops.convert_to_numpy(outputs))
            assert found[-1].shape == (2, 4)
        expected = run(model, x)
        if make is ResidualLSTMTagger:
            np.testing.assert_allclose(np.stack(found, 1), expected, atol=1e-5)
        else:
            np.testing.assert_allclose(found[-1], expected, atol=1e-5)
    averaging = ResidualLSTMClassifier((None, 3), classes=4, units=6, pooling="avg")
    with pytest.raises(ValueError, match=r"must be a chain.*SequenceAverage"):
        averaging.get_initial_state(2)
