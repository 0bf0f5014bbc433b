"""Fitting the arrays of a file to the weights of a network: all of them, or an error."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from keras_residual.weights._layout import Layout
from keras_residual.weights._layouts import layouts_for
from keras_residual.weights._slots import Slot, options_of, slots_of
from keras_residual.weights.errors import WeightsError

_COUNTERS = ("num_batches_tracked",)


class MismatchError(WeightsError):
    """The entries of a file are not those of a network.

    Attributes:
        missing: Names of entries that the network needs and the file lacks.
        unused: Names of entries that the network has no place for.
        misshapen: Names of entries whose shape differs.
        invalid: Names of entries that hold no finite floating-point numbers.
    """

    def __init__(self, message: str, **entries: list[str]):
        super().__init__(message)
        self.missing = entries.get("missing", [])
        self.unused = entries.get("unused", [])
        self.misshapen = entries.get("misshapen", [])
        self.invalid = entries.get("invalid", [])


@dataclasses.dataclass
class _Fit:
    """What is known of a file while its entries are assigned to slots."""

    layout: Layout
    arrays: dict[str, np.ndarray]
    options: Mapping[str, object]
    values: dict[Slot, np.ndarray] = dataclasses.field(default_factory=dict)
    used: set[str] = dataclasses.field(default_factory=set)
    missing: list[str] = dataclasses.field(default_factory=list)
    misshapen: dict[str, str] = dataclasses.field(default_factory=dict)
    invalid: list[str] = dataclasses.field(default_factory=list)
    hints: list[str] = dataclasses.field(default_factory=list)


def match(
    model, arrays: Mapping[str, np.ndarray], origin: str, skip_mismatched_top: bool = False
) -> dict[Slot, np.ndarray]:
    """Returns the value of every weight of a network, in the network's shapes.

    The layout is the one that shares the most names with the file.

    Args:
        model: A network of this package.
        arrays: The file's arrays by name.
        origin: What to call the file in messages.
        skip_mismatched_top: Whether a classifier that is missing or of another shape is left out.

    Raises:
        MismatchError: If entries are missing, left over, of another shape or not finite; the
            message lists them all.
        WeightsError: If the layout is unknown, or its networks compute otherwise than the model.
    """
    slots, options = slots_of(model), options_of(model)
    layout, renamed = _detect(slots, layouts_for(slots, options), arrays, origin)
    check_options(options, layout.options, f"{origin}: weights of {layout.name}")
    fit = _Fit(layout, renamed, options)
    for slot in slots:
        if not (slot.is_top and skip_mismatched_top and not _fits(fit, slot)):
            _fit_slot(fit, slot)
    unused = _unused(fit, slots, skip_mismatched_top)
    if unused or fit.missing or fit.misshapen or fit.invalid:
        raise _error(fit, unused, origin)
    return fit.values


def _detect(slots, layouts, arrays, origin) -> tuple[Layout, dict[str, np.ndarray]]:
    best = None
    for layout in layouts:
        names = {name: layout.canonical(name) for name in arrays}
        renamed = {name if new in arrays else new: arrays[name] for name, new in names.items()}
        count = sum(layout.key(slot) in renamed for slot in slots)
        if best is None or count > best[0]:
            best = (count, layout, renamed)
    if not best[0]:
        names = ", ".join(layout.name for layout in layouts)
        raise WeightsError(
            f"{origin}: its names are of no known layout of this network ({names}); "
            f"they begin with {', '.join(list(arrays)[:3])}"
        )
    return best[1:]


def check_options(options: Mapping, required: Mapping[str, object], what: str) -> None:
    """Raises unless a network has the options that weights were made for."""
    wrong = {name: value for name, value in required.items() if options.get(name) != value}
    if wrong:
        raise WeightsError(
            f"{what} need a network with "
            + ", ".join(f"{name}={value!r}" for name, value in wrong.items())
            + "; the model has "
            + ", ".join(f"{name}={options.get(name)!r}" for name in wrong)
        )


def _fits(fit: _Fit, slot: Slot) -> bool:
    array = fit.arrays.get(fit.layout.key(slot))
    return array is not None and fit.layout.to_ours(slot, array).shape == slot.shape


def _fit_slot(fit: _Fit, slot: Slot) -> None:
    key = fit.layout.key(slot)
    if key not in fit.arrays:
        fit.missing.append(key or slot.name)
        return
    fit.used.add(key)
    array = fit.arrays[key]
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        fit.invalid.append(key)
        return
    value = fit.layout.to_ours(slot, array)
    if slot.is_first_kernel:
        value = adapt_input_channels(value, slot.shape[-2])
    if value.shape != slot.shape:
        wanted = fit.layout.from_ours(slot, np.broadcast_to(np.float32(0), slot.shape)).shape
        fit.misshapen[key] = f"{key}: file {array.shape}, model {wanted}"
        _hint(fit, slot, value)
        return
    fit.values[slot] = _absorbed(fit, slot, value)


def adapt_input_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Returns a first kernel `(*size, 3, filters)` for images with another number of channels.

    One channel gets the sum of the three kernels, so that a grey image gives what the same image
    in three equal channels gave. More channels repeat the three in turn, scaled by 3 / channels,
    so that the output keeps its magnitude. timm adapts in the same way.
    """
    found = kernel.shape[-2] if kernel.ndim > 2 else channels
    if found == channels or (found != 3 and channels != 1):
        return kernel
    kernel = kernel.astype(np.float32, copy=False)
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    return kernel[..., np.arange(channels) % found, :] * np.float32(found / channels)


