"""Matches the arrays of a file to the weights of a network: all of them, or an error."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_residual._words import counted
from keras_residual.weights._detection import detect
from keras_residual.weights._flat_names import to_names_of
from keras_residual.weights._layout import Layout
from keras_residual.weights._layouts import layouts_for
from keras_residual.weights._slots import Slot, options_of, slots_of
from keras_residual.weights.arrays import Entry
from keras_residual.weights.errors import WeightsError, listed

_COUNTERS = ("num_batches_tracked",)
# Number of input channels of a first kernel that is summed to one channel.
_MOST_CHANNELS = 64


class MismatchError(WeightsError):
    """Raised when weights do not fit the network.

    Attributes:
        missing: Names of entries that the network needs and the file lacks.
        unused: Names of entries that the network does not have.
        misshapen: Names of entries whose shape differs.
        invalid: Names of entries with values that are not finite floating-point numbers.
    """

    def __init__(self, message: str, **entries: list[str]):
        super().__init__(message)
        self.missing = entries.get("missing", [])
        self.unused = entries.get("unused", [])
        self.misshapen = entries.get("misshapen", [])
        self.invalid = entries.get("invalid", [])


@dataclasses.dataclass
class _Fit:
    """The state of assigning a file's entries to slots."""

    layout: Layout
    entries: dict[str, Entry]
    options: Mapping[str, object]
    keys: dict[Slot, str] = dataclasses.field(default_factory=dict)
    biases: dict[Slot, str] = dataclasses.field(default_factory=dict)
    values: dict[Slot, np.ndarray] = dataclasses.field(default_factory=dict)
    missing: list[str] = dataclasses.field(default_factory=list)
    misshapen: dict[str, str] = dataclasses.field(default_factory=dict)
    invalid: list[str] = dataclasses.field(default_factory=list)
    hints: list[str] = dataclasses.field(default_factory=list)

    @property
    def used(self) -> set[str]:
        return {*self.keys.values(), *self.biases.values(), *self.misshapen}


@dataclasses.dataclass(frozen=True)
class Match:
    """The weights of a file in the shapes of a network.

    Attributes:
        values: The value of every weight.
        layout: The layout of the file.
    """

    values: dict[Slot, np.ndarray]
    layout: Layout


def match(
    model, entries: Mapping[str, Entry], origin: str, skip_mismatched_top: bool = False
) -> Match:
    """Returns the value of every weight of a network, in the network's shapes and types.

    The layout is the one that shares the most names with the file. Names and shapes are compared
    first; then only the values that fit are read, one by one.

    Args:
        model: A network of this package.
        entries: The file's entries by name.
        origin: Name of the file in messages.
        skip_mismatched_top: Whether a classifier that is missing or of another shape is skipped.

    Raises:
        MismatchError: If entries are missing, unused, of another shape or not finite; the message
            says which.
        WeightsError: If the layout is unknown, or its networks differ from the model.
    """
    slots, options = slots_of(model), options_of(model)
    entries = to_names_of(entries, [slot.name for slot in slots])
    layout, renamed = detect(slots, layouts_for(slots, options), entries, origin)
    check_options(options, layout.options, f"{origin}: weights of {layout.name}")
    fit = _Fit(layout, renamed, options)
    for slot in slots:
        if not (slot.is_top and skip_mismatched_top and not _fits(fit, slot)):
            _place(fit, slot)
    # A bias that the model has as well is read as a bias.
    own = set(fit.keys.values())
    fit.biases = {slot: bias for slot, bias in fit.biases.items() if bias not in own}
    unused = _unused(fit, slots, skip_mismatched_top)
    for slot, key in fit.keys.items():
        if key not in fit.misshapen:
            # Overflows are not finite, and refused for that.
            with np.errstate(over="ignore", invalid="ignore"):
                _fill(fit, slot, key)
    if unused or fit.missing or fit.misshapen or fit.invalid:
        raise _error(fit, unused, origin)
    return Match(fit.values, layout)


def check_options(options: Mapping[str, Any], required: Mapping[str, object], what: str) -> None:
    """Raises unless a network has the options that weights require."""
    wrong = {name: value for name, value in required.items() if options.get(name) != value}
    if wrong:
        raise WeightsError(
            f"{what} need a network with "
            + ", ".join(f"{name}={value!r}" for name, value in wrong.items())
            + "; the model has "
            + ", ".join(f"{name}={options.get(name)!r}" for name in wrong),
            options=required,
        )


def _fits(fit: _Fit, slot: Slot) -> bool:
    entry = fit.entries.get(fit.layout.key(slot))
    return entry is not None and fit.layout.to_ours(slot, entry.outline).shape == slot.shape


