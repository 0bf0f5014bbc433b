"""The layouts of PyTorch's libraries: tables by section and role."""

import dataclasses

from keras_residual.weights._convolution_names import convolutions
from keras_residual.weights._layout import Layout

_SQUEEZE_EXCITE = {"squeeze_excite.reduce": "se.fc1", "squeeze_excite.expand": "se.fc2"}
_SQUEEZE_EXCITE_ROLES = tuple(_SQUEEZE_EXCITE)
_DEEP_STEM = {
    "conv1.conv": "conv1.0",
    "conv1.norm": "conv1.1",
    "conv2.conv": "conv1.3",
    "conv2.norm": "conv1.4",
    "conv3.conv": "conv1.6",
    "conv3.norm": "bn1",
}
_STEM = {"conv1.conv": "conv1", "conv1.norm": "bn1"}
_POOL = {"pool_conv.conv": "maxpool.0", "pool_conv.norm": "maxpool.1"}
# Maximal number of branches of a convolution in any published network.
_BRANCHES = range(8)
_MULTI_SCALE = {
    f"conv2.branch{n + 1}.{part}": f"{name}.{n}"
    for n in _BRANCHES
    for part, name in (("conv", "convs"), ("norm", "bns"))
}
_SPLIT = {
    "conv2.features.conv": "conv2.conv",
    "conv2.features.norm": "conv2.bn0",
    "conv2.reduce.conv": "conv2.fc1",
    "conv2.reduce.norm": "conv2.bn1",
    "conv2.select": "conv2.fc2",
}
_SELECTIVE = {
    name: value
    for conv in ("conv1", "conv2")
    for name, value in {
        **{f"{conv}.branch{n + 1}.conv": f"{conv}.paths.{n}.conv" for n in _BRANCHES},
        **{f"{conv}.branch{n + 1}.norm": f"{conv}.paths.{n}.bn" for n in _BRANCHES},
        f"{conv}.reduce.conv": f"{conv}.attn.fc_reduce",
        f"{conv}.reduce.norm": f"{conv}.attn.bn",
        f"{conv}.select": f"{conv}.attn.fc_select",
    }.items()
}
_SHORTCUT = {
    "shortcut.conv.conv": "downsample.0",
    "shortcut.conv.norm": "downsample.1",
    "shortcut.norm": "downsample.1",
    "pooled.conv.conv": "downsample.1",
    "pooled.conv.norm": "downsample.2",
}

TORCHVISION = Layout(
    "torchvision and timm",
    {
        "stem": ("", {**_STEM, **_POOL}),
        "deep_stem": ("", {**_DEEP_STEM, **_POOL}),
        "stage": (
            "layer{stage}.{block0}.",
            {
                **convolutions("conv{n}", "bn{n}"),
                **_SQUEEZE_EXCITE,
                **_MULTI_SCALE,
                **_SPLIT,
                "eca.conv": "se.conv",
                **_SHORTCUT,
            },
        ),
        "classifier": ("", {"": "fc"}),
    },
    pointwise=_SQUEEZE_EXCITE_ROLES,
    # Widely copied CIFAR code uses `linear` and `shortcut`, old versions of timm `se_module`.
    aliases=(
        (r"^linear\.", "fc."),
        (r"^(layer\d+\.\d+)\.shortcut\.", r"\1.downsample."),
        (r"\.se_module\.", ".se."),
    ),
)

TIMM_SELECTIVE = Layout(
    "timm's sknet",
    {
        "stem": ("", _STEM),
        "deep_stem": ("", _DEEP_STEM),
        "stage": (
            "layer{stage}.{block0}.",
            {**convolutions("conv{n}.conv", "conv{n}.bn"), **_SELECTIVE, **_SHORTCUT},
        ),
        "classifier": ("", {"": "fc"}),
    },
)

TIMM_REGNET = Layout(
    "timm's regnet",
    {
        "stem": ("stem.", {"conv1.conv": "conv", "conv1.norm": "bn"}),
        "stage": (
            "s{stage}.b{block}.",
            {
                **convolutions("conv{n}.conv", "conv{n}.bn"),
                **_SQUEEZE_EXCITE,
                "shortcut.conv.conv": "downsample.conv",
                "shortcut.conv.norm": "downsample.bn",
            },
        ),
        "final_conv": ("final_conv.", {"conv": "conv", "norm": "bn"}),
        "classifier": ("head.", {"": "fc"}),
    },
    pointwise=_SQUEEZE_EXCITE_ROLES,
)

TIMM_REGNET_V = Layout(
    "timm's regnetv",
    {
        "stem": ("", {"conv1.conv": "stem"}),
        "stage": (
            "s{stage}.b{block}.",
            {
                "norm1.norm": "norm1",
                **convolutions("conv{n}", "norm{next}"),
                "inner_norm.norm": "norm3",
                **_SQUEEZE_EXCITE,
                "shortcut.conv.conv": "downsample",
                "pooled.conv.conv": "downsample.1",
            },
        ),
        "classifier": ("head.", {"": "fc"}),
    },
    pointwise=_SQUEEZE_EXCITE_ROLES,
    options={"share_preactivation": "all"},
)

