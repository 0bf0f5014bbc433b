"""Beam search with the length and coverage penalties of GNMT, over any step function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Hypothesis:
    """One finished sequence.

    Attributes:
        tokens: Its tokens, without the start and end tokens.
        score: The score it was ranked by.
        log_probability: The logarithm of its probability, end token included.
    """

    tokens: tuple[int, ...]
    score: float
    log_probability: float


@dataclass(frozen=True)
class Search:
    """The options of a search; `GNMT.search` documents them."""

    start_token: int
    end_token: int
    beam_size: int
    max_length: int
    length_penalty: float
    coverage_penalty: float

    def length_norm(self, length: int) -> float:
        """Returns lp = (5 + length)^α / (5 + 1)^α."""
        return ((5.0 + length) / 6.0) ** self.length_penalty

    def score(self, log_probability: float, length: int, coverage: np.ndarray) -> float:
        """Returns log P / lp(length) + β Σ_i log min(coverage_i, 1)."""
        covered = np.log(np.clip(coverage, 1e-9, 1.0)).sum()
        return log_probability / self.length_norm(length) + self.coverage_penalty * covered


@dataclass(frozen=True)
class _Beam:
    """An unfinished sequence; `row` is the row of its states in the batch of the last step."""

    tokens: tuple[int, ...]
    log_probability: float
    coverage: np.ndarray
    row: int


def beam_search(
    search: Search, step: Callable[..., Any], states, source_masks: np.ndarray
) -> list[list[Hypothesis]]:
    """Returns the hypotheses of each source, best first, at most `beam_size` of them.

    A finished hypothesis gives up its place in the beam, so that a beam of 1 is greedy search. The
    search of a source stops when no unfinished hypothesis can become the best.

    Args:
        search: The options.
        step: `(tokens, rows, states) -> (log_probabilities, attention, states)`: continues from the
            given rows of `states`; returns `(rows, vocabulary)` and `(rows, source steps)` arrays.
        states: The states before the first step, one row for each source.
        source_masks: `(sources, source steps)`, which positions of a source count for coverage.
    """
    nothing = np.zeros(source_masks.shape[1])
    growing = [[_Beam((), 0.0, nothing, row)] for row in range(len(source_masks))]
    finished = [[] for _ in growing]
    for length in range(1, search.max_length + 1):
        flat = [beam for beams in growing for beam in beams]
        if not flat:
            break
        tokens = [beam.tokens[-1] if beam.tokens else search.start_token for beam in flat]
        log_probabilities, attention, states = step(tokens, [beam.row for beam in flat], states)
        start = 0
        for index, beams in enumerate(growing):
            rows = slice(start, start + len(beams))
            places = search.beam_size - len(finished[index])
            extended = _extended(beams, log_probabilities[rows], attention[rows], start, places)
            start += len(beams)
            growing[index] = []
            for beam in extended:
                if beam.tokens[-1] == search.end_token or length == search.max_length:
                    finished[index].append(_finished(search, beam, source_masks[index]))
                else:
                    growing[index].append(beam)
            if _settled(search, growing[index], finished[index]):
                growing[index] = []
    return [sorted(ended, key=lambda hypothesis: -hypothesis.score) for ended in finished]


def _extended(beams, log_probabilities, attention, start, places) -> list[_Beam]:
    """Returns the `places` most probable continuations by one token, best first."""
    if not beams:
        return []
    before = np.array([beam.log_probability for beam in beams])
    totals = (before[:, None] + log_probabilities).ravel()
    best = np.argsort(-totals, kind="stable")[:places]
    vocabulary = log_probabilities.shape[1]
    return [
        _Beam(
            (*beams[k // vocabulary].tokens, int(k % vocabulary)),
            float(totals[k]),
            beams[k // vocabulary].coverage + attention[k // vocabulary],
            start + int(k // vocabulary),
        )
        for k in best
        if np.isfinite(totals[k])
    ]


def _finished(search, beam, mask) -> Hypothesis:
    tokens = beam.tokens[:-1] if beam.tokens[-1] == search.end_token else beam.tokens
    score = search.score(beam.log_probability, len(beam.tokens), beam.coverage[mask])
    return Hypothesis(tokens, score, beam.log_probability)


def _settled(search, growing, finished) -> bool:
    """Returns whether no unfinished beam can become the best: both penalties only lower scores."""
    if not growing or not finished:
        return False
    bound = max(beam.log_probability for beam in growing) / search.length_norm(search.max_length)
    return max(hypothesis.score for hypothesis in finished) >= bound
