"""Recordings that stand for spoken digits in tests of the examples."""

import numpy as np


def write_digits(path):
    """Writes tones for ten digits of two speakers, recordings 5 to 12."""
    rows = [(d, s, r) for d in range(10) for s in ("ann", "bob") for r in range(5, 13)]
    times = np.arange(1600) / 8000
    waves = [np.sin(2 * np.pi * (200 + 150 * d) * times) * 8000 for d, _, _ in rows]
    np.savez(
        path,
        audio=np.concatenate(waves).astype("int16"),
        offsets=np.arange(len(rows) + 1) * 1600,
        digit=np.array([d for d, _, _ in rows], "uint8"),
        speaker=np.array([s for _, s, _ in rows]),
        recording=np.array([r for _, _, r in rows], "uint8"),
        rate=8000,
    )
    return path
