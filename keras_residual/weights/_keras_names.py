"""Names for the arrays of Keras' files, which number variables and count layers by class."""

import dataclasses
import functools
import re

from keras_residual.weights.arrays import Entries, Entry, LayerEntry
from keras_residual.weights.errors import WeightsError

# A stage has at most as many equal blocks.
_MOST_BLOCKS = 10_000
# Names of variables in Keras 1, whose `running_std` holds the variance.
_FIRST_KINDS = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}


def by_layer_names(entries: Entries) -> Entries:
    """Renames the entries of a Keras file by the names of their layers: `"stem.conv1.conv.kernel"`.

    Keras stores the variables of a layer by number, and layers by class. For this package's stages
    blocks are named by number, and arrays stacked over equal blocks are split. Slashes in names
    such as `"stem/conv1/conv/kernel"`, which are common in other formats, become dots.
    """
    if not entries.layers:
        return _by_block_numbers({_of_stem(_dotted(n)): entry for n, entry in entries.items()})
    names = {entry.path: entry.name for entry in entries.layers if entry.path}
    renamed = {}
    for entry in entries.layers:
        parts = entry.path.split("/")
        paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        layer = ".".join(names[path] for path in paths if path in names)
        for key, kind in zip(entry.keys, _kinds(entry), strict=True):
            renamed[_of_stem(f"{layer}.{kind}")] = entries[key]
    return _by_block_numbers(renamed)


def _of_stem(name: str) -> str:
    """Returns a weight's name; a convolution in place of the stem's pooling belongs to the stem."""
    return re.sub(r"^stem_pool\.(?=conv\.|norm\.)", "stem.pool_conv.", name)


def _dotted(name: str) -> str:
    """Returns a variable's path with dots for slashes: `"a/kernel:0"` becomes `"a.kernel"`."""
    if "/" not in name:
        return name
    *layers, kind = re.sub(r":\d+$", "", name).split("/")
    # Keras 2 writes the layer's name twice.
    half = len(layers) // 2
    if half and layers[:half] == layers[half:]:
        layers = layers[:half]
    return ".".join([*layers, kind])


def _kinds(entry: LayerEntry) -> list[str]:
    """Returns the names of a layer's variables, which most files only number."""
    kinds = [key.rsplit("/", 1)[-1] for key in entry.keys]
    if not all(kind.isdecimal() for kind in kinds):
        return [_kind(kind.partition(":")[0], entry.name) for kind in kinds]
    if entry.name.rpartition("_")[2].startswith("prelu"):
        return ["alpha"]
    if len(kinds) == 4 or (len(kinds) == 2 and re.search(r"norm\d*$", entry.name)):
        return ["gamma", "beta", "moving_mean", "moving_variance"][: len(kinds)]
    return ["kernel", "bias"][: len(kinds)] if len(kinds) <= 2 else kinds


def _kind(name: str, layer: str) -> str:
    """Returns the present name of a variable in Keras: `"bn_conv1_gamma_1"` becomes `"gamma"`."""
    name = re.sub(r"_\d+$", "", name.removeprefix(f"{layer}_"))
    return _FIRST_KINDS.get(name, name)


def _by_block_numbers(entries: dict[str, Entry]) -> Entries:
    counts = {}
    for name, entry in entries.items():
        stacked = re.match(r"(.+?)\.equal\.(?!block\d)", name)
        if stacked and entry.shape:
            counts[stacked[1]] = entry.shape[0]
        elif numbered := re.match(r"(.+?)\.equal\.block(\d{1,9})\.", name):
            counts[numbered[1]] = max(counts.get(numbered[1], 0), int(numbered[2]) - 1)
    if any(count > _MOST_BLOCKS for count in counts.values()):
        raise WeightsError(f"a stage of {max(counts.values()):,} equal blocks; it is damaged")
    renamed = Entries()
    for name, entry in entries.items():
        match = re.fullmatch(r"(.+?)\.(first|equal|last)\.(.+)", name)
        if match is None:
            renamed[name] = entry
            continue
        stage, position, rest = match.groups()
        if position == "equal" and re.match(r"block\d", rest):
            renamed[f"{stage}.{rest}"] = entry
        elif position == "equal":
            for number, part in enumerate(_split(entry), start=2):
                renamed[f"{stage}.block{number}.{_unstacked(rest)}"] = part
        else:
            number = 1 if position == "first" else counts.get(stage, 0) + 2
            renamed[f"{stage}.block{number}.{rest}"] = entry
    return renamed


def _split(entry: Entry) -> list[Entry]:
    """Splits an array stacked over blocks into entries, which share one read."""
    if not entry.shape:
        return []
    whole = functools.cache(entry.read)

    def part(index):
        return dataclasses.replace(entry, shape=entry.shape[1:], read=lambda: whole()[index])

    return [part(index) for index in range(entry.shape[0])]


def _unstacked(name: str) -> str:
    """Returns a path inside a block from a variable's name, which has underscores for dots."""
    if "." in name:
        return name
    found = re.fullmatch(r"(\w+)_(kernel|bias|gamma|beta|moving_mean|moving_variance|alpha)", name)
    if found is None:
        return name
    path = found[1].replace("squeeze_excite", "squeezeexcite").replace("_", ".")
    return f"{path.replace('squeezeexcite', 'squeeze_excite')}.{found[2]}"
