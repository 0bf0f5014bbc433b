"""Argument checks of recurrent stacks; each raises a ValueError."""

from typing import Any

from keras_residual._words import counted

_STATES = ("an h", "a c")


def sequence_shape(shape) -> tuple[Any, ...]:
    """Returns `(batch, time, features)`, or raises if `shape` is something else."""
    shape = tuple(shape)
    if len(shape) != 3 or shape[2] is None:
        raise ValueError(
            "`sequences` must have rank 3, (batch, time, features), with a known number of "
            f"features. Received: a shape of {shape}"
        )
    return shape


def mask_shape(mask, sequences):
    """Raises if the shape of `mask` is not `(batch, time)` of `sequences`."""
    expected, received = tuple(sequences.shape[:2]), _shape("mask", mask)
    if not _agree(received, expected):
        raise ValueError(
            f"`mask` must have the shape (batch, time) of the sequences, {expected}. "
            f"Received: a mask of shape {received}"
        )


def state_shapes(name: str, states, batch, layer):
    """Raises if `states` is not a sequence of tensors `(batch, units)`, all that a stack has."""
    units, count = layer.units, layer.state_count
    if not isinstance(states, (list, tuple)):
        raise ValueError(
            f"`{name}` must be a list of {count} tensors. Received: {type(states).__name__}"
        )
    if len(states) != count:
        raise ValueError(
            f"`{name}` must hold {counted(count, 'tensor')}, "
            f"{' and '.join(_STATES[: len(layer.state_dtypes)])} for each layer and direction. "
            f"Received: {counted(len(states), 'tensor')}"
        )
    for index, state in enumerate(states):
        shape = _shape(f"{name}[{index}]", state)
        if not _agree(shape, (batch, units)):
            raise ValueError(
                f"`{name}[{index}]` must have the shape {(batch, units)}. "
                f"Received: a shape of {shape}"
            )


def step_shape(inputs, width=None):
    """Raises if `inputs` is not one step, `(batch, width)`."""
    if not _agree(tuple(inputs.shape), (None, width)):
        raise ValueError(
            f"`inputs` must be one step, (batch, {width or 'features'}). "
            f"Received: a shape of {tuple(inputs.shape)}"
        )


def checked_mask(
    layer, sequences, initial_state=None, mask=None, training=False, sequences_mask=None
):
    """Returns the mask of a call of a recurrent stack, or raises if an argument is wrong."""
    mask = sequences_mask if mask is None else mask
    batch, time = sequences.shape[:2]
    if mask is not None:
        mask_shape(mask, sequences)
    if layer.unroll and time is None:
        raise ValueError(
            "`unroll=True` needs a known number of time steps. "
            f"Received: sequences of shape {tuple(sequences.shape)}"
        )
    if initial_state is not None:
        state_shapes("initial_state", initial_state, batch, layer)
    elif layer.stateful and not _agree((batch,), layer.states[0].shape[:1]):
        raise ValueError(
            "A stateful layer takes batches of the size it was built with, "
            f"{layer.states[0].shape[0]}. Received: a batch of {batch}"
        )
    return mask


def _shape(name, value):
    if not hasattr(value, "shape"):
        raise ValueError(f"`{name}` must be a tensor or an array. Received: {name}={value!r}")
    return tuple(value.shape)


def _agree(received, expected):
    return len(received) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(received, expected, strict=True)
    )
