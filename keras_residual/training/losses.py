"""Cross-entropy for class numbers or mixed labels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.layers.registration import registered

KINDS = ("cross_entropy", "binary_cross_entropy")


@registered
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy for class numbers, or for proportions of classes, as for mixed images.

    With `label_smoothing` s, the target of K classes is (1 - s) · target + s / K.

    Args:
        kind: `"cross_entropy"`, over the classes, or `"binary_cross_entropy"`, separately for each
            class and averaged over the classes.
        label_smoothing: Number in [0, 1).
        from_logits: Whether the model outputs logits instead of the probabilities of softmax or,
            with `"binary_cross_entropy"`, of sigmoid.
        class_weights: Optional sequence with a weight for each class. The weight of an example is
            that of its class, or the mean of its classes by proportion.
        **kwargs: Arguments of `keras.losses.Loss`.

    Reference:
        - [Szegedy et al., 2015](https://arxiv.org/abs/1512.00567), `label_smoothing`
        - [Wightman et al., 2021](https://arxiv.org/abs/2110.00476), binary cross-entropy
    """

    def __init__(
        self,
        kind: str = "cross_entropy",
        label_smoothing: float = 0.0,
        from_logits: bool = True,
        name: str = "cross_entropy",
        class_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.kind = _checks.choice("kind", kind, KINDS)
        self.label_smoothing = _checks.real("label_smoothing", label_smoothing, 0, 1, open_end=True)
        self.from_logits = _checks.boolean("from_logits", from_logits)

        self.class_weights = None
        if class_weights is not None:
            self.class_weights = _checks.reals("class_weights", class_weights, 0, 1e6)
            if not any(self.class_weights):
                raise ValueError(
                    "`class_weights` must be positive for some class: the loss would always be 0. "
                    f"Received: class_weights={class_weights!r}"
                )

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        losses = self._unweighted(y_true, y_pred)
        if self.class_weights is None:
            return losses
        weights = ops.convert_to_tensor(self.class_weights, dtype=y_pred.dtype)
        return losses * ops.sum(as_shares(y_true, y_pred) * weights, axis=-1)

    def _unweighted(self, y_true, y_pred):
        target = as_shares(y_true, y_pred)
        classes = y_pred.shape[-1]
        target = (1 - self.label_smoothing) * target + self.label_smoothing / classes
        if self.kind == "binary_cross_entropy":
            return keras.losses.binary_crossentropy(target, y_pred, self.from_logits)
        return keras.losses.categorical_crossentropy(target, y_pred, from_logits=self.from_logits)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "label_smoothing": self.label_smoothing,
            "from_logits": self.from_logits,
            "class_weights": self.class_weights,
        }


@registered
class Accuracy(keras.metrics.MeanMetricWrapper):
    """Fraction of examples whose highest score is that of their class, or of the largest one."""

    def __init__(self, name: str = "accuracy", dtype: str | keras.DTypePolicy | None = None):
        super().__init__(hits, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


def hits(y_true, y_pred):
    """Returns 1 where the highest score is that of the right class, else 0."""
    return keras.metrics.categorical_accuracy(as_shares(y_true, y_pred), y_pred)


def as_shares(y_true, y_pred):
    """Returns `(batch, ..., classes)`: class numbers as one-hot rows, proportions unchanged."""
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == y_pred.shape[-1]:
        return ops.cast(y_true, y_pred.dtype)
    if len(y_true.shape) == len(y_pred.shape):
        y_true = ops.squeeze(y_true, -1)
    return ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
