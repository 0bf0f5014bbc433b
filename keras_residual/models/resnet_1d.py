"""The residual network for time series."""

from keras_residual.models.factories import factories
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

TABLE = (
    row(
        "ResNet1D",
        "[Wang et al., 2017](https://arxiv.org/abs/1611.06455)",
        "ResNet for time series: three blocks of three convolutions, kernels of 8, 5 and 3 steps.",
        block="basic",
        depths=(1, 1, 1),
        widths=(64, 128, 128),
        kernel_sizes=(8, 5, 3),
        stem="none",
        stage_strides=(1, 1, 1),
        normalize_identity=True,
        norm_momentum=0.99,
        norm_epsilon=1e-3,
        kernel_initializer="glorot_uniform",
    ),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (128, 1), 2))
