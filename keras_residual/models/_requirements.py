"""Options that have an effect only together with others, and are refused without them."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_residual import _checks
from keras_residual.layers.stem import POOLING


@dataclass(frozen=True)
class Requirement:
    """What an option requires to have an effect.

    Attributes:
        option: Name of the option.
        needs: The requirement in words.
        beside: Names of the options that decide whether it is met.
        met: Whether an architecture with its body meets it.
    """

    option: str
    needs: str
    beside: tuple[str, ...]
    met: Callable[[object, object], bool]


def downsampling(body) -> bool:
    """Returns whether any layer after the stem is strided."""
    return body.strides > body.stem_strides


STEM_WIDTH = Requirement(
    "stem_width", "a stem", ("stem",), lambda options, _: options.stem != "none"
)
BLUR_POOL = Requirement(
    "blur_pool",
    "strides behind the first convolution",
    ("stem", "stem_pool", "depths", "output_stride"),
    lambda options, body: (
        downsampling(body)
        or (options.stem in POOLING and options.stem_pool is True and options.blur_pool is True)
    ),
)
NORM_MOMENTUM = Requirement(
    "norm_momentum",
    'normalization="batch"',
    ("normalization",),
    lambda options, _: options.normalization == "batch",
)
NORM_EPSILON = Requirement(
    "norm_epsilon",
    "a normalization",
    ("normalization",),
    lambda options, _: options.normalization not in ("none", "folded"),
)
# Of every family of networks for images.
SHARED = (STEM_WIDTH, BLUR_POOL, NORM_MOMENTUM, NORM_EPSILON)


def check(architecture, body, default) -> None:
    """Raises a ValueError for an option that differs from `default` without any effect."""
    for requirement in getattr(architecture, "requirements", ()):
        option = requirement.option
        _checks.effective(
            option,
            getattr(architecture, option),
            getattr(default, option),
            requirement.met(architecture, body),
            requirement.needs,
            **{name: getattr(architecture, name) for name in requirement.beside},
        )
