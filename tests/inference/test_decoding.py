"""Decoding equals the sum over all paths, on cases small enough to list them."""

import itertools

import numpy as np
import pytest

from keras_residual import inference


def outputs(batch=4, steps=5, units=3, scale=1.5, seed=0):
    return scale * np.random.default_rng(seed).normal(size=(batch, steps, units))


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def every_transcript(scores, blank):
    """Returns the probability of all labels, and the best path of each, by every path."""
    probabilities, paths = {}, {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        labels = tuple(unit for unit, _ in itertools.groupby(path) if unit != blank)
        chance = np.exp(sum(scores[t, unit] for t, unit in enumerate(path)))
        probabilities[labels] = probabilities.get(labels, 0) + chance
        if chance > paths.get(labels, (0, None))[0]:
            paths[labels] = chance, path
    return probabilities, paths


@pytest.mark.parametrize("blank", [-1, 0, 1])
@pytest.mark.parametrize("seed", [0, 1])
def test_beam_search_equals_every_path(blank, seed):
    x = outputs(seed=seed)
    answers = inference.decode_beam(x, blank=blank, beam_width=400, top=5)
    for scores, found in zip(log_softmax(x), answers, strict=True):
        expected, _ = every_transcript(scores, blank % 3)
        best = sorted(expected, key=expected.get, reverse=True)[:5]
        assert [answer.labels for answer in found] == best
        np.testing.assert_allclose(
            np.exp([answer.log_probability for answer in found]), [expected[b] for b in best]
        )


def test_narrow_beam_is_never_above_the_truth():
    x = outputs(batch=10, scale=2)
    for scores, (answer,) in zip(
        log_softmax(x), inference.decode_beam(x, beam_width=2), strict=True
    ):
        expected, _ = every_transcript(scores, 2)
        assert np.exp(answer.log_probability) <= expected[answer.labels] * (1 + 1e-9)
        assert expected[answer.labels] >= 0.7 * max(expected.values())


@pytest.mark.parametrize("blank", [-1, 1])
def test_greedy_takes_the_best_path(blank):
    x = outputs(batch=20, steps=6)
    for scores, answer in zip(log_softmax(x), inference.decode_greedy(x, blank=blank), strict=True):
        path = scores.argmax(axis=1).tolist()
        merged = [(unit, t) for t, unit in enumerate(path) if t == 0 or path[t - 1] != unit]
        merged = [(unit, t) for unit, t in merged if unit != blank % 3]
        assert answer.labels == tuple(unit for unit, _ in merged)
        assert answer.steps == tuple(t for _, t in merged)
        np.testing.assert_allclose(answer.log_probability, scores.max(axis=1).sum())


def test_masked_steps_are_left_out():
    x = outputs(steps=8)
    mask = np.random.default_rng(3).random((4, 8)) < 0.6
    mask[3] = False
    for decode in (inference.decode_greedy, inference.decode_beam):
        together = decode(x, mask)
        for row in range(4):
            (alone,) = decode(x[row : row + 1, mask[row]])
            alone, found = (a[0] if isinstance(a, list) else a for a in (alone, together[row]))
            assert (found.labels, found.log_probability) == (alone.labels, alone.log_probability)
    assert together[3][0].labels == ()
    assert together[3][0].log_probability == 0
    counted = inference.decode_beam(x, np.array([3, 0, 8, 5]))
    assert counted == inference.decode_beam(x, np.arange(8) < np.array([[3], [0], [8], [5]]))


def test_impossible_units():
    """Certain blanks, minus infinity for all else, neither warn nor give labels."""
    x = np.full((1, 4, 3), -np.inf)
    x[..., 2] = 0
    x[0, 1] = [0, -np.inf, -np.inf]
    assert inference.decode_beam(x)[0][0].labels == (0,)
    assert inference.decode_greedy(x)[0].labels == (0,)
    assert inference.decode_beam(x)[0][0].log_probability == 0


@pytest.mark.parametrize("blank", [-1, 0])
def test_language_model_equals_every_path(blank):
    """Ranks follow the formula of the docstring, whichever unit is the blank."""
    labels = [unit for unit in range(3) if unit != blank % 3]
    table = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])

    def next_label(prefix):
        row = table[labels.index(prefix[-1])] if prefix else table[2]
        full = np.full(3, np.nan)
        # That of the blank is ignored.
        full[labels] = row
        return full

    def rank(prefix, chance):
        known = sum(next_label(prefix[:i])[label] for i, label in enumerate(prefix))
        return np.log(chance) + 0.8 * known + 0.4 * len(prefix)

    x = outputs(seed=5)
    answers = inference.decode_beam(
        x, None, blank, beam_width=400, top=3, language_model=next_label, weight=0.8, bonus=0.4
    )
    changed = 0
    for scores, found in zip(log_softmax(x), answers, strict=True):
        expected, _ = every_transcript(scores, blank % 3)
        order = sorted(expected, key=lambda p: rank(p, expected[p]), reverse=True)
        assert [answer.labels for answer in found] == order[:3]
        changed += order[0] != max(expected, key=expected.get)
    assert changed, "the language model decided nothing"


