"""Networks of few weights, one of each kind that has names in PyTorch."""

import keras_residual as kr

SMALL = {"input_shape": (32, 32, 3), "classes": 3}


NETWORKS = {
    "basic": lambda: kr.ResNet("basic", (1, 2), (8, 16), **SMALL),
    "bottleneck": lambda: kr.ResNet("bottleneck", (2, 1), (8, 16), **SMALL),
    "v1": lambda: kr.ResNet(
        "bottleneck", (1, 1), (8, 16), strided_conv="conv1", norm_epsilon=1.001e-5, **SMALL
    ),
    "resnext": lambda: kr.ResNet(
        "bottleneck", (1, 1), (8, 16), cardinality=4, base_width=16, **SMALL
    ),
    "d": lambda: kr.ResNet(
        "basic", (2, 1), (8, 16), stem="deep", stem_width=16, shortcut="pooled", **SMALL
    ),
    "squeeze_excite": lambda: kr.ResNet("basic", (1, 1), (8, 16), se_ratio=0.25, **SMALL),
    "v2": lambda: kr.ResNet("bottleneck", (2, 1), (8, 16), activation_order="pre", **SMALL),
    "v2_shared": lambda: kr.ResNet(
        "basic", (2, 1), (8, 16), stem_width=8, activation_order="pre", **SMALL
    ),
    "v2_keras": lambda: kr.ResNet(
        "bottleneck",
        (2, 2),
        (8, 16),
        activation_order="pre",
        strided_block="last",
        conv_bias=True,
        **SMALL,
    ),
    "v2_d_squeeze_excite": lambda: kr.ResNet(
        "basic",
        (1, 1),
        (8, 16),
        activation_order="pre",
        stem="deep",
        shortcut="pooled",
        se_ratio=0.25,
        **SMALL,
    ),
    "option_a": lambda: kr.ResNet(
        "basic", (2, 2), (8, 16), stem="conv3", stem_width=8, shortcut="pad", **SMALL
    ),
    "plain": lambda: kr.ResNet("basic", (2, 2), (8, 16), shortcut="none", **SMALL),
    "group_norm": lambda: kr.ResNet("basic", (1, 1), (8, 16), normalization="group", **SMALL),
    "no_norm": lambda: kr.ResNet("basic", (1, 1), (8, 16), normalization="none", **SMALL),
    "scanned": lambda: kr.ResNet(
        "basic", (4, 2), (8, 16), stem="conv3", execution="scanned", **SMALL
    ),
    "scanned_v2": lambda: kr.ResNet(
        "bottleneck", (4, 3), (8, 16), activation_order="pre", execution="scanned", **SMALL
    ),
    "densenet": lambda: kr.DenseNet((2, 1), 4, **SMALL),
    "densenet_small_images": lambda: kr.DenseNet((2, 1), 4, stem="conv3", stem_width=8, **SMALL),
    "densenet_plain": lambda: kr.DenseNet((2, 1), 4, bottleneck=0, stem="deep", **SMALL),
    "dual": lambda: kr.DPN(
        (2, 1), (3, 2), (8, 8), base_width=4, cardinality=2, split_last=True, **SMALL
    ),
    "time_series": lambda: kr.ResNet1D(input_shape=(32, 1), classes=3),
}
