"""Loading weights into a network, whatever file, library or address they come from."""

import os
import pathlib
import re
from collections.abc import Mapping

import keras
import numpy as np

from keras_residual import _checks
from keras_residual.weights import cache, files, sources
from keras_residual.weights.arrays import Arrays
from keras_residual.weights.errors import WeightsError, first_line
from keras_residual.weights.keras_names import by_layer_names
from keras_residual.weights.layouts import torch_layout_for
from keras_residual.weights.matching import check_options, match
from keras_residual.weights.readers.torch_file import from_state_dict
from keras_residual.weights.slots import assign, options_of, read, slots_of
from keras_residual.weights.sources import WeightSource

_ADDRESSES = ("https://", "http://", "hf://")
_SUFFIXES = (".safetensors", ".h5", ".hdf5", ".npz", ".pth", ".pt", ".bin", ".keras")


def load(model: keras.Model, source, skip_mismatched_top: bool = False) -> None:
    """Loads weights into a network of this package: all of them, or none and an error.

    The names in the file tell its layout: torchvision or timm (ResNet, -D, SE, ResNeXt, Wide,
    `resnetv2_*`, DenseNet), transformers' ResNet, PyTorch networks for CIFAR (option A or B,
    WideResNet), keras.applications (ResNet v1 and v2, DenseNet), or this package. Outputs are equal
    to float rounding: biases before a normalization and another epsilon are absorbed by the moving
    statistics.

    What is adapted without asking:

    - Another number of input channels: one channel gets the sum of the first convolution's three
      kernels, more channels repeat them in turn, scaled by 3 / channels (as timm does).
    - Another input size: convolutions have none.
    - A model without classifier, or one that ends at an earlier stage: what the file has beyond it
      is not read.

    Args:
        model: A network of this package. For other models only files that Keras wrote for the same
            model are accepted.
        source: A path (`.safetensors`, `.pth`, `.h5`, `.weights.h5`, `.keras`, `.npz`), a URL,
            `"hf://owner/name"`, the name of published weights such as `"imagenet"` or
            `"ResNet50.IMAGENET1K_V2"`, or a torch state dict.
        skip_mismatched_top: Whether a classifier with another number of classes, or none, in the
            file is left as it is in the model. Defaults to `False`.

    Raises:
        MismatchError: If entries are missing, left over, misshapen or not finite; the message lists
            them all. The model is unchanged.
        WeightsError: If the file cannot be read, or is made for a network that computes otherwise.
        ValueError: If `source` is none of the above.

    Example:

    >>> model = keras_residual.ResNet18(classes=10)
    >>> load(model, "hf://timm/resnet18.tv_in1k", skip_mismatched_top=True)
    """
    _checks.boolean("skip_mismatched_top", skip_mismatched_top)
    if isinstance(source, Mapping):
        _load_arrays(model, from_state_dict(source), "the state dict", skip_mismatched_top)
        return
    known, path = _resolve(model.name, source)
    if known is not None:
        _check_source(model, known)
    path = path or cache.fetch(known or source)
    arrays = files.read(path)
    _load_arrays(model, arrays, str(path), skip_mismatched_top, path)
    if known is not None:
        sources.remember(model, known)


def from_torch(model: keras.Model, state_dict: Mapping, skip_mismatched_top: bool = False) -> None:
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
    otherwise (a shared first pre-activation, strides in the last block, a CIFAR stem) gets the
    names of the widely copied PyTorch WideResNet. Numbers alone do not say everything: build the
    torch network with the same epsilon and stride placement. `from_torch` restores them bit for
    bit.

    Args:
        model: A network of this package.

    Returns:
        NumPy arrays by name, copies in torch's order.

    Raises:
        WeightsError: If the model is not a network of this package.

    Example:

    >>> state = {name: torch.from_numpy(array) for name, array in to_torch(model).items()}
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


def load_for_factory(model: keras.Model, weights, variant) -> None:
    """Loads what a factory's argument `weights` names.

    Args:
        model: The model that the factory has built.
        weights: See `load`; a name means weights published for `variant`.
        variant: The named network that the factory builds, or `None`.
    """
    if isinstance(weights, str) and _is_name(weights):
        if variant is None:
            raise ValueError(
                "`weights` must be a path, a URL or an hf:// address for a network without a name "
                f"of its own. Received: weights={weights!r}"
            )
        weights = sources.find(variant.name, weights)
    load(model, weights)


def _resolve(model_name: str, source) -> tuple[WeightSource | None, pathlib.Path | None]:
    """Returns the published weights that `source` means, if any, and its path if it is a file."""
    if isinstance(source, WeightSource):
        return source, None
    if isinstance(source, str) and source.startswith(_ADDRESSES):
        return sources.find_named(source), None
    if isinstance(source, os.PathLike) or (isinstance(source, str) and not _is_name(source)):
        path = pathlib.Path(source).expanduser()
        return _by_file_name(path.name), path
    if isinstance(source, str):
        named = sources.find_named(source) if "." in source else None
        return named or sources.find(model_name, source), None
    raise ValueError(
        "`source` must be a path, a URL, an hf:// address, the name of published weights or a "
        f"torch state dict. Received: source={source!r} of type {type(source).__name__}"
    )


def _by_file_name(name: str) -> WeightSource | None:
    """Returns the source whose published file has this name."""
    known = (item for item in sources.list_sources() if not item.is_hub)
    return next((item for item in known if item.file_name == name), None)


def _is_name(source: str) -> bool:
    """Returns whether a string is the name of weights and not a path."""
    if re.fullmatch(r"[\w.-]+", source) is None or pathlib.Path(source).exists():
        return False
    known = (item.name.lower() for item in sources.list_sources())
    return not source.lower().endswith(_SUFFIXES) or source.lower() in known


def _check_source(model: keras.Model, source: WeightSource) -> None:
    """Raises unless the model computes what the source's weights were trained for."""
    required = dict(source.options)
    if source.layout == "keras.applications":
        required.pop("norm_epsilon", None)
    check_options(options_of(model), required, f"the weights {source.name}")


def _load_arrays(model, arrays: Arrays, origin, skip_top, path=None) -> None:
    try:
        slots_of(model)
    except WeightsError:
        if path is None or arrays.format not in ("hdf5", "keras"):
            raise
        _load_by_keras(model, path)
        return
    assign(match(model, by_layer_names(arrays), origin, skip_top))


def _load_by_keras(model: keras.Model, path: pathlib.Path) -> None:
    """Loads a file that Keras wrote for the same model, or leaves the model as it was."""
    before = [np.array(value) for value in model.get_weights()]
    try:
        model.load_weights(path)
    except Exception as error:
        model.set_weights(before)
        raise WeightsError(
            f"{path}: it does not fit {model.name!r}: {first_line(error)}"
        ) from error