@pytest.mark.parametrize("weight", [-0.5, 0.0, 0.5])
def test_language_model_may_rule_out_labels(weight):
    """A weight of zero leaves the model out; any other never yields an impossible label."""
    x = outputs(seed=5)
    impossible = lambda prefix: [0.0, -np.inf, 0.0]  # noqa: E731
    answers = inference.decode_beam(x, beam_width=400, language_model=impossible, weight=weight)
    plain = [found[0].labels for found in inference.decode_beam(x, beam_width=400)]
    assert any(1 in labels for labels in plain)
    if weight:
        assert not any(1 in found[0].labels for found in answers)
    else:
        assert [found[0].labels for found in answers] == plain


def test_alignment_is_the_best_path():
    x = outputs(steps=6)
    for blank in (-1, 0):
        place = blank % 3
        a, b = [unit for unit in range(3) if unit != place]
        for labels in ([a], [a, b], [b, b], [a, b, b, a], []):
            found = inference.align(x, [labels] * 4, blank=blank)
            for scores, places in zip(log_softmax(x), found, strict=True):
                _, path = every_transcript(scores, place)[1][tuple(labels)]
                runs = [list(run) for _, run in itertools.groupby(range(6), key=path.__getitem__)]
                runs = [[run[0], run[-1] + 1] for run in runs if path[run[0]] != place]
                assert places.tolist() == runs


def test_text():
    answer = inference.decode_greedy(np.log([[[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]]))
    assert answer[0].text("ab") == "ab"
    assert answer[0].text(["one", "two"], " ") == "one two"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: inference.decode_greedy(x[0]), r"`outputs` must have the shape"),
        (lambda x: inference.decode_greedy(x[..., :1]), "a unit for the blank"),
        (lambda x: inference.decode_greedy(x * np.nan), "`outputs` must not be NaN.*sequence 0"),
        (lambda x: inference.decode_greedy(x, [True] * 4), r"`mask` must be booleans \(4, 5\)"),
        (lambda x: inference.decode_greedy(x, [5, 5, 6, 5]), r"numbers of steps in 0..5"),
        (lambda x: inference.decode_greedy(x, blank=3), "`blank` must be"),
        (lambda x: inference.decode_beam(x, beam_width=0), "`beam_width` must be"),
        (lambda x: inference.decode_beam(x, beam_width=2, top=3), "`top` must be"),
        (lambda x: inference.decode_beam(x, language_model=lambda p: [0]), "`language_model` must"),
        (lambda x: inference.decode_beam(x, language_model="a.arpa"), "function.*`decode_words`"),
        (
            lambda x: inference.decode_beam(x, language_model=lambda p: [np.nan, 0, 0]),
            "log probabilities.*nan, 0.0",
        ),
        (
            lambda x: inference.decode_beam(x, language_model=lambda p: [np.inf, 0, 0]),
            "log probabilities",
        ),
        (lambda x: inference.decode_greedy(np.exp(log_softmax(x))), "probabilities; pass their"),
        (lambda x: inference.align(x, [[0, -1, 1]] * 4), "padding at the end only"),
        (lambda x: inference.align(x, [[0.5]] * 4), "whole numbers"),
        (lambda x: inference.align([[[0, -np.inf, -np.inf]] * 2], [[1]]), "probability above 0"),
        (lambda x: inference.align(x, [[0]]), "`labels` must be those of 4 sequences"),
        (lambda x: inference.align(x, [[0, 2]] * 4), "without the blank 2"),
        (lambda x: inference.align(x, [[0] * 4] * 4), "must fit into the steps"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(outputs())
