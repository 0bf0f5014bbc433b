"""Quantized and LoRA-adapted sublayers: kept in configurations, merged into plain weights."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_residual.layers.sublayers import attributes_of, weights_by_path

# What quantization scales and LoRA updates, by its name in Keras' layers.
_BASES = ("kernel", "embeddings")


def leaves(layer) -> dict[str, keras.layers.Layer]:
    """Returns the sublayers without sublayers of their own, by their path below `layer`."""
    found = {}
    for sublayer in attributes_of(layer).values():
        inside = leaves(sublayer)
        found |= {f"{sublayer.name}/{path}": leaf for path, leaf in inside.items()}
        if not inside:
            found[sublayer.name] = sublayer
    return found


def adaptations_of(layer) -> dict[str, dict[str, Any]]:
    """Describes how sublayers are quantized or LoRA-adapted, by their path below `layer`."""
    found = {}
    for path, leaf in leaves(layer).items():
        changes = {}
        if getattr(leaf, "quantization_mode", None):
            changes["quantization"] = leaf.quantization_mode
        if getattr(leaf, "lora_enabled", False):
            changes |= {"lora_rank": leaf.lora_rank, "lora_alpha": leaf.lora_alpha}
        if changes:
            found[path] = changes
    return found


def adapt(layer, adaptations: dict[str, dict[str, Any]]) -> None:
    """Quantizes and adapts the built sublayers as `adaptations_of` describes."""
    known = leaves(layer)
    for path, changes in adaptations.items():
        if path not in known:
            raise ValueError(
                f"`adaptations` must name sublayers of {layer.name!r}, which are "
                f"{sorted(known)}. Received: {path!r}"
            )
        leaf = known[path]
        if "quantization" in changes:
            leaf.quantize(changes["quantization"])
        if "lora_rank" in changes:
            leaf.enable_lora(changes["lora_rank"], lora_alpha=changes["lora_alpha"])


def merged(
    weights: dict[str, np.ndarray], adaptations: dict[str, dict[str, Any]]
) -> dict[str, np.ndarray]:
    """Merges quantization scales and LoRA products into the kernels.

    Args:
        weights: Arrays by their path, dots for slashes.
        adaptations: What `adaptations_of` says of the layer that they belong to.

    Raises:
        ValueError: If a kernel is quantized in another way than to int8.
    """
    result = dict(weights)
    for path, changes in adaptations.items():
        prefix = path.replace("/", ".") + "."
        base = next((name for name in _BASES if prefix + name in result), None)
        if base is None or changes.get("quantization", "int8") != "int8":
            raise ValueError(
                f"Only int8 kernels can be turned back to floating point. Received: {path!r} "
                f"with {changes}"
            )
        value = np.asarray(result[prefix + base], np.float32)
        scale = result.pop(f"{prefix}{base}_scale", None)
        if scale is not None:
            # A kernel has one scale per output, an embedding one per token.
            value = value / (scale if base == "kernel" else np.expand_dims(scale, -1))
        a, b = (result.pop(f"{prefix}lora_{base}_{part}", None) for part in "ab")
        if a is not None:
            value = value + changes["lora_alpha"] / changes["lora_rank"] * np.matmul(a, b)
        result[prefix + base] = value
    return result


def is_adapted(layer) -> bool:
    """Returns whether a layer or one of its sublayers is quantized or LoRA-adapted."""
    return bool(adaptations_of(_Holder(layer)))


def merged_layer_weights(layer) -> dict[str, np.ndarray]:
    """Returns the weights of a layer by their path in it, merged as by `merged`."""
    holder, prefix = _Holder(layer), f"{layer.name}."
    weights = weights_by_path(layer)
    weights = {prefix + path: ops.convert_to_numpy(w) for path, w in weights.items()}
    plain = merged(weights, adaptations_of(holder))
    return {path.removeprefix(prefix): value for path, value in plain.items()}


class AdaptedSublayers:
    """Mixin that stores the quantization and LoRA of sublayers in the layer's configuration.

    A file holds the weights of the quantized and adapted sublayers, so the sublayers must be
    quantized and adapted before the weights are loaded.
    """

    def __init__(self, **kwargs: Any) -> None:
        adaptations = kwargs.pop("adaptations", None) or {}
        super().__init__(**kwargs)
        self._adaptations = tuple(adaptations.items())

    def adapt_sublayers(self) -> None:
        """Quantizes and adapts the sublayers as configured; called at the end of `build`."""
        adapt(self, dict(self._adaptations))
        self._adaptations = ()

    def get_config(self) -> dict[str, Any]:
        adaptations = dict(self._adaptations) or adaptations_of(self)
        return {**super().get_config(), **({"adaptations": adaptations} if adaptations else {})}


class _Holder:
    """An object with a layer as its only sublayer."""

    def __init__(self, layer):
        self.layer = layer


def plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a layer's configuration without quantization, LoRA and adaptations."""
    config = {
        key: value
        for key, value in config.items()
        if key not in ("lora_rank", "lora_alpha", "adaptations", "quantization_config")
    }
    policy = keras.dtype_policies.get(config["dtype"]) if "dtype" in config else None
    if policy is not None and policy.quantization_mode is not None:
        # Named as in "int8_from_mixed_bfloat16".
        config["dtype"] = policy.name.partition("_from_")[2]
    return config
