"""Extending a tensor by its own values."""

from keras import ops


def mirrored(x, axis: int, border: int, repeat_edge: bool):
    """Pads both ends of an axis with its `border` outermost values, mirrored.

    With `repeat_edge` the edge value itself is repeated. `ops.pad` calls the two "symmetric" and
    "reflect", but supports neither for tensors of rank 5 on PyTorch.
    """
    skip = 0 if repeat_edge else 1
    window, sides = [slice(None)] * len(x.shape), []
    for side in (slice(skip, skip + border), slice(-border - skip, -skip or None)):
        window[axis] = side
        values = x[tuple(window)]
        # No delegate of a phone reverses; one value needs no reversing.
        sides.append(values if border == 1 else ops.flip(values, axis))
    return ops.concatenate([sides[0], x, sides[1]], axis)
