"""Translates names of weights between flat networks and the original networks."""

from collections.abc import Iterable, Iterator, Mapping

from keras_residual.weights.arrays import Entries, Entry

# The stem's pooling is a separate layer; its weights keep their name inside a `Stem`.
_STEM_POOL, _POOL_CONV = "stem_pool.", "stem.pool_conv."


def to_names_of(entries: Mapping[str, Entry], names: Iterable[str]) -> Entries:
    """Renames entries to the names of a network if a file has the names of its other form.

    Args:
        entries: Entries by name, such as `"stage1_block2_conv1.kernel"`, as a flat network has
            them, or `"stage1.block2.conv1.conv.kernel"`.
        names: The names of the network's weights, in either form.
    """
    names = {*names}
    from_flat = {flat: name for name in names for flat in flat_names(name)}
    renamed = Entries()
    for name, entry in entries.items():
        if name not in names:
            name = from_flat.get(name) or next((n for n in flat_names(name) if n in names), name)
        renamed[name] = entry
    return renamed


def flat_names(name: str) -> Iterator[str]:
    """Yields the names that a weight can have in a flat network.

    The first convolution or normalization of a layer has that layer's name.
    """
    *places, kind = name.replace(_POOL_CONV, _STEM_POOL, 1).split(".")
    if len(places) < 2:
        return
    yield f"{'_'.join(places)}.{kind}"
    if places[-1] in ("conv", "norm"):
        yield f"{'_'.join(places[:-1])}.{kind}"
