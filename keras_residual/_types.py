"""Types that annotations share."""

from collections.abc import Callable
from typing import Any, TypeAlias

# A tensor of the backend, a `keras.KerasTensor`, or what `keras.ops.convert_to_tensor` takes: the
# backends' types have no common base that is public.
Tensor: TypeAlias = Any
# Sizes with the batch first; `None` for one that is not known.
Shape: TypeAlias = tuple[int | None, ...]
# What Keras' `get` functions take: a name, a configuration or the object itself.
Identifier: TypeAlias = str | dict[str, Any] | Callable[..., Any]
# A `matplotlib.figure.Figure`, of a package that is imported where it draws.
Figure: TypeAlias = Any
