"""Names for the arrays of Keras' files, which number variables and count layers by class."""

import re

import numpy as np

from keras_residual.weights.arrays import Arrays, LayerEntry


def by_layer_names(arrays: Arrays) -> dict[str, np.ndarray]:
    """Renames the arrays of a Keras file by the names of their layers: `"stem.conv1.conv.kernel"`.

    Keras stores the variables of a layer by number, and layers by class. Of this package's stages
    the blocks are named by number, and the arrays stacked over equal blocks are split.
    """
    if not arrays.layers:
        return arrays
    names = {entry.path: entry.name for entry in arrays.layers if entry.path}
    renamed = {}
    for entry in arrays.layers:
        parts = entry.path.split("/")
        paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        layer = ".".join(names[path] for path in paths if path in names)
        for key, kind in zip(entry.keys, _kinds(entry), strict=True):
            renamed[f"{layer}.{kind}"] = arrays[key]
    return _by_block_numbers(renamed)


def _kinds(entry: LayerEntry) -> list[str]:
    """Returns the names of a layer's variables, which most files only number."""
    kinds = [key.rsplit("/", 1)[-1] for key in entry.keys]
    if not all(kind.isdecimal() for kind in kinds):
        return [kind.partition(":")[0] for kind in kinds]
    if entry.name.startswith("prelu"):
        return ["alpha"]
    if len(kinds) == 4 or (len(kinds) == 2 and entry.name.endswith("norm")):
        return ["gamma", "beta", "moving_mean", "moving_variance"][: len(kinds)]
    return ["kernel", "bias"][: len(kinds)] if len(kinds) <= 2 else kinds


def _by_block_numbers(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    counts = {}
    for name, array in arrays.items():
        if stacked := re.match(r"(\w+)\.equal\.", name):
            counts[stacked[1]] = len(array)
    renamed = {}
    for name, array in arrays.items():
        match = re.fullmatch(r"(\w+)\.(first|equal|last)\.(.+)", name)
        if match is None:
            renamed[name] = array
            continue
        stage, position, rest = match.groups()
        if position == "equal":
            for index, part in enumerate(array, start=2):
                renamed[f"{stage}.block{index}.{rest}"] = part
            continue
        number = 1 if position == "first" else counts.get(stage, 0) + 2
        renamed[f"{stage}.block{number}.{rest}"] = array
    return renamed
