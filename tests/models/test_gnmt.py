"""GNMT: teacher forcing equals stepping, beam search equals brute force, text goes in and out."""

import gc
import weakref

import keras
import numpy as np
import pytest
from models.beam_reference import END, START, sequences
from support import gradients, set_sequential_weights, to_numpy

from keras_residual import GNMT
from keras_residual.layers.lstm.attentive_residual_lstm import AttentiveResidualLSTM
from keras_residual.models.gnmt import encoded

SOURCE = np.array([[3, 4, 5, 0, 0], [4, 3, 4, 5, 3], [5, 5, 4, 3, 0]])


def tiny(vocabulary=6, seed=3, **options):
    keras.utils.set_random_seed(seed)
    model = GNMT(vocabulary, **{"units": 8, "num_layers": 3, "dropout": 0.0, **options})
    # Large weights make probabilities that are worth searching.
    for weight in model.trainable_weights:
        weight.assign(4.0 * weight)
    return model


def log_probabilities(model, source, target):
    """Returns log p of each token of each target, by teacher forcing."""
    inputs = np.concatenate([np.full((len(target), 1), START), target[:, :-1]], axis=1)
    logits = to_numpy(model({"source": source, "target": inputs})).astype("float64")
    # Padding is never a translation, and its probability is not given to others.
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return np.take_along_axis(logs, target[..., None], -1)[..., 0]


@pytest.mark.parametrize("alpha", [0.0, 0.2, 1.0])
def test_a_wide_beam_finds_what_brute_force_finds(alpha):
    model = tiny()
    found = model.search(
        SOURCE, beam_size=200, max_length=3, length_penalty=alpha, coverage_penalty=0.0
    )
    candidates = list(sequences(6, 3))
    lengths = np.array([len(candidate) for candidate in candidates])
    targets = np.array([(*candidate, 0, 0)[:3] for candidate in candidates])
    for row, hypotheses in zip(SOURCE, found, strict=True):
        logs = log_probabilities(model, np.repeat(row[None], len(targets), axis=0), targets)
        scores = np.where(targets > 0, logs, 0.0).sum(1) / ((5 + lengths) / 6) ** alpha
        best = candidates[np.argmax(scores)]
        assert hypotheses[0].tokens == tuple(token for token in best if token != END)
        assert hypotheses[0].score == pytest.approx(scores.max(), rel=1e-4)


def test_a_beam_of_one_is_greedy():
    model = tiny(seed=5)
    found = model.search(SOURCE, beam_size=1, max_length=7)
    for row, hypotheses in zip(SOURCE, found, strict=True):
        greedy = []
        while len(greedy) < 7 and END not in greedy:
            target = np.array([[START, *greedy] + [0] * (7 - len(greedy))])
            logits = to_numpy(model({"source": row[None], "target": target}))[0, len(greedy)]
            greedy.append(int(np.argmax(logits[1:]) + 1))
        assert hypotheses[0].tokens == tuple(token for token in greedy if token != END)
        assert len(hypotheses) == 1


def test_padding_of_the_source_and_other_sources_change_nothing():
    model = tiny(seed=4)
    together = model.search(SOURCE, beam_size=3, max_length=6)
    for row, expected in zip(SOURCE, together, strict=True):
        (alone,) = model.search(row[None, row != 0], beam_size=3, max_length=6)
        assert [h.tokens for h in alone] == [h.tokens for h in expected]
        assert alone[0].score == pytest.approx(expected[0].score, rel=1e-4)


