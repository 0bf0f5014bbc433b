"""FractalNet: deep networks with paths of many lengths, without residual connections."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from keras_residual import _checks
from keras_residual.layers import FractalBlock
from keras_residual.layers.average_pool import DOWNSAMPLING
from keras_residual.models._requirements import SHARED, Requirement
from keras_residual.models.assembly import Body
from keras_residual.models.factories import classifier, factories
from keras_residual.models.image_architecture import ImageArchitecture
from keras_residual.models.registry import builder
from keras_residual.models.rows import row

LARSSON_2017 = "[Larsson et al., 2017](https://arxiv.org/abs/1605.07648)"


@dataclass(frozen=True)
class FractalArchitecture(ImageArchitecture):
    """The options of a fractal network; `FractalNet` documents them."""

    requirements: ClassVar = (
        *(requirement for requirement in SHARED if requirement.option != "blur_pool"),
        Requirement(
            "blur_pool",
            "max pooling in the stem",
            ("stem", "stem_pool"),
            lambda options, body: (
                len(body.layers) > len(options.widths) + 1
                and options.stem_pool is True
                and options.blur_pool is True
            ),
        ),
        Requirement(
            "global_drop_path",
            "several columns",
            ("columns",),
            lambda options, _: options.columns > 1,
        ),
    )

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    columns: int = 3
    drop_path_rate: float = 0.0
    global_drop_path: float = 0.0
    stem: str = "none"

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order: a stem, if there is one, and fractal blocks."""
        widths = _checks.integers("widths", self.widths)
        dropout = _checks.real("dropout_rate", self.dropout_rate, 0, 1, open_end=True)
        _checks.choice("blur_pool", self.blur_pool, DOWNSAMPLING)
        shared = self.layer_options(dtype, data_format)
        layers = self.stem_layers(False, shared)
        features = {} if self.stem == "none" else {"C1": 0}
        strides, dilation = layers[0].total_strides * 2 ** (len(layers) - 1), 1
        stem_strides = strides
        limit = self.largest_stride(strides, (2,) * len(widths))
        # All blocks choose alike. Python's generator is what `keras.utils.set_random_seed` seeds.
        seed = random.randrange(2**31) if self.global_drop_path else None
        for index, width in enumerate(widths):
            step = 2 if strides * 2 <= limit else 1
            block = FractalBlock(
                width,
                self.columns,
                step,
                dilation,
                drop_path_rate=self.drop_path_rate,
                global_drop_path=self.global_drop_path,
                column_seed=seed,
                dropout_rate=dropout * index / max(1, len(widths) - 1),
                rematerialize=self.rematerialize,
                name=f"fractal{index + 1}",
                **shared,
            )
            strides, dilation = strides * step, dilation * 2 // step
            layers.append(block)
            features[f"C{index + 2}"] = len(layers) - 1
        return Body(layers, features, strides, stem_strides=stem_strides)


@builder
@classifier(FractalArchitecture, input_shape=(32, 32, 3), classes=10)
def FractalNet(
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    columns: int = 3,
    **architecture_options: Any,
) -> FractalArchitecture:
    """Returns a fractal network with any combination of options.

    Fractal blocks, each of which halves the resolution at its end, average pooling and a
    classifier. Named members such as `FractalNet20` are rows of a table over this.

    Args:
        widths: Channels of each block.
        columns: Columns of each block; the longest has 2^(columns - 1) convolutions. Defaults to
            `3`.
        drop_path_rate: Probability of dropping a path from a mean, see `layers.FractalBlock`; 0.15
            in the paper. Defaults to `0`.
        global_drop_path: Share of the samples that take a single random column through all blocks
            in training; 0.5 in the paper. Defaults to `0`.
        dropout_rate: Dropout after the convolutions of the last block; it grows linearly from 0 in
            the first. Defaults to `0`.
        blur_pool: Whether the max pooling of a stem downsamples by a blur.
        stem: As in other networks, see `layers.Stem`. Defaults to `"none"`.
        input_shape: Optional shape without batch, one to three spatial sizes (or `None`) and the
            channels. Defaults to `(32, 32, 3)`, without sizes if `include_top=False`.
        **architecture_options: Those of `ImageArchitecture`.

    Example:

    >>> FractalNet((4, 8), 2, input_shape=(8, 8, 1), classes=2).output_shape
    (None, 2)

    Reference:
        - [Larsson et al., 2017](https://arxiv.org/abs/1605.07648)
    """
    return FractalArchitecture(widths=widths, columns=columns, **architecture_options)


TABLE = (
    row("FractalNet20", LARSSON_2017, "FractalNet-20: five blocks of three columns.", columns=3),
    row(
        "FractalNet40",
        LARSSON_2017,
        "FractalNet-40: five blocks of four columns, a quarter as wide.",
        columns=4,
        widths=(16, 32, 64, 128, 128),
    ),
)
globals().update(factories(TABLE, FractalArchitecture, "FractalNet", (32, 32, 3), 10))
