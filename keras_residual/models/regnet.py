"""RegNet: networks whose widths are linear in the depth, quantized to a few stages."""

import collections
import math
from typing import Any

from keras_residual.models.factories import factories
from keras_residual.models.resnet_architecture import ResNetArchitecture
from keras_residual.models.rows import row

RADOSAVOVIC_2020 = "[Radosavovic et al., 2020](https://arxiv.org/abs/2003.13678)"
DOLLAR_2021 = "[Dollár et al., 2021](https://arxiv.org/abs/2103.06877)"
_SE = {"attention": "inner_squeeze_excite", "se_ratio": 1 / 4}
PREACTIVATED = {
    **_SE,
    "activation": "silu",
    "activation_order": "pre",
    "share_preactivation": "all",
    "final_layer": "activation",
}
INVERTED = {**_SE, "activation": "silu", "activation_order": "inner", "shortcut": "identity"}
_QUANTUM = 8
# torchvision's names of the networks.
_TORCHVISION = {
    "X002": "",
    "X004_TV": "x_400mf",
    "X008": "x_800mf",
    "X016": "x_1_6gf",
    "X032": "x_3_2gf",
    "X080": "x_8gf",
    "X160": "x_16gf",
    "X320": "x_32gf",
    "Y004": "y_400mf",
    "Y008_TV": "y_800mf",
    "Y016": "y_1_6gf",
    "Y032": "y_3_2gf",
    "Y080_TV": "y_8gf",
    "Y160": "y_16gf",
    "Y320": "y_32gf",
    "Y1280": "y_128gf",
}


