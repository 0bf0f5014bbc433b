"""All sequences that a beam search may find."""

import itertools

START, END = 1, 2


def sequences(vocabulary, max_length):
    """Returns all token sequences that a search may finish."""
    words = [token for token in range(1, vocabulary) if token != END]
    for length in range(1, max_length + 1):
        for body in itertools.product(words, repeat=length - 1):
            yield (*body, END)
        if length == max_length:
            yield from itertools.product(words, repeat=length)
