"""CTC beam search over words with an n-gram language model, by pyctcdecode."""

import os
from collections.abc import Sequence

import numpy as np

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.inference.decoding import sequences


def decode_words(
    outputs: Tensor,
    characters: Sequence[str],
    mask: Tensor | None = None,
    blank: int = -1,
    *,
    language_model: str | os.PathLike[str] | object = None,
    unigrams: Sequence[str] | None = None,
    weight: float = 0.5,
    bonus: float = 1.5,
    beam_width: int = 100,
    prune: bool = False,
) -> list[str]:
    """Returns the most probable text of each sequence under a language model of words.

    For a language model of labels use `decode_beam`, which needs no other package.

    Args:
        outputs: `(batch, steps, units)`, logits or logarithms of probabilities.
        characters: The character of each unit but the blank; `" "` separates words.
        mask: Optional, the valid steps: booleans `(batch, steps)`, or lengths `(batch,)`.
        blank: Index of the blank; `-1`, the default, is the last unit.
        language_model: Path of a KenLM model, `.arpa` or binary, which needs the package `kenlm`;
            a language model of pyctcdecode; or `None`.
        unigrams: Optional, the words that a model in a file knows. An `.arpa` file lists them.
        weight: Weight of a language model in a file.
        bonus: Score added for each word with a language model in a file.
        beam_width: Positive integer, number of prefixes kept at each step.
        prune: Whether to drop beginnings and characters early that are improbable, as pyctcdecode
            does by default: quicker, and not always the same text. Defaults to `False`.

    Returns:
        A text for each sequence.

    Raises:
        ImportError: If pyctcdecode, or kenlm for a model in a file, is not installed.
        ValueError: If an argument is out of range, a shape does not fit, or outputs are NaN.
    """
    _checks.integer("beam_width", beam_width)
    _checks.boolean("prune", prune)
    decoder = _decoder(_alphabet(characters, outputs), language_model, unigrams, weight, bonus)
    # By default pyctcdecode prunes prefixes and characters far below the best in any beam.
    limits = {} if prune else {"beam_prune_logp": -np.inf, "token_min_logp": -np.inf}
    return [
        decoder.decode(np.maximum(scores, -1e4), beam_width=beam_width, **limits)
        if len(scores)
        else ""
        for scores, _ in sequences(outputs, mask, blank)
    ]


def _alphabet(characters, outputs):
    characters = list(characters)
    units = np.shape(outputs)[-1] if np.ndim(outputs) else 0
    valid = all(isinstance(c, str) and len(c) == 1 for c in characters)
    if not valid or len(set(characters)) != len(characters) or len(characters) != units - 1:
        raise ValueError(
            f"`characters` must be {units - 1} different characters, one for each unit but the "
            f"blank. Received: characters={characters!r}"
        )
    return [*characters, ""]


def _decoder(alphabet, language_model, unigrams, weight, bonus):
    try:
        import pyctcdecode
        from pyctcdecode.language_model import AbstractLanguageModel
    except ImportError as error:
        raise ImportError(
            'Decoding into words needs: pip install "keras-residual[speech]"'
        ) from error
    if language_model is None or isinstance(language_model, AbstractLanguageModel):
        given = pyctcdecode.Alphabet.build_alphabet(alphabet)
        return pyctcdecode.BeamSearchDecoderCTC(given, language_model)
    if not isinstance(language_model, str | os.PathLike):
        raise ValueError(
            "`language_model` must be a path, a language model of pyctcdecode, or None. "
            f"Received: language_model={language_model!r}"
        )
    path = os.fspath(language_model)
    if not os.path.isfile(path):
        raise ValueError(f"`language_model` must exist. Received: language_model={path!r}")
    try:
        import kenlm  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'Language models in files need: pip install "keras-residual[speech]" kenlm'
        ) from error
    return pyctcdecode.build_ctcdecoder(alphabet, path, unigrams, alpha=weight, beta=bonus)
