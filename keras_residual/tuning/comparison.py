"""Whether a modified network may compute the same function, judged by the architectures alone."""

import dataclasses
from itertools import pairwise

from keras_residual.layers.bottleneck_block import EXPANSION
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.tuning.transfer import NotKeptError

# Options that may change while the function is preserved; sizes are compared one by one.
_FREE = {"drop_path_rate", "dropout_rate", "se_divisor", "execution", "rematerialize"}
_SIZES = {
    "depths",
    "widths",
    "stem_width",
    "se_ratio",
    "kernel_sizes",
    "cardinality",
    "base_width",
    "stage_strides",
}
# Options that a change handles; any other, if it differs from the default, adds layers that it
# cannot transfer.
_KNOWN = (
    _FREE
    | _SIZES
    | {
        "block",
        "activation",
        "activation_order",
        "conv_bias",
        "kernel_initializer",
        "kernel_regularizer",
        "norm_epsilon",
        "norm_momentum",
        "normalize_identity",
        "pool_padding",
        "share_preactivation",
        "shortcut",
        "stem",
        "stem_pool",
        "strided_conv",
        "zero_init_residual",
    }
)


def check_settings(before: ResNetArchitecture, after: ResNetArchitecture) -> None:
    """Checks that no setting prevents a modified network from computing the same function.

    Raises:
        NotKeptError: If one does.
    """
    for field in dataclasses.fields(before):
        ours, theirs = getattr(after, field.name), getattr(before, field.name)
        if field.name not in _FREE | _SIZES and ours != theirs:
            raise NotKeptError(f"`{field.name}` is {ours!r} in place of {theirs!r}")
        if field.name not in _KNOWN and ours != field.default:
            raise NotKeptError(f"`{field.name}` is {ours!r}")
    if before.block not in ("basic", "bottleneck"):
        raise NotKeptError(f"`block` is {before.block!r}")
    if before.activation_order == "outer":
        raise NotKeptError("blocks that normalize their sums are never the identity")
    if before.normalization != "batch":
        raise NotKeptError("only batch normalization is independent per channel")
    if len(before.kernel_sizes) != len(after.kernel_sizes):
        raise NotKeptError("the number of `kernel_sizes` differs")
    if len(after.depths) < len(before.depths):
        raise NotKeptError("a stage is missing")
    strides = before.stage_strides_or_default()
    if after.stage_strides_or_default()[: len(strides)] != strides:
        raise NotKeptError("`stage_strides` differ")


def check_sizes(before: ResNetArchitecture, after: ResNetArchitecture) -> None:
    """Checks that no part of a modified network is too narrow to hold that of the old one.

    Raises:
        NotKeptError: If one is.
    """
    if after.stem_width < before.stem_width:
        raise NotKeptError("the stem is narrower")
    if after.se_ratio < before.se_ratio:
        raise NotKeptError("squeeze-and-excitation was removed or is narrower")
    padded = [_padded_channels(architecture) for architecture in (before, after)]
    for stage, width in enumerate(before.widths):
        if after.widths[stage] < width:
            raise NotKeptError(f"stage {stage + 1} is narrower")
        if before.shortcut in ("pad", "pooled_pad") and padded[1][stage] < padded[0][stage]:
            raise NotKeptError(f"the shortcut of stage {stage + 1} pads fewer channels")


def _padded_channels(architecture):
    """Returns how many channels the shortcut of each stage adds."""
    expansion = EXPANSION if architecture.block == "bottleneck" else 1
    widths = [width * expansion for width in architecture.widths]
    return [after - before for before, after in pairwise([architecture.stem_width, *widths])]