def test_steps_of_the_decoder_equal_the_whole_sequence():
    layer = AttentiveResidualLSTM(6, num_layers=4)
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 4, 7))
    x, memory = x.astype("float32"), memory.astype("float32")
    mask = np.array([[True, True, False, False], [True] * 4])
    whole = to_numpy(layer(x, memory, memory_mask=mask))
    states, keys = layer.get_initial_state(2), layer.bottom.key(memory)
    for t in range(5):
        output, states, attention = layer.step(x[:, t], states, memory, keys, mask)
        np.testing.assert_allclose(to_numpy(output), whole[:, t], rtol=1e-5, atol=1e-6)
        attention = to_numpy(attention)
        np.testing.assert_allclose(attention.sum(-1), 1.0, rtol=1e-5)
        assert (attention[0, 2:] == 0).all()


def test_attention_is_the_papers_formula():
    layer = AttentiveResidualLSTM(3, num_layers=1)
    memory = np.random.default_rng(1).normal(size=(1, 4, 2)).astype("float32")
    layer(np.zeros((1, 2, 2), "float32"), memory)
    set_sequential_weights(layer)
    h = np.array([[0.3, -0.2, 0.5]], "float32")
    states = [keras.ops.convert_to_tensor(h), keras.ops.zeros((1, 3))]
    _, _, found = layer.step(np.zeros((1, 2), "float32"), states, memory, layer.bottom.key(memory))
    query, key, scale = (
        to_numpy(next(w for w in layer.weights if w.path.endswith(end)))
        for end in ("query/kernel", "key/kernel", "attention/scale")
    )
    scores = np.tanh(h @ query + memory[0] @ key) @ scale
    np.testing.assert_allclose(to_numpy(found)[0], np.exp(scores) / np.exp(scores).sum(), rtol=1e-5)


def test_files_keep_everything(tmp_path):
    model = tiny(target_vocabulary_size=7, num_layers=4)
    assert [model.encoder.is_residual(index) for index in range(4)] == [False, False, True, True]
    inputs = {"source": SOURCE, "target": np.array([[1, 3, 4, 0], [1, 5, 5, 6], [1, 3, 0, 0]])}
    outputs = to_numpy(model(inputs))
    assert outputs.shape == (3, 4, 7)
    turned = dict(reversed(inputs.items()))
    np.testing.assert_array_equal(to_numpy(model(turned)), outputs)
    model.save(tmp_path / "gnmt.keras")
    loaded = keras.saving.load_model(tmp_path / "gnmt.keras")
    assert loaded.get_config() == model.get_config()
    np.testing.assert_array_equal(to_numpy(loaded(inputs)), outputs)
    assert loaded.search(SOURCE, 2, 5) == model.search(SOURCE, 2, 5)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize")