_TORCHVISION_PARTS = {1: "a", 2: "b", 3: "c"}
TORCHVISION_REGNET = Layout(
    "torchvision's regnet",
    {
        "stem": ("stem.", {"conv1.conv": "0", "conv1.norm": "1"}),
        "stage": (
            "trunk_output.block{stage}.block{stage}-{block0}.",
            {
                **{f"conv{n}.conv": f"f.{part}.0" for n, part in _TORCHVISION_PARTS.items()},
                **{f"conv{n}.norm": f"f.{part}.1" for n, part in _TORCHVISION_PARTS.items()},
                **{role: f"f.{name}" for role, name in _SQUEEZE_EXCITE.items()},
                "shortcut.conv.conv": "proj.0",
                "shortcut.conv.norm": "proj.1",
            },
        ),
        "classifier": ("", {"": "fc"}),
    },
    pointwise=_SQUEEZE_EXCITE_ROLES,
)

TORCHVISION_VIDEO = Layout(
    "torchvision's video",
    {
        "stem": ("stem.", {"conv1.conv": "0", "conv1.norm": "1"}),
        "stage": (
            "layer{stage}.{block0}.",
            {**convolutions("conv{n}.0", "conv{n}.1"), **_SHORTCUT},
        ),
        "classifier": ("", {"": "fc"}),
    },
)
# Two convolutions of a (2+1)D block take the place of one in other blocks.
TORCHVISION_FACTORIZED = dataclasses.replace(
    TORCHVISION_VIDEO,
    name="torchvision's r2plus1d",
    sections={
        **TORCHVISION_VIDEO.sections,
        "stem": (
            "stem.",
            {"conv1.conv": "0", "conv1.norm": "1", "conv2.conv": "3", "conv2.norm": "4"},
        ),
        "stage": (
            "layer{stage}.{block0}.",
            {
                **_SHORTCUT,
                "conv1.conv": "conv1.0.0",
                "conv1.norm": "conv1.0.1",
                "conv2.conv": "conv1.0.3",
                "conv2.norm": "conv1.1",
                "conv3.conv": "conv2.0.0",
                "conv3.norm": "conv2.0.1",
                "conv4.conv": "conv2.0.3",
                "conv4.norm": "conv2.1",
            },
        ),
    },
)

TRANSFORMERS = Layout(
    "transformers",
    {
        "stem": (
            "embedder.embedder.",
            {"conv1.conv": "convolution", "conv1.norm": "normalization"},
        ),
        "stage": (
            "encoder.stages.{stage0}.layers.{block0}.",
            {
                **convolutions("layer.{n0}.convolution", "layer.{n0}.normalization"),
                "shortcut.conv.conv": "shortcut.convolution",
                "shortcut.conv.norm": "shortcut.normalization",
            },
        ),
        "classifier": ("classifier.", {"": "1"}),
    },
    aliases=((r"^resnet\.", ""),),
)

TIMM_V2 = Layout(
    "timm's resnetv2",
    {
        "stem": ("stem.", {"conv1.conv": "conv"}),
        "deep_stem": ("stem.", convolutions("conv{n}", "norm{n}")),
        "stage": (
            "stages.{stage0}.blocks.{block0}.",
            {
                "norm1.norm": "norm1",
                **convolutions("conv{n}", "norm{next}"),
                "shortcut.conv.conv": "downsample.conv",
                "pooled.conv.conv": "downsample.conv",
            },
        ),
        "final_norm": ("", {"norm": "norm"}),
        "classifier": ("head.", {"": "fc"}),
    },
    pointwise=("classifier",),
    options={
        "share_preactivation": False,
        "strided_block": "first",
        "pool_padding": "minimum",
        "conv_bias": False,
        "weight_standardization": False,
    },
)
TIMM_TRANSFER = dataclasses.replace(
    TIMM_V2,
    name="timm's Big Transfer",
    options={**TIMM_V2.options, "pool_padding": "zero", "weight_standardization": True},
)

WIDE_RESNET = Layout(
    "pytorch WideResNet",
    {
        "stem": ("", _STEM),
        "deep_stem": ("", _DEEP_STEM),
        "stage": (
            "block{stage}.layer.{block0}.",
            {
                "norm1.norm": "bn1",
                **convolutions("conv{n}", "bn{next}"),
                **_SQUEEZE_EXCITE,
                "shortcut.conv.conv": "convShortcut",
                "pooled.conv.conv": "convShortcut",
                "shortcut.norm": "bnShortcut",
            },
        ),
        "final_norm": ("", {"norm": "bn1"}),
        "classifier": ("", {"": "fc"}),
    },
    pointwise=_SQUEEZE_EXCITE_ROLES,
)
