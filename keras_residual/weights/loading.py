"""Loading weights into a network from files of many libraries."""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._description import describe, keep, noted
from keras_residual.weights import _scaling, cache, files, sources
from keras_residual.weights._fit_checks import (
    check_digest,
    check_entries,
    check_finite,
    check_scaling,
    check_source,
    shortest_description,
)
from keras_residual.weights._keras_names import by_layer_names
from keras_residual.weights._layouts import torch_layout_for
from keras_residual.weights._readers.torch_file import from_state_dict
from keras_residual.weights._resolution import resolve, resolve_for_factory
from keras_residual.weights._slots import assign, options_of, read, slots_of
from keras_residual.weights.arrays import Entries
from keras_residual.weights.description import description_of, rescaled
from keras_residual.weights.errors import WeightsError, first_line
from keras_residual.weights.matching import match
from keras_residual.weights.preprocessing import Preprocessing


def load(model: keras.Model, source: object, skip_mismatched_top: bool = False) -> None:
    """Loads weights into a network of this package: all of them, or none with an error.

    The layout of the file is detected from its names: torchvision or timm (ResNet, -D, SE, ResNeXt,
    Wide, `resnetv2_*`, DenseNet), transformers' ResNet, PyTorch networks for CIFAR (option A or B,
    WideResNet), keras.applications (ResNet v1 and v2, DenseNet), or this package. Outputs are equal
    up to rounding: biases before a normalization and a different epsilon are absorbed by the moving
    statistics.

    Automatic adaptations:

    - Another number of input channels: one channel gets the sum of the first convolution's three
      kernels, more channels repeat them in turn, scaled by 3 / channels (as timm does).
    - Another input size: convolutions have none.
    - A model without classifier, or one that ends at an earlier stage: the rest of the file is
      ignored.

    Args:
        model: A network of this package. For other models only files that Keras wrote for the same
            model are accepted.
        source: A path (`.safetensors`, `.pth`, `.h5`, `.weights.h5`, `.keras`, `.npz`), a URL,
            `"hf://owner/name"`, the name of published weights such as `"imagenet"` or
            `"ResNet50.IMAGENET1K_V2"`, or a torch state dict.
        skip_mismatched_top: Whether the model keeps its classifier if that of the file is missing
            or has another number of classes. Defaults to `False`.

    Raises:
        MismatchError: If entries are missing, unused, of another shape or not finite; the message
            lists them all. The model is unchanged.
        WeightsError: If the file cannot be read, or is for a different network.
        ValueError: If `source` is none of the above.

    Example:

    >>> model = keras_residual.ResNet18(classes=10)
    >>> load(model, "hf://timm/resnet18.tv_in1k", skip_mismatched_top=True)
    """
    _checks.boolean("skip_mismatched_top", skip_mismatched_top)
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a Keras model. Received: model={model!r}")
    _load(model, source, skip_mismatched_top, _name_of(model))


def _load(model, source, skip_top, published_name, scaling_given=False) -> None:
    """See `load`.

    Args:
        model: The network.
        source: What to load.
        skip_top: See `load`.
        published_name: The name of the network in the table of published weights.
        scaling_given: Whether the user specified the scaling inside the model, which then takes
            precedence over that implied by a file's layout.
    """
    if isinstance(source, Mapping):
        entries = from_state_dict(source)
        scaling = _load_entries(
            model, entries, "the state dict", skip_top, published_name, None, scaling_given
        )
        _remember(model, None, scaling)
        return
    known, path = resolve(published_name or model.name, source)
    if known is not None:
        check_source(model, known, skip_top)
    if path is None:
        path = cache.fetch(known or source)
    elif known is not None:
        check_digest(path, known)
    with files.opened(path) as entries:
        given = scaling_given or known is not None
        scaling = _load_entries(model, entries, str(path), skip_top, published_name, path, given)
    _remember(model, known, known.preprocessing if known is not None else scaling)


def _remember(model, known, scaling):
    """Notes where the weights came from, also in what is saved of the model."""
    before = noted(model)
    if before is not None and scaling is not None:
        describe(model, rescaled(before, scaling, model))
    sources.remember(model, known, scaling)
    if before is None:
        keep(model, None)
        keep(model, description_of(model))


def _name_of(model) -> str | None:
    """Returns the published name of a network, by the name that its factory gave it."""
    name = getattr(model, "name", "")
    return next((s.model for s in sources.list_sources() if s.model.lower() == name.lower()), None)


