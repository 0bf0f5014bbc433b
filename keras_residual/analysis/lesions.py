"""Lesion studies: the accuracy of a trained network with blocks deleted or exchanged."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._types import Tensor
from keras_residual.analysis.blocks import Block, blocks_of, replaced


@dataclass(frozen=True)
class Lesion:
    """One damaged network.

    Attributes:
        blocks: Names of the blocks that were deleted or exchanged.
        accuracy: The accuracy of the damaged network.
    """

    blocks: tuple[str, ...]
    accuracy: float


@dataclass(frozen=True)
class LesionStudy:
    """The dependence of a network's accuracy on its blocks, their number and order.

    Attributes:
        intact: Accuracy of the whole network.
        single: One lesion for each block that can be deleted alone.
        deleted: Lesions by the number of blocks deleted at random.
        exchanged: Lesions by the number of random swaps of the weights of two equal-shaped blocks.
        undeletable: Names of blocks that cannot be deleted: in a plain network those that change
            the shape.
    """

    intact: float
    single: list[Lesion]
    deleted: dict[int, list[Lesion]]
    exchanged: dict[int, list[Lesion]]
    undeletable: tuple[str, ...]


def lesion_study(
    model: keras.Model,
    x: Tensor,
    y: Tensor,
    *,
    counts: tuple[int, ...] = (1, 2, 3, 4, 5),
    draws: int = 5,
    batch_size: int = 128,
    seed: int = 0,
) -> LesionStudy:
    """Deletes and exchanges blocks of a trained classifier and measures its accuracy each time.

    A deleted residual block is reduced to its shortcut, a deleted unit of a dense block appends
    zeros, and a deleted block of a plain network becomes the identity. Only weights are changed,
    and restored afterwards; scanned stages are supported.

    Args:
        model: A trained classifier with residual stages or dense blocks of this package.
        x: Inputs.
        y: Integer labels.
        counts: Numbers of blocks to delete, or of different pairs to exchange, at random. Numbers
            larger than that of blocks or pairs are ignored.
        draws: Positive integer, number of random draws for each of them.
        batch_size: Positive integer.
        seed: Integer.

    Returns:
        A `LesionStudy`.

    Raises:
        ValueError: If the model has no blocks or no class scores, or no block can be deleted.

    Example:

    >>> study = lesion_study(model, images, labels)  # doctest: +SKIP
    >>> study.intact, min(lesion.accuracy for lesion in study.single)  # doctest: +SKIP
    (0.99, 0.31)

    Reference:
        - [Veit et al., 2016](https://arxiv.org/abs/1605.06431)
    """
    counts, draws = _checks.integers("counts", counts), _checks.integer("draws", draws)
    blocks = blocks_of(model)
    x, y = _checked(model, x, y)
    draw = np.random.default_rng(_checks.seed(seed))

    def accuracy():
        return float(np.mean(model.predict(x, batch_size, verbose=0).argmax(-1) == y))

    def damaged(weights):
        with replaced(weights):
            return Lesion(tuple(block.name for block in weights), accuracy())

    deletions = {block: block.deleted_weights() for block in blocks}
    deletable = [block for block in blocks if deletions[block] is not None]
    if not deletable:
        raise ValueError(
            "`model` must have a block that can be deleted; of a plain network of bottlenecks or "
            f"with pre-activation they cannot be replaced. Received: {model.name!r}"
        )

    def deleted(count):
        chosen = draw.choice(len(deletable), count, replace=False)
        return damaged({deletable[n]: deletions[deletable[n]] for n in sorted(chosen)})

    pairs = _exchangeable(blocks)
    return LesionStudy(
        accuracy(),
        [damaged({block: deletions[block]}) for block in deletable],
        {n: [deleted(n) for _ in range(draws)] for n in counts if n <= len(deletable)},
        {
            n: [damaged(_exchanged(pairs, n, draw)) for _ in range(draws)]
            for n in counts
            if n <= len(pairs)
        },
        tuple(block.name for block in blocks if deletions[block] is None),
    )


def _checked(model, x, y):
    x, y = np.asarray(x), np.asarray(y)
    if len(x) != len(y) or not len(x) or y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(
            "`x` and `y` must be as many inputs and integer labels. "
            f"Received: shapes {x.shape} and {y.shape}, labels of {y.dtype}"
        )
    if len(model.output_shape) != 2 or y.max() >= model.output_shape[-1]:
        raise ValueError(
            "`model` must output a score for each class of `y`. "
            f"Received: outputs of {model.output_shape[1:]} and labels up to {y.max()}"
        )
    return x, y


def _exchangeable(blocks: list[Block]) -> list[tuple[Block, Block]]:
    """Returns pairs of different blocks of one stage whose weights have the same shapes."""
    shapes = {block: block.shapes for block in blocks}
    return [
        (first, second)
        for position, first in enumerate(blocks)
        for second in blocks[position + 1 :]
        if first.owner is second.owner and shapes[first] == shapes[second]
    ]


def _exchanged(pairs, count, draw):
    weights = {}
    for number in draw.choice(len(pairs), count, replace=False):
        first, second = pairs[number]
        one = weights.get(first) or first.get_weights()
        other = weights.get(second) or second.get_weights()
        weights[first], weights[second] = other, one
    return weights
