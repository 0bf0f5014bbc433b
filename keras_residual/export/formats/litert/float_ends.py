"""Quantized sequence models in parts, of which the first and the last stay in floating point.

The powers of a spectrogram exceed the range of 8 bits, a step that is almost zero must not become
padding, and logits of masked steps, far below the others, would take their range.
"""

import keras

from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.layers.lstm.step_masks import CertainBlank, TrailingPadding

_OF_INPUTS = (LogMelSpectrogram, TrailingPadding, keras.layers.Masking)
_FRONT, _NETWORK, _END = range(3)


def parts_of(model: keras.Model) -> list[keras.Model]:
    """Returns a model as up to three: spectrogram and masks, the network, and certain blanks.

    Args:
        model: A functional model with dicts of inputs, `"sequences"` and states, and of outputs.

    Returns:
        Models that, one after the other, give the same outputs. Each takes by name what the model
        or an earlier part gives. The network's name is that of the model.
    """
    place = _places(model)
    parts = {id(t): part for op, part in place for t in keras.tree.flatten(op.output)}
    names = {id(tensor): name for name, tensor in model.input.items()}
    taken, given = ({part: {} for part in (_FRONT, _NETWORK, _END)} for _ in range(2))
    for operation, part in place:
        for tensor in keras.tree.flatten(operation.input):
            source = parts.get(id(tensor))
            if source != part:
                name = names.setdefault(id(tensor), f"between_{len(names)}")
                taken[part][name] = tensor
                if source is not None:
                    given[source][name] = tensor
    for name, tensor in model.output.items():
        given[parts[id(tensor)]][name] = tensor
    return [
        _model(taken[part], given[part], model.name if part == _NETWORK else f"end_{part}")
        for part in (_FRONT, _NETWORK, _END)
        if given[part]
    ]


def _model(taken, given, name):
    inner = keras.Model(list(taken.values()), given, name=name)
    inputs = {
        key: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=key)
        for key, tensor in taken.items()
    }
    return keras.Model(inputs, inner(list(inputs.values())), name=name)


def network_of(parts: list[keras.Model]) -> int:
    """Returns the index of the network among the parts of a model."""
    return next(index for index, part in enumerate(parts) if part.trainable_weights)


def _places(model):
    """Returns each operation with the part that it belongs to."""
    ends = {id(tensor) for tensor in model.outputs}
    behind = {id(tensor) for name, tensor in model.input.items() if name != "sequences"}
    found = []
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        # Operations that are no layers compute masks.
        early = isinstance(operation, _OF_INPUTS) or not isinstance(operation, keras.layers.Layer)
        if early and behind.isdisjoint(map(id, keras.tree.flatten(operation.input))):
            found.append((operation, _FRONT))
            continue
        last = isinstance(operation, CertainBlank) and id(operation.output) in ends
        found.append((operation, _END if last else _NETWORK))
        behind |= {id(tensor) for tensor in keras.tree.flatten(operation.output)}
    return found