def _stages(depth, w0, wa, wm, group_width, ratio, rounded_down):
    """Returns depths and inner widths of the stages from the paper's parameters.

    Block j is w0 + wa · j wide, rounded to the nearest w0 · wm^k and to a multiple of 8. Equal
    widths make a stage; the width inside a block is then rounded to a multiple of the group's.
    """
    widths = []
    for block in range(depth):
        power = round(math.log((w0 + wa * block) / w0) / math.log(wm))
        widths.append(round(w0 * wm**power / _QUANTUM) * _QUANTUM)
    counts = collections.Counter(widths)
    inner = []
    for width in counts:
        group = min(group_width, width * ratio)
        if rounded_down:
            # torchvision rounds halves up, and adds a group if more than a tenth would be lost.
            rounded = max(group, (width * ratio + group // 2) // group * group)
            inner.append(rounded + group * (rounded < 0.9 * width * ratio))
        else:
            inner.append(round(width * ratio / group) * group)
    return tuple(counts.values()), tuple(inner)


def regnet(
    depth, w0, wa, wm, group_width, ratio=1, rounded_down=False, **options
) -> dict[str, Any]:
    """Returns the options of a `ResNet` from the parameters of a RegNet.

    Args:
        depth: Number of blocks.
        w0: Width of the first block.
        wa: Slope of the width over the blocks.
        wm: Ratio of the widths of neighbouring stages.
        group_width: Channels of a group of the 3×3 convolution.
        ratio: Width inside a block over its output's: 1, or 4 in RegNetZ.
        rounded_down: Whether widths are rounded as torchvision does.
        **options: Further options, such as `attention`.
    """
    depths, widths = _stages(depth, w0, wa, wm, group_width, ratio, rounded_down)
    return {
        "depths": depths,
        "widths": widths,
        "expansion": 1 / ratio,
        "group_width": group_width,
        "stem": "strided3",
        "stem_width": 32,
        "stage_strides": (2,) * len(depths),
        **options,
    }


# The parameters of each network by its name, for searches around it.
PARAMETERS: dict[str, dict[str, object]] = {}


def _named(
    name, paper, summary, depth, w0, wa, wm, group_width, *, aliases=(), further=(), **options
):
    """Returns a row; `further` are parameters beyond the usual ones."""
    parameters = {"depth": depth, "w0": w0, "wa": wa, "wm": wm, "group_width": group_width}
    PARAMETERS[name] = {**parameters, **dict(further)}
    return row(name, paper, summary, aliases=aliases, **regnet(**PARAMETERS[name], **options))


def _row(kind, size, *parameters):
    torchvision = _TORCHVISION.get(kind + size)
    more = _SE if kind == "Y" else {}
    return _named(
        f"RegNet{kind}{size}",
        RADOSAVOVIC_2020,
        f"RegNet{kind} {size.removesuffix('_TV')}00MF.",
        *parameters,
        aliases=[f"regnet_{torchvision}"] if torchvision else (),
        further={"rounded_down": True} if size.endswith("_TV") else {},
        **more,
    )


TABLE = (
    _row("X", "002", 13, 24, 36.44, 2.49, 8),
    _row("X", "004", 22, 24, 24.48, 2.54, 16),
    _row("X", "004_TV", 22, 24, 24.48, 2.54, 16),
    _row("X", "006", 16, 48, 36.97, 2.24, 24),
    _row("X", "008", 16, 56, 35.73, 2.28, 16),
    _row("X", "016", 18, 80, 34.01, 2.25, 24),
    _row("X", "032", 25, 88, 26.31, 2.25, 48),
    _row("X", "040", 23, 96, 38.65, 2.43, 40),
    _row("X", "064", 17, 184, 60.83, 2.07, 56),
    _row("X", "080", 23, 80, 49.56, 2.88, 120),
    _row("X", "120", 19, 168, 73.36, 2.37, 112),
    _row("X", "160", 22, 216, 55.59, 2.1, 128),
    _row("X", "320", 23, 320, 69.86, 2.0, 168),
    _row("Y", "002", 13, 24, 36.44, 2.49, 8),
    _row("Y", "004", 16, 48, 27.89, 2.09, 8),
    _row("Y", "006", 15, 48, 32.54, 2.32, 16),
    _row("Y", "008", 14, 56, 38.84, 2.4, 16),
    _row("Y", "008_TV", 14, 56, 38.84, 2.4, 16),
    _row("Y", "016", 27, 48, 20.71, 2.65, 24),
    _row("Y", "032", 21, 80, 42.63, 2.66, 24),
    _row("Y", "040", 22, 96, 31.41, 2.24, 64),
    _row("Y", "064", 25, 112, 33.22, 2.27, 72),
    _row("Y", "080", 17, 192, 76.82, 2.19, 56),
    _row("Y", "080_TV", 17, 192, 76.82, 2.19, 56),
    _row("Y", "120", 19, 168, 73.36, 2.37, 112),
    _row("Y", "160", 18, 200, 106.23, 2.48, 112),
    _row("Y", "320", 20, 232, 115.89, 2.53, 232),
    _row("Y", "640", 20, 352, 147.48, 2.4, 328),
    _row("Y", "1280", 27, 456, 160.83, 2.52, 264),
    _row("Y", "2560", 27, 640, 230.83, 2.53, 373),
    _named(
        "RegNetV040",
        RADOSAVOVIC_2020,
        "RegNetV 4000MF: RegNetY with pre-activation, by timm.",
        22,
        96,
        31.41,
        2.24,
        64,
        **PREACTIVATED,
    ),
    _named(
        "RegNetV064",
        RADOSAVOVIC_2020,
        "RegNetV 6400MF: RegNetY with pre-activation, by timm.",
        25,
        112,
        33.22,
        2.27,
        72,
        **PREACTIVATED,
        shortcut="pooled",
    ),
    _named(
        "RegNetZ005",
        DOLLAR_2021,
        "RegNetZ 500MF: four times as wide inside its blocks.",
        21,
        16,
        10.7,
        2.51,
        4,
        further={"ratio": 4},
        **INVERTED,
        final_layer=1024,
    ),
    _named(
        "RegNetZ040",
        DOLLAR_2021,
        "RegNetZ 4000MF: four times as wide inside its blocks.",
        28,
        48,
        14.5,
        2.226,
        8,
        further={"ratio": 4},
        **INVERTED,
        final_layer="activation",
    ),
    _named(
        "RegNetZ040H",
        DOLLAR_2021,
        "RegNetZ 4000MF with a last 1×1 convolution.",
        28,
        48,
        14.5,
        2.226,
        8,
        further={"ratio": 4},
        **INVERTED,
        final_layer=1536,
    ),
)
globals().update(factories(TABLE, ResNetArchitecture, "ResNet", (224, 224, 3), 1000))
