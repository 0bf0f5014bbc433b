"""Networks of few weights, one of each kind that has names in PyTorch."""

import keras_residual as kr

SMALL = {"input_shape": (32, 32, 3), "classes": 3}


def residual(block, depths, **options):
    """Returns a function that makes a residual network of two narrow stages."""
    return lambda: kr.ResNet(block, depths, (8, 16), **options, **SMALL)


NETWORKS = {
    "basic": residual("basic", (1, 2)),
    "bottleneck": residual("bottleneck", (2, 1)),
    "v1": residual("bottleneck", (1, 1), strided_conv="conv1", norm_epsilon=1.001e-5),
    "resnext": residual("bottleneck", (1, 1), cardinality=4, base_width=16),
    "d": residual("basic", (2, 1), stem="deep", stem_width=16, shortcut="pooled"),
    "squeeze_excite": residual("basic", (1, 1), se_ratio=0.25),
    "v2": residual("bottleneck", (2, 1), activation_order="pre"),
    "v2_shared": residual("basic", (2, 1), stem_width=8, activation_order="pre"),
    "v2_keras": residual(
        "bottleneck", (2, 2), activation_order="pre", strided_block="last", conv_bias=True
    ),
    "v2_d_squeeze_excite": residual(
        "basic", (1, 1), activation_order="pre", stem="deep", shortcut="pooled", se_ratio=0.25
    ),
    "option_a": residual("basic", (2, 2), stem="conv3", stem_width=8, shortcut="pad"),
    "plain": residual("basic", (2, 2), shortcut="none"),
    "group_norm": residual("basic", (1, 1), normalization="group"),
    "no_norm": residual("basic", (1, 1), normalization="none"),
    "scanned": residual("basic", (4, 2), stem="conv3", execution="scanned"),
    "scanned_v2": residual("bottleneck", (4, 3), activation_order="pre", execution="scanned"),
    "densenet": lambda: kr.DenseNet((2, 1), 4, **SMALL),
    "densenet_small_images": lambda: kr.DenseNet((2, 1), 4, stem="conv3", stem_width=8, **SMALL),
    "densenet_plain": lambda: kr.DenseNet((2, 1), 4, bottleneck=0, stem="deep", **SMALL),
    "dual": lambda: kr.DPN(
        (2, 1), (3, 2), (8, 8), base_width=4, cardinality=2, split_last=True, **SMALL
    ),
    "time_series": lambda: kr.ResNet1D(input_shape=(32, 1), classes=3),
}
