"""The Levenshtein distance of token sequences: insertions, deletions and substitutions."""

from keras import ops

# Words are compared by four remainders, small enough that products of two, and their sums over all
# steps, stay within int32.
_PRIMES = (32719, 32713, 32707, 32693)
_BASES = (263, 1087, 4099, 9973)
_BITS_OF_PLACES = 16


def best_labels(scores, steps, blank: int):
    """Returns the labels of the most probable path, and their number.

    Args:
        scores: `(batch, steps, units)`, logits or probabilities.
        steps: `(batch,)`, number of valid steps at the beginning.
        blank: Index of the blank's unit.

    Returns:
        `(batch, steps)` int32, labels first, and `(batch,)` int32.
    """
    path = ops.cast(ops.argmax(scores, axis=-1), "int32")
    before = ops.concatenate([ops.full_like(path[:, :1], -1), path[:, :-1]], axis=1)
    inside = _places(path) < ops.expand_dims(steps, -1)
    return in_front(path, inside & (path != blank) & (path != before))


def in_front(tokens, kept):
    """Moves the kept tokens to the front, and returns them with their number.

    Args:
        tokens: `(batch, length, ...)`.
        kept: `(batch, length)` booleans.
    """
    kept = ops.cast(kept, "int32")
    places = _places(kept) + (1 - kept) * ops.shape(kept)[1]
    order = ops.argsort(places, axis=1)
    order = ops.reshape(order, (*ops.shape(order), *[1] * (len(tokens.shape) - 2)))
    return ops.take_along_axis(tokens, order, axis=1), ops.sum(kept, axis=1)


def words(labels, lengths, separator: int):
    """Returns the words between separators as tokens that are equal for equal words.

    A word is hashed to four remainders, which collide with a probability of 1e-18.

    Args:
        labels: `(batch, length)` int32.
        lengths: `(batch,)`.
        separator: The label between words; repeated ones count once, those at an end are ignored.

    Returns:
        `(batch, length, 4)` int32, words first, and their number.
    """
    places = _places(labels)
    inside = (places < ops.expand_dims(lengths, -1)) & (labels != separator)
    primes = ops.reshape(ops.convert_to_tensor(_PRIMES, dtype="int32"), (1, 1, -1))
    # A word is a number whose digits are its labels, from 1, so that leading ones count.
    digits = ops.expand_dims(ops.where(inside, labels + 1, 0), -1)
    sums = ops.cumsum(ops.mod(digits * _powers(places), primes), axis=1)
    last = inside & ~ops.concatenate([inside[:, 1:], ops.zeros_like(inside[:, :1])], axis=1)
    ends, count = in_front(sums, last)
    words_before = ops.concatenate([ops.zeros_like(ends[:, :1]), ends[:, :-1]], axis=1)
    places, _ = in_front(places, last)
    # Aligned to the same last position.
    moved = ops.mod(ends - words_before, primes) * _powers(2**_BITS_OF_PLACES - 1 - places)
    return ops.mod(moved, primes), count


def _powers(exponents):
    """Returns each base to the power of each exponent, `(batch, length, 4)`, as remainders."""
    columns = []
    for base, prime in zip(_BASES, _PRIMES, strict=True):
        power = ops.ones_like(exponents)
        for bit in range(_BITS_OF_PLACES):
            factor = ops.where(exponents // 2**bit % 2 == 1, pow(base, 2**bit, prime), 1)
            power = power * ops.cast(factor, "int32") % prime
        columns.append(power)
    return ops.stack(columns, axis=-1)


def edit_distance(tokens, lengths, other, other_lengths):
    """Returns the Levenshtein distance of each pair, `(batch,)` int32.

    The table of distances is filled along its anti-diagonals; each depends on the two before it.

    Args:
        tokens: `(batch, length, parts)` or `(batch, length)` integers.
        lengths: `(batch,)`, number of valid tokens.
        other: The same with another length.
        other_lengths: `(batch,)`.
    """
    columns = ops.cumsum(ops.ones_like(_padded_front(other)), axis=1) - 1
    total = ops.expand_dims(lengths + other_lengths, -1)
    at_end = columns == ops.expand_dims(other_lengths, -1)
    far = 1 + ops.shape(tokens)[1] + ops.shape(other)[1]
    # A token that does not count, where there is none.
    tokens = ops.pad(tokens, [(0, 0), (0, 1), *[(0, 0)] * (len(tokens.shape) - 2)])

    def step(number, carry):
        last, before, result = carry
        rows = number - columns
        place = ops.clip(rows - 1, 0, ops.shape(tokens)[1] - 1)
        differs = _differs(tokens, place, other)
        new = ops.minimum(
            ops.minimum(last, _shifted(last, far)) + 1, _shifted(before, far) + differs
        )
        new = ops.where((rows == 0) | (columns == 0), number, new)
        new = ops.where(rows < 0, far, new)
        result = ops.where((total == number) & at_end, new, result)
        return new, last, result

    zeros = ops.zeros_like(columns)
    first = ops.where(columns == 0, zeros, far + zeros)
    carry = (first, far + zeros, zeros)
    _, _, result = ops.fori_loop(1, far, step, carry)
    return ops.sum(ops.where(at_end, result, zeros), axis=1)


def _places(tokens):
    """Returns the position of each token, `(batch, length)` int32."""
    return ops.cumsum(ops.ones_like(tokens, dtype="int32"), axis=1) - 1


def _padded_front(other):
    """Returns ones for the positions before, between and after the tokens."""
    other = ops.reshape(other, (*ops.shape(other)[:2], -1))[..., 0]
    ones = ops.ones_like(other, dtype="int32")
    return ops.pad(ones, [(0, 0), (1, 0)])


def _shifted(row, filler):
    return ops.concatenate([ops.full_like(row[:, :1], 0) + filler, row[:, :-1]], axis=1)


def _differs(tokens, place, other):
    """Returns 1 where the token at `place` differs from that of the column, else 0."""
    if len(tokens.shape) == 2:
        tokens, other = ops.expand_dims(tokens, -1), ops.expand_dims(other, -1)
    own = ops.take_along_axis(tokens, ops.expand_dims(place[:, 1:], -1), axis=1)
    differs = ops.cast(ops.any(own != other, axis=-1), "int32")
    return ops.pad(differs, [(0, 0), (1, 0)])
