"""Types that annotations share."""

from collections.abc import Callable
from typing import Any, TypeAlias

# A backend tensor, a `keras.KerasTensor`, or what `keras.ops.convert_to_tensor` accepts: the
# backends' types have no public base in common.
Tensor: TypeAlias = Any
# Sizes with the batch first; `None` for an unknown one.
Shape: TypeAlias = tuple[int | None, ...]
# What the `get` functions of Keras accept: a name, a configuration or the object itself.
Identifier: TypeAlias = str | dict[str, Any] | Callable[..., Any]
# A `matplotlib.figure.Figure`, of a package that is imported where it draws.
Figure: TypeAlias = Any