def test_quantized_and_adapted_files_load_again(tmp_path):
    inputs = {"source": SOURCE, "target": np.array([[1, 3, 4, 0], [1, 5, 5, 6], [1, 3, 0, 0]])}
    quantized, adapted = (tiny(target_vocabulary_size=7) for _ in range(2))
    quantized.quantize("int8")
    adapted.classifier.enable_lora(1)
    adapted.classifier.lora_kernel_b.assign(adapted.classifier.lora_kernel_b + 0.1)
    for name, model in (("quantized", quantized), ("adapted", adapted)):
        model.save(tmp_path / f"{name}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert loaded.get_config() == model.get_config() and "adaptations" in model.get_config()
        np.testing.assert_allclose(
            to_numpy(loaded(inputs)), to_numpy(model(inputs)), rtol=1e-5, atol=1e-6
        )


def test_every_weight_gets_a_finite_gradient_through_attention():
    layer = AttentiveResidualLSTM(4, num_layers=3)
    memory = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")

    class OnMemory(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def build(self, shape):
            self.layer.build(shape, memory.shape)

        def call(self, x):
            return self.layer(x, keras.ops.convert_to_tensor(memory))

    wrapped = OnMemory()
    wrapped.build((2, 4, 2))
    set_sequential_weights(wrapped)
    _, found = gradients(wrapped, np.ones((2, 4, 2), "float32"))
    assert len(found) == 1 + 3 + 3 + 2 * 3
    for name, gradient in found.items():
        assert gradient is not None and np.isfinite(gradient).all() and gradient.any(), name


def test_it_learns_to_turn_sentences_around_and_padding_counts_in_no_loss():
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    rng = np.random.default_rng(0)
    sentences = rng.choice(["open", "close", "file", "image"], (256, 3))
    texts = [" ".join(words) for words in sentences]
    turned = [" ".join(words[::-1]) for words in sentences]
    tokenizer = GNMT.tokenizer_from_texts(texts, vocabulary_size=60)
    source, target = (encoded(tokenizer, lines) for lines in (texts, turned))
    column = np.ones((256, 1), "int32")
    target = np.concatenate([START * column, target, END * column, 0 * column, 0 * column], axis=1)
    keras.utils.set_random_seed(0)
    model = GNMT(tokenizer.get_vocab_size(), units=32, num_layers=2, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, weighted_metrics=["accuracy"])
    inputs, labels = {"source": source, "target": target[:, :-1]}, target[:, 1:]
    model.fit(inputs, labels, batch_size=16, epochs=16, verbose=0)
    found = model.translate(texts[:20], tokenizer, beam_size=2)
    assert np.mean([a == b for a, b in zip(found, turned, strict=False)]) > 0.9
    assert model.translate([], tokenizer) == []
    assert model.translate(["", texts[0], " "], tokenizer, beam_size=2) == ["", found[0], ""]
    unknown = model.translate(
        ["\N{SNOWMAN} \u6f22", "open " * 40, "x" * 500], tokenizer, beam_size=2
    )
    assert all(isinstance(text, str) for text in unknown)
    with pytest.raises(ValueError, match="`texts` must be"):
        model.translate([3], tokenizer)
    other = labels.copy()
    other[:, -2:] = 5
    first, second = (model.evaluate(inputs, y, verbose=0) for y in (labels, other))
    assert first == second


def test_a_search_sees_new_weights_and_keeps_no_model_alive():
    model = tiny()
    before = model.search(SOURCE, beam_size=2, max_length=3)
    set_sequential_weights(model)
    after = model.search(SOURCE, beam_size=2, max_length=3)
    assert [h.score for h in after[0]] != [h.score for h in before[0]]
    again = tiny(seed=9)
    again.set_weights(model.get_weights())
    assert again.search(SOURCE, beam_size=2, max_length=3) == after
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_half_precision_finds_what_float32_finds():
    model = tiny(num_layers=4)
    half = GNMT.from_config({**model.get_config(), "dtype": "mixed_bfloat16"})
    half.set_weights(model.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    expected, found = (m.search(SOURCE, beam_size=3, max_length=4) for m in (model, half))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0].score == pytest.approx(theirs[0].score, abs=0.3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"source_vocabulary_size": 3}, "source_vocabulary_size"),
        ({"target_vocabulary_size": 0}, "target_vocabulary_size"),
        ({"units": 0}, "units"),
        ({"num_layers": 1}, "num_layers"),
        ({"first_residual": 1}, "first_residual"),
        ({"dropout": 1.5}, "dropout"),
        ({"start_token": 0}, "start_token"),
        ({"end_token": 9}, "end_token"),
        ({"start_token": 2}, "end_token"),
        ({"dtype": "int8"}, "dtype"),
        ({"name": 3}, "name"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        GNMT(**{"source_vocabulary_size": 9, **arguments})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"source": SOURCE[0]}, "source"),
        ({"source": SOURCE.astype("float32")}, "source"),
        ({"source": SOURCE + 1}, "source"),
        ({"source": SOURCE - 1}, "source"),
        ({"beam_size": 0}, "beam_size"),
        ({"max_length": 0}, "max_length"),
        ({"length_penalty": -0.1}, "length_penalty"),
        ({"coverage_penalty": -0.1}, "coverage_penalty"),
    ],
)
def test_wrong_search_options_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        tiny().search(**{"source": SOURCE, **arguments})
