"""Human-readable sizes, counts and times."""


def human_bytes(size: float) -> str:
    """Returns a size such as `76.2 kB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def human_count(count: float) -> str:
    """Returns a number such as `25.6 M`."""
    for unit in ("", " k", " M", " G"):
        if count < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"


def human_seconds(seconds: float) -> str:
    """Returns a time such as `1.32 ms`."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.1f} s"


def human_minutes(seconds: float) -> str:
    """Returns a time such as `9 min 30 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