def _place(fit: _Fit, slot: Slot) -> None:
    """Records the entry of a slot, by name and shape only."""
    key = fit.layout.key(slot)
    if key not in fit.entries:
        fit.missing.append(key or slot.name)
        return
    fit.keys[slot] = key
    entry = fit.entries[key]
    outline = fit.layout.to_ours(slot, entry.outline)
    shape = outline.shape
    if slot.is_first_kernel:
        shape = _adapted_shape(shape, slot.shape[-2])
    if shape != slot.shape:
        wanted = fit.layout.from_ours(slot, np.broadcast_to(np.float32(0), slot.shape)).shape
        fit.misshapen[key] = f"{key}: file {entry.shape}, model {wanted}"
        _hint(fit, slot, outline)
        return
    if slot.kind == "moving_mean" and slot.role.rpartition(".")[2] == "norm":
        conv = slot.role.removesuffix("norm") + "conv"
        bias = fit.layout.key(slot, role=conv, kind="bias")
        if bias in fit.entries and fit.entries[bias].shape == slot.shape:
            fit.biases[slot] = bias


def _fill(fit: _Fit, slot: Slot, key: str) -> None:
    """Reads the values of a slot in its own type: a value may be finite in another type only."""
    array = _finite(fit, key)
    if array is None:
        return
    value = fit.layout.to_ours(slot, array)
    if slot.is_first_kernel:
        value = adapt_input_channels(value, slot.shape[-2])
    value = _with_epsilon(fit, slot, value)
    if slot in fit.biases:
        bias = _finite(fit, fit.biases[slot])
        value = value if bias is None else value - bias
    value = value.astype(_numpy_dtype(slot), copy=False)
    if not np.isfinite(value).all():
        fit.invalid.append(key)
    fit.values[slot] = value


def _finite(fit: _Fit, key: str) -> np.ndarray | None:
    """Returns an entry's values, or `None` if they are not finite floating-point numbers."""
    entry = fit.entries[key]
    array = entry.read() if entry.dtype.kind == "f" else None
    if array is None or not np.isfinite(array).all():
        fit.invalid.append(key)
        return None
    return array


def _numpy_dtype(slot: Slot) -> str:
    dtype = keras.backend.standardize_dtype(slot.variable.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise WeightsError(
            f"the weight {slot.name} of the model is quantized to {dtype}: load the weights into "
            "the model first, then quantize it"
        )
    # NumPy has no bfloat16; its range is that of float32.
    return dtype if dtype in ("float16", "float64") else "float32"


def adapt_input_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Returns a first kernel `(*size, 3, filters)` for images with another number of channels.

    One channel gets the sum of the three kernels, so that a greyscale image gives the same output
    as with three equal channels. More channels repeat the three in turn, scaled by 3 / channels, so
    that the output keeps its magnitude. timm does the same.
    """
    if _adapted_shape(kernel.shape, channels) == kernel.shape:
        return kernel
    found = kernel.shape[-2]
    kernel = kernel.astype(np.float32, copy=False)
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    return kernel[..., np.arange(channels) % found, :] * np.float32(found / channels)


def _adapted_shape(shape: tuple[int, ...], channels: int) -> tuple[int, ...]:
    """Returns the shape of a first kernel after `adapt_input_channels`."""
    found = shape[-2] if len(shape) > 2 else channels
    if found == 3 or (channels == 1 and found <= _MOST_CHANNELS):
        return (*shape[:-2], channels, shape[-1]) if len(shape) > 2 else shape
    return shape


def _with_epsilon(fit: _Fit, slot: Slot, value: np.ndarray) -> np.ndarray:
    """Returns moving variances that compensate for a different epsilon in the file's network.

    variance + e = (variance + e - epsilon) + epsilon. A bias b before a normalization is absorbed
    by the moving mean: (x + b) - mean = x - (mean - b).
    """
    epsilon = fit.options.get("norm_epsilon")
    if slot.kind == "moving_variance" and fit.layout.epsilon not in (None, epsilon):
        return value.astype(np.float64) + (fit.layout.epsilon - epsilon)
    return value


def _hint(fit: _Fit, slot: Slot, value: np.ndarray) -> None:
    if slot.is_top and value.shape[:-1] == slot.shape[:-1] and slot.kind == "kernel":
        fit.hints.append(
            f"the file has {counted(value.shape[-1], 'class', 'classes')}, the model "
            f"{slot.shape[-1]}: to load the rest "
            "and keep the model's own classifier, call weights.load(model, source, "
            "skip_mismatched_top=True) on a model built with weights=None"
        )
    if slot.role == "squeeze_excite.reduce" and slot.kind == "kernel" and value.shape[-1] % 8 == 0:
        fit.hints.append("timm rounds the width of squeeze-and-excitation: se_divisor=8")


def _unused(fit: _Fit, slots: list[Slot], skip_top: bool) -> list[str]:
    """Returns the unused names, without those of parts that the model deliberately lacks."""
    allowed, used = [], fit.used
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
        for name in fit.entries
        if name not in used and not name.endswith(_COUNTERS) and not name.startswith(tuple(allowed))
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
            lines.append(f"{len(names)} {title}: {listed(names)}")
    lines += dict.fromkeys(fit.hints)
    return MismatchError(
        "\n".join(lines),
        missing=fit.missing,
        unused=unused,
        misshapen=list(fit.misshapen),
        invalid=fit.invalid,
    )
