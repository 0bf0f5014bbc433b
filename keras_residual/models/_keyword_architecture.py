"""The options of the keyword networks and the layers that follow from them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from keras_residual import _checks
from keras_residual.layers import (
    BroadcastedResidualBlock,
    ConvNorm,
    KeywordBlock,
    LogMelSpectrogram,
)
from keras_residual.layers.keyword_block import bare_norm
from keras_residual.layers.spectrogram_parts import (
    FrequencyConvolution,
    SpectrogramChannel,
    SpectrogramPool,
)
from keras_residual.models._requirements import NORM_EPSILON, NORM_MOMENTUM, Requirement
from keras_residual.models.assembly import Body
from keras_residual.models.image_architecture import NormalizedArchitecture

FRONT_ENDS = ("log_mel", "mfcc", None)


def _of_front_end(option: str) -> Requirement:
    return Requirement(
        option,
        "a `front_end`",
        ("front_end",),
        lambda options, _: options.front_end is not None,
    )


@dataclass(frozen=True, kw_only=True)
class KeywordArchitecture(NormalizedArchitecture):
    """Base of keyword networks: from waveforms to spectrograms; a subclass implements `layers`."""

    requirements: ClassVar = (
        NORM_MOMENTUM,
        *map(_of_front_end, ("frame_length", "min_freq", "max_freq", "log_offset")),
    )
    rank: ClassVar = 2

    front_end: str | None = "log_mel"
    sampling_rate: int = 16000
    num_mel_bins: int = 40
    frame_length: float = 0.03
    frame_step: float = 0.01
    min_freq: float = 0.0
    max_freq: float | None = None
    log_offset: float = 1e-6

    @property
    def takes_waveforms(self) -> bool:
        return self.front_end is not None

    @property
    def default_shape(self) -> tuple[int, ...]:
        """One second of sound."""
        rate = _checks.integer("sampling_rate", self.sampling_rate)
        if self.takes_waveforms:
            return (rate,)
        return (rate // self._samples("frame_step") + 1, self.num_mel_bins, 1)

    def body(self, dtype: Any, data_format: str) -> Body:
        """Returns the layers in order, from the waveform on."""
        _checks.choice("front_end", self.front_end, FRONT_ENDS)
        front = []
        if self.takes_waveforms:
            front = [
                self._spectrogram(dtype),
                SpectrogramChannel(name="channel", dtype=dtype, data_format=data_format),
            ]
        default = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        shared = {
            # PyTorch's, which the authors' code has.
            "kernel_initializer": self.kernel_initializer or default,
            "kernel_regularizer": self.kernel_regularizer,
            **self.norm_options(dtype, data_format),
        }
        layers, features = self.layers(shared)
        places = {name: place + len(front) for name, place in features.items()}
        return Body([*front, *layers], places, 1)

    def layers(self, shared: dict[Any, Any]) -> tuple[list[Any], dict[str, int]]:
        """Returns the layers after the front end, and the indices of multi-scale outputs."""
        raise TypeError(f"{type(self).__name__} must implement `layers`.")

    def _samples(self, name: str) -> int:
        seconds = _checks.real(name, getattr(self, name), 0, 10, open_start=True)
        return max(1, round(seconds * self.sampling_rate))

    def _spectrogram(self, dtype):
        """Returns the front end: log-mel energies as in torchaudio, or MFCC as in librosa."""
        rate = _checks.integer("sampling_rate", self.sampling_rate)
        length = self._samples("frame_length")
        highest = None if self.max_freq is None else min(self.max_freq, rate / 2)
        cepstral = {"mel_scale": "slaney", "norm": "slaney", "num_coefficients": self.num_mel_bins}
        return LogMelSpectrogram(
            rate,
            self.num_mel_bins,
            length,
            self._samples("frame_step"),
            fft_length=max(2, 1 << (length - 1).bit_length()),
            min_freq=self.min_freq,
            max_freq=highest,
            offset=_checks.real("log_offset", self.log_offset, 1e-30, 1e30),
            dtype=dtype,
            name="spectrogram",
            **(cepstral if self.front_end == "mfcc" else {}),
        )


@dataclass(frozen=True, kw_only=True)
class KeywordResNetArchitecture(KeywordArchitecture):
    """The options of `KeywordResNet`."""

    front_end: str | None = "mfcc"
    min_freq: float = 20.0
    max_freq: float | None = 4000.0
    depth: int = 6
    width: int = 45
    pool: tuple[int, int] | None = None
    dilated: bool = False

    def layers(self, shared):
        depth = _checks.integer("depth", self.depth, minimum=2)
        width, dilated = _checks.integer("width", self.width), self.dilated
        _checks.boolean("dilated", dilated)
        dilations = [2 ** (index // 3) if dilated else 1 for index in range(depth)]
        biased = {"normalization": "none", "use_bias": self.normalization == "none"}
        layers = [ConvNorm(width, 3, name="conv0", **{**shared, **biased})]
        plain = {key: shared[key] for key in ("dtype", "data_format")}
        if self.pool is not None:
            layers.append(SpectrogramPool(self.pool, name="pool0", **plain))
        blocks = [
            KeywordBlock(
                width,
                tuple(dilations[index : index + 2]),
                normalize_input=index > 0,
                name=f"block{index // 2 + 1}",
                **shared,
            )
            for index in range(0, depth - 1, 2)
        ]
        layers += blocks
        if depth % 2:
            # With an odd number of convolutions the last one has no shortcut.
            layers.append(bare_norm(blocks[-1], "last_norm"))
            last = {"dilation_rate": dilations[-1], "name": "last_conv"}
            layers.append(ConvNorm(width, 3, **last, **{**shared, **biased}))
        layers.append(bare_norm(blocks[-1], "final_norm"))
        return layers, {"C1": 0, "C2": len(layers) - 1}


@dataclass(frozen=True, kw_only=True)
class BCResNetArchitecture(KeywordArchitecture):
    """The options of `BCResNet`."""

    requirements: ClassVar = (*KeywordArchitecture.requirements, NORM_EPSILON)

    width_factor: float = 1.0
    depths: tuple[int, ...] = (2, 2, 4, 4)
    sub_bands: int = 5
    dropout_rate: float = 0.1

    def layers(self, shared):
        base = 8 * _checks.real("width_factor", self.width_factor, 0.25, 1000)
        depths = _checks.integers("depths", self.depths)
        if len(depths) != 4:
            raise ValueError(
                "`depths` must hold the numbers of blocks of four stages. "
                f"Received: depths={self.depths!r}"
            )
        widths = [int(base * factor) for factor in (1, 1.5, 2, 2.5)]
        layers = [ConvNorm(int(2 * base), 5, strides=(1, 2), name="stem", **shared)]
        features = {"C1": 0}
        for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            layers += [
                BroadcastedResidualBlock(
                    width,
                    strides=2 if stage in (1, 2) and block == 0 else 1,
                    dilation_rate=2**stage,
                    sub_bands=self.sub_bands,
                    dropout_rate=self.dropout_rate,
                    name=f"stage{stage + 1}_block{block + 1}",
                    **shared,
                )
                for block in range(depth)
            ]
            features[f"C{stage + 2}"] = len(layers) - 1
        kernels = ("kernel_initializer", "kernel_regularizer", "dtype", "data_format")
        plain = {key: shared[key] for key in kernels}
        layers.append(
            FrequencyConvolution(widths[-1], 5, groups=widths[-1], name="frequency_conv", **plain)
        )
        layers.append(ConvNorm(int(4 * base), 1, name="head", **shared))
        return layers, features
