"""CTC decoding: the labels of the most probable path, or the most probable labels."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_residual import _checks
from keras_residual._transcripts import beginnings
from keras_residual._types import Tensor


@dataclass(frozen=True)
class Transcript:
    """One decoded transcript of a sequence.

    Attributes:
        labels: Indices of units, in order, without blanks.
        log_probability: Natural logarithm of the probability of all paths that were found to give
            the labels; of `decode_greedy`, of the one path.
        steps: The step at which each label begins, counted among all steps, for what follows from
            one path; else `None`.
    """

    labels: tuple[int, ...]
    log_probability: float
    steps: tuple[int, ...] | None = None

    def text(self, names: Sequence[str], separator: str = "") -> str:
        """Returns the names of the labels, joined by `separator`."""
        return separator.join(names[label] for label in self.labels)


def decode_greedy(outputs: Tensor, mask: Tensor | None = None, blank: int = -1) -> list[Transcript]:
    """Returns the labels on the most probable path of each sequence.

    Units that repeat are merged, then blanks are removed.

    Args:
        outputs: `(batch, steps, units)`, logits or logarithms of probabilities.
        mask: Optional, the valid steps: booleans `(batch, steps)`, or lengths `(batch,)`.
        blank: Index of the blank; `-1`, the default, is the last unit.

    Returns:
        A `Transcript` for each sequence.

    Raises:
        ValueError: If a shape does not fit, or outputs are NaN or probabilities.

    Example:

    >>> decode_greedy(np.log([[[0.7, 0.1, 0.2], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1]]]))[0].labels
    (0, 1)
    """
    found = []
    for scores, steps in sequences(outputs, mask, blank):
        path = scores.argmax(axis=1)
        begins = beginnings(path, _last(scores))
        probability = float(scores.max(axis=1).sum())
        labels = _with_blank_in_place(path[begins], blank)
        found.append(Transcript(labels, probability, tuple(steps[begins].tolist())))
    return found


def decode_beam(
    outputs: Tensor,
    mask: Tensor | None = None,
    blank: int = -1,
    *,
    beam_width: int = 16,
    top: int = 1,
    language_model: Callable[[tuple[int, ...]], Sequence[float]] | None = None,
    weight: float = 1.0,
    bonus: float = 0.0,
) -> list[list[Transcript]]:
    """Returns the most probable labels of each sequence, over all paths, by prefix beam search.

    With a beam as wide as there are labels this is exact. A language model ranks labels y by
    log P(y | outputs) + weight · log P(y) + bonus · (number of labels).

    Args:
        outputs: `(batch, steps, units)`, logits or logarithms of probabilities.
        mask: Optional, the valid steps: booleans `(batch, steps)`, or lengths `(batch,)`.
        blank: Index of the blank; `-1`, the default, is the last unit.
        beam_width: Positive integer, number of prefixes kept at each step.
        top: Positive integer of at most `beam_width`, how many transcripts to return.
        language_model: Optional, from a tuple of labels to the log probability of each unit as the
            next label, `(units,)`. The value of the blank is ignored.
        weight: Weight of the language model.
        bonus: Number added for each label, which balances the preference of language models for
            few.

    Returns:
        For each sequence up to `top` transcripts, best first.

    Raises:
        ValueError: If an argument is out of range, a shape does not fit, or outputs are NaN.

    Example:

    >>> outputs = np.log([[[0.4, 0.6], [0.4, 0.6]]])
    >>> decode_greedy(outputs)[0].labels, decode_beam(outputs)[0][0].labels
    ((), (0,))

    Reference:
        - [Graves and Jaitly, 2014](https://proceedings.mlr.press/v32/graves14.html)
        - [Hannun et al., 2014](https://arxiv.org/abs/1408.2873), with language model and bonus
    """
    _checks.integer("beam_width", beam_width)
    _checks.integer("top", top, maximum=beam_width)
    for name, value in {"weight": weight, "bonus": bonus}.items():
        _checks.real(name, value, -1e6, 1e6)

    if language_model is not None and not callable(language_model):
        raise ValueError(
            "`language_model` must be a function of a tuple of labels; `decode_words` takes a "
            f"model of words in a file. Received: language_model={language_model!r}"
        )

    def extra(prefix, units):
        """Returns the score that each possible next label adds, blank last."""
        if language_model is None or not weight:
            return np.full(units, float(bonus))
        known = np.array(language_model(_with_blank_in_place(prefix, blank)), "float64")
        if known.shape != (units,):
            raise ValueError(
                f"`language_model` must return a number for each of {units} units. "
                f"Received: a shape of {known.shape}"
            )
        known = _with_blank_last(known, blank)
        known[-1] = 0
        if np.isnan(known).any() or known.max() == np.inf:
            raise ValueError(
                "`language_model` must return log probabilities, at least -inf. Received: "
                f"{known[:-1].tolist()} after the labels {_with_blank_in_place(prefix, blank)}"
            )
        # An impossible label stays so with a negative weight.
        return np.where(known > -np.inf, weight * known, -np.inf) + bonus

    return [
        [
            Transcript(_with_blank_in_place(labels, blank), probability)
            for labels, probability in _beam(scores, beam_width, extra)[:top]
        ]
        for scores, _ in sequences(outputs, mask, blank)
    ]


class _Beam:
    """The prefixes that the search keeps; the blank is the last unit.

    Attributes:
        prefixes: Tuples of labels.
        ends_blank: Log probability of each one's paths that end with the blank.
        ends_label: That of its paths that end with its last label.
        added: Score added by the language model and the bonus.
    """

    def __init__(self, prefixes, ends_blank, ends_label, added):
        self.prefixes, self.added = prefixes, added
        self.ends_blank, self.ends_label = ends_blank, ends_label

    def longer(self, row):
        """Returns the log probabilities of each prefix extended by each label at this step."""
        blank = len(row) - 1
        scores = np.logaddexp(self.ends_blank, self.ends_label)[:, None] + row
        scores[:, blank] = -np.inf
        last = self.last(blank)
        again = np.flatnonzero(last != blank)
        # Repeating the last label extends the prefix only after a blank.
        scores[again, last[again]] = self.ends_blank[again] + row[last[again]]
        return scores

    def last(self, blank):
        return np.array([prefix[-1] if prefix else blank for prefix in self.prefixes])

    def stay(self, row, longer):
        """Returns both log probabilities of the kept prefixes, merged with equal extensions."""
        blank = len(row) - 1
        last = self.last(blank)
        ends_label = np.where(last != blank, self.ends_label + row[last], -np.inf)
        index = {prefix: i for i, prefix in enumerate(self.prefixes)}
        for i, prefix in enumerate(self.prefixes):
            parent = index.get(prefix[:-1]) if prefix else None
            if parent is not None:
                ends_label[i] = np.logaddexp(ends_label[i], longer[parent, last[i]])
                longer[parent, last[i]] = -np.inf
        return np.logaddexp(self.ends_blank, self.ends_label) + row[blank], ends_label

    def next(self, row, width, extra):
        """Returns the beam after one more step."""
        longer = self.longer(row)
        ends_blank, ends_label = self.stay(row, longer)
        added = self.added[:, None] + np.stack([extra(prefix) for prefix in self.prefixes])
        stays = np.logaddexp(ends_blank, ends_label) + self.added
        ranks = np.concatenate([stays, (longer + added).ravel()])
        best = np.argsort(-ranks, kind="stable")[:width]
        best = best[ranks[best] > -np.inf]
        old, new = best[best < len(stays)], best[best >= len(stays)] - len(stays)
        parents, labels = np.divmod(new, len(row))
        pairs = zip(parents.tolist(), labels.tolist(), strict=True)
        return _Beam(
            [self.prefixes[i] for i in old] + [(*self.prefixes[i], label) for i, label in pairs],
            np.concatenate([ends_blank[old], np.full(len(new), -np.inf)]),
            np.concatenate([ends_label[old], longer[parents, labels]]),
            np.concatenate([self.added[old], added[parents, labels]]),
        )


def _beam(scores, width, extra):
    """Returns `(labels, log probability)`, best first."""
    extra = functools.lru_cache(maxsize=None)(functools.partial(extra, units=scores.shape[1]))
    beam = _Beam([()], np.zeros(1), np.full(1, -np.inf), np.zeros(1))
    for row in scores:
        beam = beam.next(row, width, extra)
    total = np.logaddexp(beam.ends_blank, beam.ends_label)
    order = np.argsort(-(total + beam.added), kind="stable")
    return [(beam.prefixes[i], float(total[i])) for i in order]


def sequences(outputs, mask, blank):
    """Yields the log probabilities of each sequence's valid steps, blank last, and these steps.

    Raises:
        ValueError: If a shape does not fit, or outputs are NaN or probabilities.
    """
    outputs, mask = _checked(outputs, mask)
    units = outputs.shape[-1]
    _checks.integer("blank", blank, minimum=-1, maximum=units - 1)
    for index, kept in enumerate(mask):
        scores = _with_blank_last(outputs[index][kept].astype("float64"), blank)
        highest = scores.max(axis=1, keepdims=True)
        if np.isnan(scores).any() or not np.isfinite(highest).all():
            raise ValueError(
                f"`outputs` must not be NaN or infinite. Received: such numbers in sequence {index}"
            )
        scores = scores - highest
        yield scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), np.flatnonzero(kept)


def _checked(outputs, mask):
    outputs = _as_array(outputs)
    if outputs.ndim != 3 or outputs.shape[-1] < 2:
        raise ValueError(
            "`outputs` must have the shape (batch, steps, units), with a unit for the blank and "
            f"one for each class. Received: a shape of {outputs.shape}"
        )
    if outputs.size and (outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3):
        raise ValueError(
            "`outputs` must be logits or logarithms of probabilities. Received: probabilities; "
            "pass their logarithms"
        )
    batch, steps = outputs.shape[:2]
    if mask is None:
        return outputs, np.ones((batch, steps), bool)
    mask = _as_array(mask)
    if mask.shape == (batch,) and mask.dtype.kind in "iu":
        if len(mask) and not 0 <= mask.min() <= mask.max() <= steps:
            raise ValueError(
                f"`mask` must hold numbers of steps in 0..{steps}. Received: {mask.tolist()}"
            )
        return outputs, np.arange(steps) < mask[:, None]
    if mask.shape != (batch, steps) or mask.dtype.kind != "b":
        raise ValueError(
            f"`mask` must be booleans ({batch}, {steps}) or numbers of steps ({batch},). "
            f"Received: shape {mask.shape}, dtype {mask.dtype}"
        )
    return outputs, mask


def _as_array(values):
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def _last(scores):
    return scores.shape[1] - 1


def _with_blank_last(scores, blank):
    """Returns scores of units with that of the blank moved to the end."""
    if blank == -1:
        return scores
    return np.concatenate([np.delete(scores, blank, -1), scores[..., [blank]]], axis=-1)


def _with_blank_in_place(labels, blank):
    """Returns indices of units among which the blank is in its original place."""
    return tuple(int(label) + (0 <= blank <= label) for label in labels)