def from_torch(
    model: keras.Model, state_dict: Mapping[str, Any], skip_mismatched_top: bool = False
) -> None:
    """Loads a torch state dict of torchvision, timm or `to_torch`; see `load`.

    Args:
        model: A network of this package.
        state_dict: Tensors or NumPy arrays by name.
        skip_mismatched_top: See `load`. Defaults to `False`.

    Raises:
        MismatchError: If the entries do not fit; the model is unchanged.

    Example:

    >>> from_torch(keras_residual.ResNet18(), torchvision.models.resnet18().state_dict())
    """
    if not isinstance(state_dict, Mapping):
        raise ValueError(
            "`state_dict` must be a dict of tensors or arrays, as `module.state_dict()` gives it. "
            f"Received: state_dict of type {type(state_dict).__name__}"
        )
    load(model, state_dict, skip_mismatched_top)


def to_torch(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights as a state dict that torchvision or timm loads.

    Post-activation networks and DenseNets get the names of torchvision and timm, pre-activation
    networks those of timm's `resnetv2_*`. A pre-activation network that timm would compute
    differently (a shared first pre-activation, strides in the last block, a CIFAR stem) gets the
    names of the widely copied PyTorch WideResNet. The epsilon and the placement of strides are not
    part of a state dict: build the torch network with the same ones. `from_torch` restores the
    weights bit for bit.

    Args:
        model: A network of this package.

    Returns:
        NumPy arrays by name, copies in torch's order.

    Raises:
        WeightsError: If the model is not a network of this package.

    Example:

    >>> arrays = to_torch(keras_residual.ResNet18())
    >>> state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    >>> torchvision.models.resnet18().load_state_dict(state)
    <All keys matched successfully>
    """
    slots = slots_of(model)
    layout = torch_layout_for(slots, options_of(model))
    state = {}
    for slot, value in read(slots):
        state[layout.key(slot)] = np.array(layout.from_ours(slot, value), order="C")
        if slot.kind == "moving_variance":
            counter = layout.key(slot).removesuffix("running_var") + "num_batches_tracked"
            state[counter] = np.zeros((), np.int64)
    return state


def load_for_factory(
    model: keras.Model, weights: object, variant: Any, scaling_given: bool = False
) -> None:
    """Loads the argument `weights` of a factory.

    Args:
        model: The model that the factory has built.
        weights: See `load`; a name means weights published for `variant`.
        variant: The named network that the factory builds, or `None`.
        scaling_given: Whether the user specified the scaling of pixels inside the model. Defaults
            to `False`.
    """
    known, path = resolve_for_factory(weights, variant)
    source = known if known is not None and path is None else weights
    name = None if variant is None else variant.name
    _load(model, source, False, name, scaling_given)


def options_for_factory(weights: object, variant: Any) -> dict[str, object]:
    """Returns the architecture options required by the weights of a factory."""
    known, _ = resolve_for_factory(weights, variant)
    if known is None or variant is None or known.model != variant.name:
        return {}
    return dict(known.options)


def _load_entries(
    model, entries: Entries, origin, skip_top, published_name, path=None, scaling_given=False
) -> Preprocessing | None:
    """Loads a file's entries and returns the scaling of pixels that they expect, if known."""
    try:
        slots_of(model)
    except WeightsError:
        if path is None or entries.format not in ("hdf5", "keras"):
            raise
        _load_by_keras(model, entries, path)
        return None
    found = match(model, by_layer_names(entries), origin, skip_top)
    scaling = _scaling.expected(found.layout, entries, published_name, path)
    if scaling is not None and not scaling_given:
        what = f"{origin}: these weights (names of {found.layout.name})"
        check_scaling(model, scaling, what, shortest_description(scaling))
    assign(found.values)
    return scaling


def _load_by_keras(model: keras.Model, entries: Entries, path: pathlib.Path) -> None:
    """Loads a file that Keras wrote for the same model, or leaves the model unchanged."""
    check_entries(model, entries, path)
    before = [np.array(value) for value in model.get_weights()]
    try:
        # Numbers that only the file's type can hold become infinite, and are refused below.
        with np.errstate(over="ignore"):
            model.load_weights(path)
        check_finite(model)
    except Exception as error:
        model.set_weights(before)
        raise WeightsError(
            f"{path}: it does not fit {model.name!r}: {first_line(error)}"
        ) from error
