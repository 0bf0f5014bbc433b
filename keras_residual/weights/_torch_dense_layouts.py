"""The layouts of PyTorch's libraries for densely connected and dual path networks."""

from keras_residual.weights._convolution_names import convolutions
from keras_residual.weights._layout import Layout

_DENSE_ROLES = {"norm1.norm": "norm1", **convolutions("conv{n}", "norm{next}")}

TORCHVISION_DENSENET = Layout(
    "torchvision and timm",
    {
        "stem": ("features.", {"conv1.conv": "conv0", "conv1.norm": "norm0"}),
        "deep_stem": ("features.", convolutions("conv{n0}", "norm{n0}")),
        "dense": ("features.denseblock{stage}.denselayer{block}.", _DENSE_ROLES),
        "transition": (
            "features.transition{stage}.",
            {"norm1.norm": "norm", "conv1.conv": "conv"},
        ),
        "final_norm": ("features.", {"norm": "norm5"}),
        "classifier": ("", {"": "classifier"}),
    },
    # torchvision's files still use the names of its first version.
    aliases=(
        (r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),
        (r"^features\.norm_final\.", "features.norm5."),
    ),
)

TIMM_DPN = Layout(
    "timm's dpn",
    {
        "stem": ("features.conv1_1.", {"conv1.conv": "conv", "conv1.norm": "bn"}),
        "dual": (
            "features.conv{stage2}_{block}.",
            {
                "norm1.norm": "c1x1_a.bn",
                "conv1.conv": "c1x1_a.conv",
                "conv1.norm": "c3x3_b.bn",
                "conv2.conv": "c3x3_b.conv",
                "conv2.norm": "c1x1_c.bn",
                "conv3.conv": "c1x1_c.conv",
                "residual_conv.conv": "c1x1_c1",
                "dense_conv.conv": "c1x1_c2",
                "projection_norm.norm": "c1x1_w_s{strides}.bn",
                "projection.conv": "c1x1_w_s{strides}.conv",
            },
        ),
        "final_norm": ("features.conv5_bn_ac.", {"norm": "bn"}),
        "classifier": ("", {"": "classifier"}),
    },
    pointwise=("classifier",),
)
