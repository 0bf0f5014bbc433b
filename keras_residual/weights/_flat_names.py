"""Names of weights in flat networks and in the networks they are views of."""

from collections.abc import Iterable, Iterator, Mapping

from keras_residual.weights.arrays import Entries, Entry

# The stem's pooling is a layer of its own; its weights keep the name they have inside a `Stem`.
_STEM_POOL, _POOL_CONV = "stem_pool.", "stem.pool_conv."


def to_names_of(entries: Mapping[str, Entry], names: Iterable[str]) -> Entries:
    """Returns entries under the names of a network, where a file has those of its other form.

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

    A convolution or normalization that is the first thing in its owner has the owner's name.
    """
    *places, kind = name.replace(_POOL_CONV, _STEM_POOL, 1).split(".")
    if len(places) < 2:
        return
    yield f"{'_'.join(places)}.{kind}"
    if places[-1] in ("conv", "norm"):
        yield f"{'_'.join(places[:-1])}.{kind}"