def _absorbed(fit: _Fit, slot: Slot, value: np.ndarray) -> np.ndarray:
    """Returns moving statistics that include what the file's network has and the model has not.

    A bias b before a normalization: (x + b) - mean = x - (mean - b). Another epsilon:
    variance + e = (variance + e - epsilon) + epsilon.
    """
    if slot.kind == "moving_mean" and slot.role.rpartition(".")[2] == "norm":
        conv = slot.role.removesuffix("norm") + "conv"
        bias = fit.layout.key(slot, role=conv, kind="bias")
        if bias in fit.arrays and fit.arrays[bias].shape == value.shape:
            fit.used.add(bias)
            if not np.isfinite(fit.arrays[bias]).all():
                fit.invalid.append(bias)
            return value - fit.arrays[bias]
    epsilon = fit.options.get("norm_epsilon")
    if slot.kind == "moving_variance" and fit.layout.epsilon not in (None, epsilon):
        return (value.astype(np.float64) + (fit.layout.epsilon - epsilon)).astype(value.dtype)
    return value


def _hint(fit: _Fit, slot: Slot, value: np.ndarray) -> None:
    if slot.is_top and value.shape[:-1] == slot.shape[:-1] and slot.kind == "kernel":
        fit.hints.append(
            f"the file has {value.shape[-1]} classes, the model {slot.shape[-1]}: to load the rest "
            "and keep the model's own classifier, call weights.load(model, source, "
            "skip_mismatched_top=True) on a model built with weights=None"
        )
    if slot.role == "squeeze_excite.reduce" and slot.kind == "kernel" and value.shape[-1] % 8 == 0:
        fit.hints.append("timm rounds the width of squeeze-and-excitation: se_divisor=8")


def _unused(fit: _Fit, slots: list[Slot], skip_top: bool) -> list[str]:
    """Returns the names left over, without those that the model was asked not to have."""
    allowed = []
    has_top = any(slot.is_top for slot in slots)
    if not has_top or skip_top:
        allowed += fit.layout.prefixes("classifier", 1)
    if not has_top:
        sections = {slot.section for slot in slots}
        if "final_norm" not in sections:
            allowed += fit.layout.prefixes("final_norm", 1)
        for section in ("stage", "dense", "transition"):
            last = max((slot.number for slot in slots if slot.section == section), default=0)
            for number in range(last + 1, last + 10):
                allowed += fit.layout.prefixes(section, number)
    return [
        name
        for name in fit.arrays
        if name not in fit.used
        and not name.endswith(_COUNTERS)
        and not name.startswith(tuple(allowed))
    ]


def _error(fit: _Fit, unused: list[str], origin: str) -> MismatchError:
    lines = [
        f"{origin}: these weights (names of {fit.layout.name}) do not fit the model; "
        "nothing was loaded"
    ]
    groups = {
        "missing in the file": fit.missing,
        "unused by the model": unused,
        "of another shape": list(fit.misshapen.values()),
        "not finite floating-point numbers": fit.invalid,
    }
    for title, names in groups.items():
        if names:
            lines.append(f"{len(names)} {title}: {', '.join(names)}")
    lines += dict.fromkeys(fit.hints)
    return MismatchError(
        "\n".join(lines),
        missing=fit.missing,
        unused=unused,
        misshapen=list(fit.misshapen),
        invalid=fit.invalid,
    )
