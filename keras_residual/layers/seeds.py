"""Generators of seeds for layers that draw random numbers."""

import keras


def seed_generator(seed: int | None) -> keras.random.SeedGenerator:
    """Returns Keras' generator of seeds that begins with `seed`.

    On PyTorch it takes 31 bits, so that the highest bit of a seed is left out there.
    """
    if seed is not None and keras.backend.backend() == "torch":
        seed %= 2**31
    return keras.random.SeedGenerator(seed)
