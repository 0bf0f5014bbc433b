"""Error rates of transcripts: of characters and of words."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.registration import registered
from keras_residual.training.ctc import ACCURATE
from keras_residual.training.edit_distance import best_labels, edit_distance, words
from keras_residual.training.padded_labels import (
    as_matrix,
    check_batch,
    check_labels,
    checked_padding,
    label_lengths,
    unit_of_blank,
)
from keras_residual.training.unmasked_steps import UnmaskedSteps


class _ErrorRate(keras.metrics.Metric):
    """Errors in the most probable transcripts, relative to the length of the true ones."""

    def __init__(
        self,
        blank: int = -1,
        padding: int = -1,
        name: str | None = None,
        dtype: str | keras.DTypePolicy | None = None,
    ):
        # Sums of counts, which 16 bits would not hold.
        if dtype is None and keras.config.floatx() not in ACCURATE:
            dtype = "float32"
        super().__init__(name=name, dtype=dtype)
        self.blank = _checks.integer("blank", blank, minimum=-1)
        self.padding = checked_padding(padding)
        self._unmasked_steps = UnmaskedSteps()
        self.mistakes = self.add_variable((), "zeros", self.dtype, name="mistakes")
        self.tokens = self.add_variable((), "zeros", self.dtype, name="tokens")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Counts the errors of a batch.

        Args:
            y_true: `(batch, length)`, integers, padded at the end; also lists or a ragged tensor.
            y_pred: `(batch, steps, units)`, logits or probabilities; masked steps are ignored.
            sample_weight: Optional `(batch,)`.
        """
        y_pred, steps = self._unmasked_steps(y_pred)
        y_true = ops.convert_to_tensor(as_matrix(y_true, self.padding))
        check_batch(y_true, y_pred.shape[0])
        units = y_pred.shape[-1]
        blank = unit_of_blank(self.blank, units)
        check_labels(y_true, self.padding, units, blank)
        lengths, _ = label_lengths(y_true, self.padding, units, blank)
        found = self._tokens(*best_labels(y_pred, steps, blank))
        right, lengths = self._tokens(ops.cast(y_true, "int32"), lengths)
        mistakes = ops.cast(edit_distance(*found, right, lengths), self.dtype)
        lengths = ops.cast(lengths, self.dtype)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
            mistakes, lengths = mistakes * weights, lengths * weights
        self.mistakes.assign_add(ops.sum(mistakes))
        self.tokens.assign_add(ops.sum(lengths))

    def _tokens(self, labels, lengths):
        return labels, lengths

    def result(self) -> Tensor:
        return ops.divide_no_nan(self.mistakes, self.tokens)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "blank": self.blank,
            "padding": self.padding,
        }


@registered
class CharacterErrorRate(_ErrorRate):
    """Character error rate of the most probable transcripts of CTC outputs.

    (insertions + deletions + substitutions) / characters of the true transcripts, over all batches;
    0 if these have none. It may exceed 1.

    Args:
        blank: Number of the unit of the blank; `-1`, the default, is the last.
        padding: Negative integer after the last label. Defaults to `-1`.
        name: Name of the metric.
        dtype: Its dtype.

    Example:

    >>> metric = CharacterErrorRate()
    >>> metric.update_state(keras.ops.array([[0, 1]]), keras.ops.eye(3)[None, :1])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        blank: int = -1,
        padding: int = -1,
        name: str = "character_error_rate",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(blank, padding, name, dtype)


@registered
class WordErrorRate(_ErrorRate):
    """Word error rate of the most probable transcripts of CTC outputs.

    The same as `CharacterErrorRate` for the words between two separators.

    Args:
        separator: Index of the label between words, such as that of `" "` among the characters;
            `None` if each label is a word. Defaults to `None`.
        blank: Number of the unit of the blank; `-1`, the default, is the last.
        padding: Negative integer after the last label. Defaults to `-1`.
        name: Name of the metric.
        dtype: Its dtype.

    Example:

    >>> metric = WordErrorRate(separator=1)
    >>> metric.update_state(keras.ops.array([[0, 1, 2, 2]]), keras.ops.eye(4)[None, :3])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        separator: int | None = None,
        blank: int = -1,
        padding: int = -1,
        name: str = "word_error_rate",
        dtype: str | keras.DTypePolicy | None = None,
    ):
        super().__init__(blank, padding, name, dtype)
        self.separator = separator
        if separator is not None:
            self.separator = _checks.integer("separator", separator, minimum=0)

    def _tokens(self, labels, lengths):
        if self.separator is None:
            return labels, lengths
        return words(labels, lengths, self.separator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "separator": self.separator}
