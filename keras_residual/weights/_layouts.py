"""The layouts of all libraries whose weights can be read, by family of networks."""

from collections.abc import Mapping

from keras_residual.layers.stem import CLIP_KINDS
from keras_residual.weights._basicsr_layout import BasicSRLayout
from keras_residual.weights._keras_layouts import KERAS_2, KERAS_DENSENET, KERAS_V1, KERAS_V2
from keras_residual.weights._layout import Layout, OwnLayout
from keras_residual.weights._slots import Slot
from keras_residual.weights._srgan_layout import SRGANLayout
from keras_residual.weights._torch_dense_layouts import TIMM_DPN, TORCHVISION_DENSENET
from keras_residual.weights._torch_layouts import (
    TIMM_REGNET,
    TIMM_REGNET_V,
    TIMM_SELECTIVE,
    TIMM_TRANSFER,
    TIMM_V2,
    TORCHVISION,
    TORCHVISION_FACTORIZED,
    TORCHVISION_REGNET,
    TORCHVISION_VIDEO,
    TRANSFORMERS,
    WIDE_RESNET,
)
from keras_residual.weights.errors import WeightsError, listed

OWN = OwnLayout("keras_residual", {}, torch=False)

_FAMILIES = {
    "post": (TORCHVISION, TRANSFORMERS, KERAS_V1, KERAS_2),
    "pre": (TIMM_V2, WIDE_RESNET, KERAS_V2),
    "transfer": (TIMM_TRANSFER,),
    "regnet": (TIMM_REGNET, TORCHVISION_REGNET),
    "regnetv": (TIMM_REGNET_V,),
    "selective": (TIMM_SELECTIVE,),
    "dense": (TORCHVISION_DENSENET, KERAS_DENSENET),
    "dual": (TIMM_DPN,),
    "video": (TORCHVISION_VIDEO,),
    "factorized": (TORCHVISION_FACTORIZED,),
}


def all_layouts() -> tuple[Layout, ...]:
    """Returns the layouts of all libraries."""
    return tuple(layout for family in _FAMILIES.values() for layout in family)


def layouts_for(slots: list[Slot], options: Mapping[str, object]) -> tuple[Layout, ...]:
    """Returns the layouts in which a network's weights may be stored."""
    if any(slot.section == "prelu" for slot in slots):
        return SRGANLayout.of(slots), OWN
    if any(slot.section == "trunk" for slot in slots):
        return BasicSRLayout.of(slots), OWN
    return (*_FAMILIES.get(_family(slots, options), ()), OWN)


def _family(slots, options):
    preactivated = options.get("activation_order") == "pre"
    for section in ("dense", "dual"):
        if any(slot.section == section for slot in slots):
            return section
    if options.get("stem") in CLIP_KINDS:
        return "factorized" if options["stem"] == "factorized7" else "video"
    if options.get("stem") == "strided3":
        return "regnetv" if preactivated else "regnet"
    if str(options.get("spatial")).startswith("selective"):
        return "selective"
    if preactivated:
        return "transfer" if options.get("weight_standardization") else "pre"
    return options.get("activation_order", "post")


def torch_layout_for(slots: list[Slot], options: Mapping[str, object]) -> Layout:
    """Returns the torch layout in which a network is exported.

    If the library of the first layout would compute a network differently, the next layout is used,
    so that the library refuses the weights.
    """
    for layout in layouts_for(slots, options):
        fits = all(options.get(name) == value for name, value in layout.options.items())
        if layout.torch and layout.exact and fits and all(layout.key(slot) for slot in slots):
            return layout
    unnamed = listed([slot.name for slot in slots])
    raise WeightsError(f"no torch layout names all of these weights: {unnamed}")
