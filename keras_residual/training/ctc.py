"""The CTC loss, for labels without alignment."""

from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.registration import registered
from keras_residual.training.padded_labels import (
    as_matrix,
    check_batch,
    check_labels,
    checked_padding,
    known_values,
    label_lengths,
    steps_needed,
    unit_of_blank,
)
from keras_residual.training.unmasked_steps import UnmaskedSteps

ACCURATE = ("float32", "float64")


@registered
class CTC(keras.losses.Loss):
    """Connectionist temporal classification: a sequence of labels without alignment.

    loss = -log Σ P(path), over all paths that yield the labels after merging repeated units and
    removing blanks. Only unmasked steps of the outputs count, wherever they are
    (`keras.losses.CTC` counts all); labels end where the padding begins.

    Labels need a step each, and one more between equal neighbours. If a sequence has fewer steps,
    no path yields them: the loss is infinite without a gradient, or zero with `zero_infinity`.
    Outside compiled functions, where values are known, this raises an error, and so do invalid
    labels; inside, the loss of an example with invalid labels is NaN.

    Args:
        blank: Index of the blank's unit; `-1`, the default, is the last.
        padding: Negative integer that fills the labels after the last one. Defaults to `-1`.
        zero_infinity: Whether the loss of sequences too short for their labels is zero.
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch, length)`, integers: indices of units other than the blank's, then padding.
            Lists of several lengths and ragged tensors are padded.
        y_pred: `(batch, steps, units)`, logits.
        sample_weight: Optional `(batch,)`.

    Raises:
        ValueError: If an argument is out of range, the shapes do not match, a label is the blank or
            out of range, padding precedes a label, or labels are too long for their sequence.

    Example:

    >>> logits = keras.ops.zeros((1, 3, 2))
    >>> round(float(CTC()(keras.ops.array([[0, -1]]), logits)), 4)
    0.2877

    Reference:
        - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891)
    """

    def __init__(
        self,
        blank: int = -1,
        padding: int = -1,
        zero_infinity: bool = False,
        name: str = "ctc",
        dtype: str | keras.DTypePolicy | None = None,
        **kwargs: Any,
    ):
        if dtype is None and keras.config.floatx() not in ACCURATE:
            dtype = "float32"
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.blank = _checks.integer("blank", blank, minimum=-1)
        self.padding = checked_padding(padding)
        self.zero_infinity = _checks.boolean("zero_infinity", zero_infinity)
        self._unmasked_steps = UnmaskedSteps()

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        # Keras would multiply the loss of an example by the mask of its steps. The new tensor has
        # no mask.
        y_pred, steps = self._unmasked_steps(y_pred)
        y_true = as_matrix(y_true, self.padding)
        check_batch(y_true, y_pred.shape[0])
        return super().__call__((y_true, steps), y_pred, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, steps = y_true
        units = y_pred.shape[-1]
        blank = unit_of_blank(self.blank, units)
        if getattr(y_pred, "is_meta", False):
            # Keras on PyTorch needs only the shape, which the operation below cannot infer.
            return ops.zeros_like(y_pred[:, 0, 0])
        self._check_values(labels, steps, units, blank)
        lengths, wrong = label_lengths(labels, self.padding, units, blank)
        labels, steps = ops.cast(labels, "int32"), ops.cast(steps, "int32")
        impossible = steps_needed(labels, lengths) > steps
        # Labels without a path are replaced by an empty sequence of one step, which is finite on
        # every backend; its loss is replaced afterwards.
        skipped = ops.logical_or(wrong, ops.logical_or(impossible, steps == 0))
        some_unit = 0 if blank else min(1, units - 1)
        labels = ops.where(
            ops.logical_and(labels >= 0, ops.expand_dims(~skipped, -1)), labels, some_unit
        )
        losses = ops.ctc_loss(
            labels,
            ops.cast(y_pred, self.dtype),
            ops.where(skipped, 0, lengths),
            ops.maximum(steps, 1),
            mask_index=blank,
        )
        constant = 0.0 if self.zero_infinity else float("inf")
        instead = ops.where(impossible, constant, 0.0)
        instead = ops.where(wrong, float("nan"), instead)
        return ops.where(skipped, ops.cast(instead, losses.dtype), losses)

    def _check_values(self, labels, steps, units, blank):
        check_labels(labels, self.padding, units, blank)
        labels, steps = known_values(labels), known_values(steps)
        if self.zero_infinity or labels is None or steps is None:
            return
        labels = labels.astype("int32")
        lengths, _ = label_lengths(labels, self.padding, units, blank)
        needed = ops.convert_to_numpy(steps_needed(labels, lengths))
        for example in (needed > steps).nonzero()[0][:1]:
            raise ValueError(
                "`y_true` must fit into the steps of `y_pred`: a step for each label and one "
                "between equal neighbours. `zero_infinity=True` leaves such sequences out. "
                f"Received: labels that need {needed[example]} steps, and {steps[example]:g} steps"
                f" that are not masked, in example {example}"
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "blank": self.blank,
            "padding": self.padding,
            "zero_infinity": self.zero_infinity,
            "dtype": self.dtype,
        }
