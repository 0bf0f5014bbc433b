"""Detects which library's names a weight file uses."""

import collections
from collections.abc import Collection, Mapping

from keras_residual.weights._layout import Layout
from keras_residual.weights._layouts import OWN, all_layouts
from keras_residual.weights._slots import Slot
from keras_residual.weights.arrays import Entry
from keras_residual.weights.errors import WeightsError, listed

# Names inside wrappers inside wrappers, as in "module.model.backbone.conv1.weight".
_DEEPEST_PREFIX = 4


def detect(
    slots: Collection[Slot], layouts: Collection[Layout], entries: Mapping[str, Entry], origin: str
) -> tuple[Layout, dict[str, Entry]]:
    """Returns the layout that matches most names of a file, and the entries by its names."""
    best = None
    for layout in layouts:
        keys = {layout.key(slot) for slot in slots}
        for prefix in _common_prefixes(entries):
            renamed = _renamed(entries, prefix, layout)
            count = sum(key in renamed for key in keys)
            if best is None or count > best[0]:
                best = (count, layout, renamed)
    if not best[0]:
        names = ", ".join(layout.name for layout in layouts)
        raise WeightsError(
            f"{origin}: its names are of no known layout of this network ({names}); "
            f"they begin with {listed(entries, 3)}"
        )
    return best[1:]


def _common_prefixes(names) -> list[str]:
    """Returns no prefix and the prefixes of most names, such as `"model.backbone."`."""
    counts = collections.Counter()
    for name in names:
        parts = name.split(".")
        for end in range(1, min(len(parts), _DEEPEST_PREFIX + 1)):
            counts[".".join(parts[:end]) + "."] += 1
    return ["", *(prefix for prefix, count in counts.items() if 2 * count >= len(names))]


def _renamed(entries, prefix, layout) -> dict[str, Entry]:
    names = {name: layout.canonical(name.removeprefix(prefix)) for name in entries}
    counts = collections.Counter(names.values())
    return {name if counts[new] > 1 else new: entries[name] for name, new in names.items()}


def layout_of_names(names: Collection[str]) -> Layout:
    """Returns the most likely layout of a file's names, for an unknown network."""
    best = (0, OWN)
    for layout in all_layouts():
        keys = {layout.key(slot) for slot in _first_slots(layout)}
        for prefix in _common_prefixes(names):
            found = {layout.canonical(name.removeprefix(prefix)) for name in names}
            best = max(best, (len(keys & found), layout), key=lambda pair: pair[0])
    return best[1]


def _first_slots(layout: Layout) -> list[Slot]:
    """Returns the slots of the first block of every section that a layout names."""
    found = []
    for section, (_, names) in layout.sections.items():
        for role in names:
            kind = "gamma" if role.endswith("norm") else "kernel"
            found.append(Slot(role, section, 1, 1, role, kind, (), None))
    return found
