"""The size of the gradient at every depth."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_residual._types import Identifier, Tensor
from keras_residual.analysis._differentiation import reduced_gradients


@dataclass(frozen=True)
class LayerGradient:
    """The gradient of one kernel.

    Attributes:
        name: The kernel's path; of a stage with its block, as in `"stage1/block2/conv1"`.
        depth: Number of kernels before it on the main path from the input.
        norm: Euclidean norm of the gradient of the mean loss.
        relative: The norm divided by that of the kernel.
    """

    name: str
    depth: int
    norm: float
    relative: float


def gradient_flow(
    model: keras.Model, x: Tensor, y: Tensor, loss: Identifier | None = None
) -> list[LayerGradient]:
    """Returns the norm of the loss's gradient for each kernel, from the input to the output.

    Batch normalization uses batch statistics, as in training, but the model is not changed. The
    gradients are reduced to their norms in the compiled step that computes them; in a scanned stage
    each block is measured separately. Kernels of shortcuts are not on the main path and left out.

    Args:
        model: A built model.
        x: A batch of inputs.
        y: Its labels or targets.
        loss: A Keras loss or its name. Defaults to cross-entropy if `y` are integers, else to the
            mean squared error.

    Returns:
        A `LayerGradient` for each kernel.

    Raises:
        ValueError: If the model is not built, has no kernels, or `x` and `y` do not fit it.

    Example:

    >>> flow = gradient_flow(model, images, labels)  # doctest: +SKIP
    >>> flow[0].norm / flow[-1].norm  # doctest: +SKIP
    0.83
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    x, y = checked_batch(model, x, y)
    loss = default_loss(model, y) if loss is None else keras.losses.get(loss)
    kernels = [
        index for index, weight in enumerate(model.trainable_variables) if _is_on_the_way(weight)
    ]
    if not kernels:
        raise ValueError(f"`model` must have kernels. Received: {model.name!r}")
    variables = model.trainable_variables
    others = [ops.copy(variable.value) for variable in model.non_trainable_variables]

    def loss_of(values):
        outputs, _ = model.stateless_call(values, others, x, training=True)
        return ops.mean(loss(y, outputs))

    def reduce(index, gradient):
        return _norms(variables[index], gradient) if index in kernels else ops.zeros(())

    norms = reduced_gradients(loss_of, reduce)([variable.value for variable in variables])
    sizes = [ops.convert_to_numpy(_norms(variables[k], variables[k].value)) for k in kernels]
    return _rows(model.name, [variables[k] for k in kernels], [norms[k] for k in kernels], sizes)


def default_loss(model: keras.Model, y) -> keras.losses.Loss:
    """Returns cross-entropy for integers, from logits if the model has no softmax."""
    if not keras.backend.is_int_dtype(keras.backend.standardize_dtype(y.dtype)):
        return keras.losses.MeanSquaredError()
    activation = getattr(model.layers[-1], "activation", None)
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=activation is not keras.activations.softmax
    )


def checked_batch(model, x, y) -> tuple[Any, ...]:
    """Returns a batch as tensors, or raises a ValueError if it does not fit the model."""
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    expected = model.input_shape[1:]
    fits = len(x.shape) == len(expected) + 1 and all(
        size in (None, given) for size, given in zip(expected, x.shape[1:], strict=True)
    )
    if not fits or x.shape[0] != y.shape[0] or not x.shape[0]:
        raise ValueError(
            f"`x` must be a batch of inputs {tuple(expected)}, and `y` as long. "
            f"Received: shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return x, y


def _is_on_the_way(weight) -> bool:
    return weight.name.endswith("kernel") and "shortcut" not in weight.path


def _is_stacked(weight) -> bool:
    """Returns whether a weight belongs to a scanned stage, stacked over its blocks."""
    return weight.path.split("/")[-2] == "equal"


def _norms(weight, tensor):
    axes = tuple(range(1, len(weight.shape))) if _is_stacked(weight) else None
    return ops.sqrt(ops.sum(ops.square(ops.cast(tensor, "float32")), axis=axes))


def _rows(model, weights, norms, sizes):
    rows = []
    stages = [weight.path.rpartition("/")[0] for weight in weights]
    for position, (weight, norm, size) in enumerate(zip(weights, norms, sizes, strict=True)):
        if not _is_stacked(weight):
            rows.append(((position, 0, 0), stages[position], float(norm), float(size)))
            continue
        # Sorted block by block: a stacked kernel holds those of all blocks.
        first = stages.index(stages[position])
        role = weight.name.removesuffix("_conv_kernel")
        for block, (n, s) in enumerate(zip(norm, size, strict=True), start=2):
            name = f"{stages[position]}/block{block}/{role}"
            rows.append(((first, block, position), name, float(n), float(s)))
    rows.sort(key=lambda row: row[0])
    return [
        LayerGradient(_shortened(name, model), depth, norm, norm / max(size, 1e-30))
        for depth, (_, name, norm, size) in enumerate(rows)
    ]


def _shortened(path: str, model: str) -> str:
    """Shortens a path to its informative parts, as in `stage1/block2/conv1`."""
    return "/".join(part for part in path.split("/") if part not in (model, "equal", "conv"))
