"""Finds the named network that a combination of options amounts to."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from keras_residual.models.assembly import Variant

# Libraries differ in it, and published weights set it.
_EPSILON = "norm_epsilon"


def twin_of(
    variant: Variant, options: Mapping[str, object], variants: Iterable[Variant]
) -> str | None:
    """Returns the name of the network that equals a variant with some options changed, or `None`.

    Args:
        variant: The variant.
        options: The changed options; without any the result is `None`.
        variants: The candidates.
    """
    ours = variant.architecture
    for other in variants if options else ():
        theirs = other.architecture
        if other is variant or type(theirs) is not type(ours):
            continue
        free = {name: getattr(ours, name) for name in (*options, _EPSILON) if hasattr(ours, name)}
        has = all(getattr(theirs, name) == value for name, value in options.items())
        if has and replace(theirs, **free) == ours:
            return other.name
    return None
