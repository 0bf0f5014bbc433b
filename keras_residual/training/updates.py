"""The optimizer's update as a few operations per variable, which TensorFlow traces quickly.

Keras writes Adam's update as some thirty operations per variable, and recomputes the learning rate
and the powers of the momenta for each: for the 329 variables of a ResNet-110, tracing them takes
most of the time before the first step. Other backends do not trace, or update all variables
together.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras

_SLOTS = ("momentum", "velocity", "average")
# Elements of the largest variables that are updated together: copying larger ones takes longer
# than the operations that it saves.
_LARGEST_STACKED = 2**14
# Attributes of an optimizer that add further operations to the update.
_PLAIN = (
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "gradient_accumulation_steps",
    "loss_scale_factor",
    "ema_overwrite_frequency",
)


def fuse_updates(optimizer: keras.optimizers.Optimizer, without_decay: Sequence[str] = ()) -> None:
    """Makes an optimizer update each variable in a few operations, if possible.

    Supported on TensorFlow, on one device, for SGD with momentum, Adam and AdamW without clipped or
    accumulated gradients. The values equal those of Keras' own update bit for bit, except for
    weight decay, whose factors TensorFlow's graphs may multiply in another order. Saved files and
    the configuration are unchanged.

    Args:
        optimizer: The optimizer. Its `apply` is replaced.
        without_decay: Patterns of the names of variables without weight decay, as given to
            `exclude_from_weight_decay`.
    """
    kind = _kind(optimizer)
    if keras.backend.backend() != "tensorflow" or kind is None:
        return
    fused, plain = _Fused(optimizer, kind, without_decay), optimizer.apply

    def apply(grads, trainable_variables=None):
        grads = list(grads)
        if trainable_variables is None or not fused.takes(grads, list(trainable_variables)):
            return plain(grads, trainable_variables)
        return fused.apply(grads, list(trainable_variables))

    optimizer.apply = apply


def slots_of(
    optimizer: keras.optimizers.Optimizer, variables: Iterable[keras.Variable]
) -> dict[int, dict[str, keras.Variable]]:
    """Returns what a built optimizer keeps for each variable.

    Args:
        optimizer: A built optimizer.
        variables: The variables that it updates, and maybe others.

    Returns:
        By the `id` of a variable, those of `"momentum"`, `"velocity"` and `"average"` that there
        are and whose names tell whose they are.
    """
    named = {}
    for variable in optimizer.variables:
        named.setdefault(variable.name, []).append(variable)
    slots = {}
    for variable in variables:
        name = variable.path.replace("/", "_")
        found = {slot: named.get(f"{name}_{slot}", []) for slot in _SLOTS}
        slots[id(variable)] = {slot: each[0] for slot, each in found.items() if len(each) == 1}
    return {number: found for number, found in slots.items() if found}


def _kind(optimizer):
    """Returns the update operation of an optimizer, `None` if it is not supported."""
    if any(getattr(optimizer, name) for name in _PLAIN):
        return None
    if type(optimizer) is keras.optimizers.SGD and optimizer.momentum:
        return "momentum"
    adam = type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
    return "adam" if adam and not optimizer.amsgrad else None


class _Fused:
    """The update of all variables of one optimizer."""

    def __init__(self, optimizer, kind, without_decay):
        self.optimizer, self.kind = optimizer, kind
        self.without_decay = re.compile("|".join(without_decay)) if without_decay else None
        self._slots = None

    def takes(self, grads, variables) -> bool:
        """Returns whether all variables can be updated this way."""
        import tensorflow as tf

        if not self.optimizer.built or tf.distribute.has_strategy():
            return False
        if self._slots is None:
            self._slots = self._found_slots(variables)
        return all(
            isinstance(grad, tf.Tensor)
            and variable.dtype == "float32"
            and variable.constraint is None
            and not variable.overwrite_with_gradient
            and id(variable) in self._slots
            for grad, variable in zip(grads, variables, strict=True)
        )

    def _found_slots(self, variables) -> dict[int, list[Any]]:
        """Returns the optimizer's variables for each variable of the model, by their names."""
        wanted = ["momentum", "velocity"] if self.kind == "adam" else ["momentum"]
        wanted += ["average"] if self.optimizer.use_ema else []
        return {
            number: [found[name] for name in wanted]
            for number, found in slots_of(self.optimizer, variables).items()
            if set(wanted) <= set(found)
        }

    def apply(self, grads, variables) -> None:
        """Updates the variables, their averages and the number of the step."""
        import tensorflow as tf

        optimizer, ops = self.optimizer, tf.raw_ops
        rate = tf.cast(optimizer.learning_rate, tf.float32)
        update = self._adam(rate) if self.kind == "adam" else self._momentum(rate)
        decay = tf.constant(optimizer.weight_decay or 0.0, tf.float32)
        first = tf.equal(tf.convert_to_tensor(optimizer.iterations), 0)
        old_share = tf.where(first, 0.0, optimizer.ema_momentum) if optimizer.use_ema else None
        new_share = 1 - old_share if optimizer.use_ema else None
        for places in self._groups(variables):
            values = [variables[place].value for place in places]
            slots = [self._slots[id(variables[place])] for place in places]
            slots = [[slot.value for slot in each] for each in zip(*slots, strict=True)]
            if self._decays(variables[places[0]]):
                lost = ops.Mul(x=ops.Mul(x=_stacked(values), y=decay), y=rate)
                _assign(ops.AssignSubVariableOp, values, lost)
            update(values, [grads[place] for place in places], slots)
            if optimizer.use_ema:
                old = ops.Mul(x=old_share, y=_stacked(slots[-1]))
                new = ops.Mul(x=new_share, y=_stacked(values))
                _assign(ops.AssignVariableOp, slots[-1], ops.AddV2(x=old, y=new))
        optimizer.iterations.assign_add(1)

    def _groups(self, variables) -> list[list[int]]:
        """Returns the places of variables that are updated together, as one stacked array.

        A deep network has hundreds of small variables of a few shapes.
        """
        groups = {}
        for place, variable in enumerate(variables):
            small = math.prod(variable.shape) <= _LARGEST_STACKED
            key = (tuple(variable.shape), self._decays(variable)) if small else place
            groups.setdefault(key, []).append(place)
        return list(groups.values())

    def _decays(self, variable) -> bool:
        if self.optimizer.weight_decay is None:
            return False
        return self.without_decay is None or not self.without_decay.search(variable.name)

    def _momentum(self, rate):
        import tensorflow as tf

        def update(values, grads, slots):
            for value, grad, slot in zip(values, grads, slots[0], strict=True):
                tf.raw_ops.ResourceApplyKerasMomentum(
                    var=value.handle,
                    accum=slot.handle,
                    lr=rate,
                    grad=grad,
                    momentum=float(self.optimizer.momentum),
                    use_nesterov=self.optimizer.nesterov,
                )

        return update

    def _adam(self, rate):
        import tensorflow as tf

        optimizer = self.optimizer
        step = tf.cast(optimizer.iterations + 1, tf.float32)
        betas = [float(optimizer.beta_1), float(optimizer.beta_2)]
        powers = [tf.pow(tf.constant(beta), step) for beta in betas]

        corrected = rate * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        shares = [tf.constant(1 - beta, tf.float32) for beta in betas]
        epsilon = tf.constant(optimizer.epsilon, tf.float32)
        # Python operators take three times as long to trace.
        ops = tf.raw_ops

        def moved(slots, towards, share):
            old = _stacked(slots)
            difference = ops.Mul(x=ops.Sub(x=towards, y=old), y=share)
            moved = ops.AddV2(x=old, y=difference)
            _assign(ops.AssignVariableOp, slots, moved)
            return moved

        def update(values, grads, slots):
            grad = grads[0] if len(grads) == 1 else ops.Pack(values=grads)
            first = moved(slots[0], grad, shares[0])
            second = moved(slots[1], ops.Square(x=grad), shares[1])
            root = ops.AddV2(x=ops.Sqrt(x=second), y=epsilon)
            change = ops.RealDiv(x=ops.Mul(x=first, y=corrected), y=root)
            _assign(ops.AssignSubVariableOp, values, change)

        return update


def _stacked(variables):
    """Returns the values of variables stacked on a new axis, that of one variable as it is."""
    import tensorflow as tf

    # A variable's method takes longer to trace.
    read = tf.raw_ops.ReadVariableOp
    values = [read(resource=each.handle, dtype=each.dtype) for each in variables]
    return values[0] if len(values) == 1 else tf.raw_ops.Pack(values=values)


def _assign(operation, variables, value):
    """Runs an operation that assigns for each variable with its part of a stacked value."""
    import tensorflow as tf

    count = len(variables)
    parts = [value] if count == 1 else tf.raw_ops.Unpack(value=value, num=count)
    for variable, part in zip(variables, parts, strict=True):
        operation(resource=variable.handle, value=part)
