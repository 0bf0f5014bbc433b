"""The report on a transcription model: error rates and the worst transcripts."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_residual import inference
from keras_residual.cli._table import Column, print_table
from keras_residual.cli._terminal import console, in_one_line

# Number of transcripts in the table, those with most mistakes.
_SHOWN = 10


@dataclass(frozen=True)
class Transcripts:
    """The reference and predicted transcripts of a dataset.

    Attributes:
        references: The transcripts of the dataset.
        hypotheses: The transcripts of the model.
        seconds: Total time of the predictions.
    """

    references: Sequence[str]
    hypotheses: Sequence[str]
    seconds: float

    @property
    def count(self) -> int:
        """Number of recordings."""
        return len(self.references)

    @property
    def character_error_rate(self) -> float:
        """Insertions, deletions and substitutions per character of the reference texts."""
        return _rate(
            [list(text) for text in self.references], [list(text) for text in self.hypotheses]
        )

    @property
    def word_error_rate(self) -> float:
        """The same per word, where spaces separate words."""
        return _rate(
            [text.split() for text in self.references], [text.split() for text in self.hypotheses]
        )

    @property
    def headline(self) -> str:
        """Both rates as a sentence."""
        return (
            f"Held-out character error rate {self.character_error_rate:.2%}, word error rate "
            f"{self.word_error_rate:.2%}"
        )

    def as_dict(self) -> dict:
        """Returns the measures as JSON types."""
        rates = {
            "character_error_rate": self.character_error_rate,
            "word_error_rate": self.word_error_rate,
        }
        worst = [{"is": right, "heard": heard} for right, heard in self._worst()]
        return {"report": {**rates, "count": self.count, "worst": worst}}

    def print_headline(self, batch_size: int) -> None:
        """Prints both rates as a sentence."""
        console.print(self.headline, markup=False, soft_wrap=in_one_line())

    def print_table(self) -> None:
        """Prints the transcripts with the most mistakes."""
        rows = [list(pair) for pair in self._worst()]
        if rows:
            columns = [Column(name, text=True, wraps=True) for name in ("Said", "Heard")]
            print_table(columns, rows)

    def draw(self, folder: Path) -> list[str]:
        """Returns the names of the pictures that it draws, which are none."""
        return []

    def _worst(self):
        pairs = list(zip(self.references, self.hypotheses, strict=True))
        mistakes = [inference.edit_distance(right, heard) for right, heard in pairs]
        order = np.argsort(-np.array(mistakes), kind="stable")[:_SHOWN]
        return [pairs[i] for i in order if mistakes[i]]


def measure(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable,
    characters: Sequence[str],
    known: Sequence[str] | None = None,
) -> Transcripts:
    """Returns a model's transcripts of batches of recordings.

    Args:
        predict: The model.
        batches: Batches `(waveforms, labels)` of NumPy arrays, labels padded with -1.
        characters: The character of each label.
        known: The character of each unit but the last, the blank. Defaults to `characters`.

    Raises:
        ValueError: If the model has another number of units.
    """
    known = characters if known is None else known
    right, heard, seconds = [], [], 0.0
    for waveforms, labels in batches:
        started = time.perf_counter()
        outputs = np.asarray(predict(waveforms))
        seconds += time.perf_counter() - started
        if outputs.ndim != 3 or outputs.shape[-1] != len(known) + 1:
            raise ValueError(
                f"The model outputs {outputs.shape[1:]}; the data has {len(known)} "
                "characters, and the blank in addition."
            )
        right += ["".join(characters[i] for i in row if i >= 0) for row in labels]
        heard += [answer.text(known) for answer in inference.decode_greedy(outputs)]
    return Transcripts(right, heard, seconds)


def _rate(right, heard) -> float:
    mistakes = sum(map(inference.edit_distance, right, heard))
    return mistakes / max(1, sum(map(len, right)))
