"""The optimizer's update as a few operations per variable, which TensorFlow traces quickly.

Keras writes Adam's update as some thirty operations per variable, and recomputes the learning rate
and the powers of the momenta for each: for the 329 variables of a ResNet-110, tracing them takes
most of the time before the first step. Other backends do not trace, or update all variables
together.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras

_SLOTS = ("momentum", "velocity", "average")
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

        optimizer = self.optimizer
        rate = tf.cast(optimizer.learning_rate, tf.float32)
        update = self._adam(rate) if self.kind == "adam" else self._momentum(rate)
        first = tf.equal(tf.convert_to_tensor(optimizer.iterations), 0)
        momentum = tf.where(first, 0.0, optimizer.ema_momentum) if optimizer.use_ema else None
        for grad, variable in zip(grads, variables, strict=True):
            value, slots = variable.value, [slot.value for slot in self._slots[id(variable)]]
            if optimizer.weight_decay is not None and self._decays(variable):
                value.assign_sub(value * optimizer.weight_decay * rate)
            update(value, grad, slots)
            if momentum is not None:
                slots[-1].assign(momentum * slots[-1] + (1 - momentum) * value)
        optimizer.iterations.assign_add(1)

    def _decays(self, variable) -> bool:
        return self.without_decay is None or not self.without_decay.search(variable.name)

    def _momentum(self, rate):
        import tensorflow as tf

        def update(value, grad, slots):
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=value.handle,
                accum=slots[0].handle,
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
        new = [tf.constant(1 - beta, tf.float32) for beta in betas]
        epsilon = tf.constant(optimizer.epsilon, tf.float32)
        # Python operators take three times as long to trace.
        ops = tf.raw_ops

        def moved(slot, towards, share):
            old = slot.value()
            difference = ops.Mul(x=ops.Sub(x=towards, y=old), y=share)
            moved = ops.AddV2(x=old, y=difference)
            ops.AssignVariableOp(resource=slot.handle, value=moved)
            return moved

        def update(value, grad, slots):
            first = moved(slots[0], grad, new[0])
            second = moved(slots[1], ops.Square(x=grad), new[1])
            root = ops.AddV2(x=ops.Sqrt(x=second), y=epsilon)
            change = ops.RealDiv(x=ops.Mul(x=first, y=corrected), y=root)
            ops.AssignSubVariableOp(resource=value.handle, value=change)

        return update
