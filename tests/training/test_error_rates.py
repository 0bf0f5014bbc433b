"""Error rates of characters and words equal jiwer's, in compiled training too."""

import keras
import numpy as np
import pytest
from keras import ops
from training.test_ctc import compiled, masked

from keras_residual import training
from keras_residual.training.edit_distance import edit_distance

CHARACTERS = "abc "
BLANK = len(CHARACTERS)


def transcripts(count=30, seed=0):
    """Returns right and found texts: like each other, empty, with odd spaces."""
    draw = np.random.default_rng(seed)
    right = ["".join(draw.choice(list(CHARACTERS), draw.integers(1, 12))) for _ in range(count)]
    right = [text if text.strip() else "ab" for text in right]
    found = []
    for text in right:
        letters = [c for c in text if draw.random() < 0.8]
        letters.insert(int(draw.integers(len(letters) + 1)), str(draw.choice(list(CHARACTERS))))
        found.append("".join(letters))
    return [*right, "a", "ab c", "abc"], [*found, "", "ab  c ", "abc"]


def labels(texts):
    longest = max(map(len, texts)) + 1
    rows = [[CHARACTERS.index(c) for c in text] for text in texts]
    return np.array([row + [-1] * (longest - len(row)) for row in rows], "int32")


def spiked(texts, steps=30):
    """Returns outputs whose best path gives the texts, and which steps count; others mislead."""
    scores = np.full((len(texts), steps, BLANK + 1), -2.0, "float32")
    mask = np.zeros((len(texts), steps), bool)
    for row, text in enumerate(texts):
        path = [BLANK]
        for character in text:
            path += [CHARACTERS.index(character)] * (2 if row % 2 else 1) + [BLANK] * (row % 3)
            # A blank between equal neighbours.
            path += [] if row % 3 else [BLANK]
        path = path[: steps - 1] if len(path) >= steps else path
        mask[row, : len(path)] = True
        scores[row, np.arange(len(path)), path] = 3.0
        scores[row, len(path) :, 0] = 5.0
    return scores, mask


@pytest.fixture(scope="module")
def jiwer():
    return pytest.importorskip("jiwer")


def test_equals_jiwer(jiwer):
    right, found = transcripts()
    scores, mask = spiked(found, steps=50)
    characters = training.CharacterErrorRate()
    words = training.WordErrorRate(separator=CHARACTERS.index(" "))
    y = labels(right)
    for part in (slice(0, 10), slice(10, None)):
        for metric in (characters, words):
            metric.update_state(y[part], masked(scores[part], mask[part]))
    # Its own preparation strips spaces; the characters' rate is to count them.
    as_they_are = jiwer.Compose([jiwer.ReduceToListOfListOfChars()])
    expected = jiwer.cer(
        right, found, reference_transform=as_they_are, hypothesis_transform=as_they_are
    )
    np.testing.assert_allclose(float(characters.result()), expected, rtol=1e-5)
    np.testing.assert_allclose(float(words.result()), jiwer.wer(right, found), rtol=1e-5)
    characters.reset_state()
    assert float(characters.result()) == 0


def reference_distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0], table[0] = np.arange(len(a) + 1), np.arange(len(b) + 1)
    for i in range(len(a)):
        for j in range(len(b)):
            differs = table[i, j] + (a[i] != b[j])
            table[i + 1, j + 1] = min(table[i, j + 1] + 1, table[i + 1, j] + 1, differs)
    return int(table[-1, -1])


def test_edit_distance_of_every_length():
    draw = np.random.default_rng(0)
    lengths = np.array([(i, j) for i in range(5) for j in range(4)], "int32")
    a, b = (draw.integers(0, 2, (len(lengths), size)).astype("int32") for size in (4, 3))
    expected = [
        reference_distance(x[:i], y[:j]) for x, y, (i, j) in zip(a, b, lengths, strict=True)
    ]
    found = edit_distance(*map(ops.convert_to_tensor, (a, lengths[:, 0], b, lengths[:, 1])))
    assert ops.convert_to_numpy(found).tolist() == expected


def test_words_that_are_labels():
    """Each label may be a word, as in strings of digits."""
    scores, mask = spiked(["ab", "c", "aabc"])
    metric = training.WordErrorRate()
    metric.update_state(labels(["ab", "b", "abc"]), masked(scores, mask), np.array([1.0, 1, 2]))
    np.testing.assert_allclose(float(metric.result()), (0 + 1 + 2 * 1) / (2 + 1 + 2 * 3))


def test_compiled():
    right, found = transcripts(4)
    scores, mask = spiked(found)
    metric = training.WordErrorRate(separator=3)

    def count(y, x, mask):
        x, steps = metric._unmasked_steps(x, mask=mask)
        return metric._tokens(y, steps)[0]

    function = compiled(count)
    if function is None:
        pytest.skip("PyTorch compiles nothing here")
    y = np.maximum(labels(right), 0)
    np.testing.assert_array_equal(function(y, scores, mask), count(y, scores, mask))


def test_in_fit():
    """Keras counts in compiled functions, with a number of steps that varies."""
    inputs = keras.Input((None, BLANK + 1))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    metrics = [training.CharacterErrorRate(), training.WordErrorRate(separator=3)]
    model.compile(loss=training.CTC(zero_infinity=True), metrics=metrics)
    for steps in (30, 40):
        scores, _ = spiked(["ab c", "ca"], steps)
        scores[..., 0] = np.where(scores[..., 0] == 5, -2, scores[..., 0])
        scores[..., BLANK] += 0.5
        answer = model.evaluate(scores, labels(["ab b", "ca"]), verbose=0, return_dict=True)
        np.testing.assert_allclose(answer["character_error_rate"], 1 / 6, rtol=1e-5)
        np.testing.assert_allclose(answer["word_error_rate"], 1 / 3, rtol=1e-5)


def test_saved_and_loaded():
    metric = training.WordErrorRate(separator=3, blank=0, padding=-2, name="w")
    loaded = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert loaded.get_config() == metric.get_config()


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (training.CharacterErrorRate, {"blank": -3}, "`blank` must be"),
        (training.CharacterErrorRate, {"padding": 1}, "`padding` must be a negative integer"),
        (training.WordErrorRate, {"separator": -1}, "`separator` must be"),
    ],
)
def test_wrong_arguments(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_counts_do_not_have_16_bits():
    usual = keras.config.floatx()
    keras.config.set_floatx("float16")
    try:
        metric = training.CharacterErrorRate()
        for _ in range(30):
            metric.update_state(
                np.zeros((100, 2), "int32"), np.eye(3, dtype="float32")[[[0]] * 100]
            )
        assert metric.dtype == "float32" and float(metric.tokens) == 6000
        np.testing.assert_allclose(metric.result(), 0.5)
    finally:
        keras.config.set_floatx(usual)


def test_outputs_without_steps():
    metric = training.CharacterErrorRate()
    metric.update_state(np.array([[0, 1]]), np.zeros((1, 0, 3), "float32"))
    assert float(metric.result()) == 1.0


def test_lists_of_labels_of_several_lengths():
    outputs = np.eye(4, dtype="float32")[[[0, 1, 3], [2, 3, 3]]]
    padded, listed = training.CharacterErrorRate(), training.CharacterErrorRate()
    padded.update_state(np.array([[0, 2, 1], [2, -1, -1]]), outputs)
    listed.update_state([[0, 2, 1], [2]], outputs)
    assert float(listed.result()) == float(padded.result()) == 0.25
    with pytest.raises(ValueError, match="a row for each of 2 sequences"):
        listed.update_state([[0, 2, 1]], outputs)
