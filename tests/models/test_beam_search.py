"""Beam search with penalties finds what brute force over all sequences finds."""

import numpy as np
import pytest
from models.beam_reference import END, START, sequences

from keras_residual.models._beam_search import Search, beam_search


def test_penalties_follow_the_formulas():
    search = Search(START, END, 2, 9, length_penalty=0.5, coverage_penalty=0.3)
    expected = -4.0 / (8 / 6) ** 0.5 + 0.3 * (np.log(0.5) + np.log(1.0))
    assert search.score(-4.0, 3, np.array([0.5, 1.7])) == pytest.approx(expected)


def test_coverage_prefers_the_hypothesis_that_attends_to_everything():
    """Token 3 looks at the first source position only, token 4 at the second; 3 3 is likelier."""

    def step(tokens, rows, states):
        table = {START: [0.55, 0.45, 0.0], 3: [0.6, 0.4, 0.0], 4: [0.6, 0.4, 0.0]}
        if len(set(tokens)) and tokens[0] != START and states["length"] == 2:
            table = {3: [0.0, 0.0, 1.0], 4: [0.0, 0.0, 1.0]}
        with np.errstate(divide="ignore"):
            logs = np.log([[0, 0, table[t][2], table[t][0], table[t][1]] for t in tokens])
        look = {START: (0.5, 0.5), 3: (1.0, 0.0), 4: (0.0, 1.0)}
        return logs, np.array([look[t] for t in tokens]), {"length": states["length"] + 1}

    def best(beta, beam_size=8):
        search = Search(START, END, beam_size, 5, length_penalty=0.0, coverage_penalty=beta)
        return beam_search(search, step, {"length": 0}, np.ones((1, 2), bool))[0][0].tokens

    assert best(0.0) == (3, 3)
    assert set(best(2.0)) == {3, 4}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.2), (0.0, 1.0), (1.0, 0.0), (1.5, 0.7)])
def test_penalties_decide_as_brute_force_does(alpha, beta, seed):
    """Probabilities and attention depend on the step and the last token."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), (4, 5))
    attention = rng.dirichlet(np.full(3, 0.5), (4, 5))
    mask = np.array([[True, True, False]])

    def step(tokens, rows, time):
        with np.errstate(divide="ignore"):
            logs = np.log([[0.0, *probabilities[time, token]] for token in tokens])
        return logs, attention[time, tokens], time + 1

    def score(tokens):
        before = (START, *tokens[:-1])
        total = sum(
            np.log(probabilities[t, b, y - 1])
            for t, (b, y) in enumerate(zip(before, tokens, strict=True))
        )
        coverage = sum(attention[t, b] for t, b in enumerate(before))[:2]
        penalty = beta * np.log(np.minimum(coverage, 1.0)).sum()
        return total / ((5 + len(tokens)) ** alpha / 6**alpha) + penalty

    search = Search(START, END, 999, 4, alpha, beta)
    (found,) = beam_search(search, step, 0, mask)
    scores = {tokens: score(tokens) for tokens in sequences(5, 4)}
    best = max(scores, key=scores.get)
    assert found[0].tokens == tuple(token for token in best if token != END)
    for hypothesis in found:
        ended = (*hypothesis.tokens, END)
        expected = scores[ended if ended in scores else hypothesis.tokens]
        if len(hypothesis.tokens) < 4:
            assert hypothesis.score == pytest.approx(expected)
