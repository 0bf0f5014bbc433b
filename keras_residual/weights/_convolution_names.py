"""Other libraries' names of the convolutions of a block."""


def convolutions(conv: str, norm: str) -> dict[str, str]:
    """Names the convolutions of a block, and the normalizations after them, by number."""
    names = {}
    for n in range(1, 10):
        names[f"conv{n}.conv"] = conv.format(n=n, n0=n - 1)
        names[f"conv{n}.norm"] = norm.format(n=n, n0=n - 1, next=n + 1)
    return names
