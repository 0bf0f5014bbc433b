"""Networks that differ from each other by what weights of another library need."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from keras_residual.models.assembly import Variant

# Libraries differ in it, and weights set it.
_EPSILON = "norm_epsilon"


def twin_of(
    variant: Variant, options: Mapping[str, object], variants: Iterable[Variant]
) -> str | None:
    """Returns the name of the network that differs from a variant by some options only.

    Args:
        variant: The variant.
        options: The options that the other one has; without any there is none.
        variants: The variants to look among.
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
