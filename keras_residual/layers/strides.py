"""Strides: one number for all spatial axes, or one for each of them."""

Strides = int | tuple[int, ...]


def for_each_axis(strides: Strides, rank: int) -> tuple[int, ...]:
    """Returns the strides of each of `rank` spatial axes; raises if their number differs."""
    if isinstance(strides, int):
        return (strides,) * rank
    if len(strides) != rank:
        raise ValueError(
            f"`strides` must be an integer or have one entry for each of the {rank} spatial axes. "
            f"Received: strides={tuple(strides)}"
        )
    return tuple(strides)


def downsamples(strides: Strides) -> bool:
    """Returns whether any axis has strides above 1."""
    return strides > 1 if isinstance(strides, int) else max(strides) > 1


def check_equal(strides: Strides, argument: str, value: object) -> None:
    """Raises if strides differ between axes although another operation downsamples instead."""
    if isinstance(strides, tuple):
        raise ValueError(
            f"`strides` must be one integer for all axes with `{argument}`. "
            f"Received: strides={strides}, {argument}={value!r}"
        )
