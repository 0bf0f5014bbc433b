"""A transcriber: sequences of labels without alignment, trained with CTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_residual import _checks
from keras_residual._types import Shape
from keras_residual.layers.log_mel_spectrogram import LogMelSpectrogram
from keras_residual.layers.lstm.causal_block import CausalResidualBlock
from keras_residual.layers.lstm.step_masks import CertainBlank, ShortenedMask, TrailingPadding
from keras_residual.models.registry import builder
from keras_residual.models.sequences import (
    SequenceOptions,
    classified,
    finished,
    sequence_options,
)
from keras_residual.models.streaming import SequenceModel

# Number of input steps that is used to infer the stride of a front network.
_STEPS = 3840
# Maps log-mel powers, about -14 to 5, to values around zero.
_SCALE, _OFFSET = 1 / 6, 1.0


@builder(task="transcription")
def ResidualLSTMTranscriber(
    input_shape: Shape | None = None,
    vocabulary_size: int | None = None,
    classes: int = 28,
    units: int = 128,
    num_layers: int = 4,
    front: str | keras.Model | None = None,
    strides: int = 2,
    spectrogram: Mapping[str, Any] | None = None,
    weights: object = None,
    name: str = "residuallstmtranscriber",
    **options: Any,
) -> SequenceModel:
    """Predicts label sequences without alignment: a residual LSTM stack, trained with CTC.

    For speech to characters or words, lines of handwriting, gestures. At each step the model
    outputs a logit for each class and, last, one for the blank, which has probability 1 at masked
    steps. Train it with `training.CTC()`, evaluate it by `training.CharacterErrorRate()`, and
    decode its outputs with `inference.decode_greedy` or `inference.decode_beam`.

    Args:
        input_shape: Shape without batch: `(steps, features)` for numbers; `(steps,)` for integers;
            `(samples,)` or `(samples, 1)` for waveforms, with `spectrogram`; `(height, width,
            channels)` for pictures, whose columns are the steps. The axis of the steps may be
            `None`.
        vocabulary_size: For sequences of integers: the number of different ones. They are embedded,
            and 0 is padding. `None` for all else.
        classes: Positive integer, number of classes without the blank. Defaults to `28`.
        units: Positive integer, width of the LSTM layers. Defaults to `128`.
        num_layers: Positive integer, number of LSTM layers. Defaults to `4`.
        front: The network below the stack: `None`; `"causal"`, a residual block of causal
            convolutions for each factor 2 of `strides`, which can be streamed; or a Keras model
            without top, such as `ResNet1D(include_top=False, input_shape=(None, 40))`, or one for
            pictures, whose rows are concatenated to the features of a column.
        strides: With `front="causal"`, power of 2: the factor by which the number of steps is
            reduced. Labels need a step each, and one more between equal neighbours. Defaults to
            `2`.
        spectrogram: For waveforms, a dict of options of `layers.LogMelSpectrogram`, such as
            `{"sampling_rate": 8000}`. The ends are padded with zeros by default.
        weights: `None` for a random initialization, a path, a URL or `"hf://owner/name"`.
        name: Name of the model.
        **options: As below, or any other argument of `keras_residual.layers.ResidualLSTM`.
        first_residual: Index, from 0, of the first layer whose input is added to its output; `None`
            for a plain stack. `"auto"`, the default, is `1`, or `2` above a bidirectional layer.
        bidirectional_bottom: Whether the bottom layer runs in both directions. Defaults to `False`.
        embedding_size: Width of the embedding. Defaults to `units`.
        mask_value: Number: steps whose features, columns whose pixels, and samples at the end that
            all equal it are padding. Defaults to `None`.
        dropout: Number in `[0, 1)`, fraction of the inputs of each LSTM layer and of the classifier
            to drop.
        dtype: Dtype policy or its name. Defaults to Keras' global one.

    Returns:
        A `keras.Model` from `(batch, *input_shape)` to logits `(batch, steps, classes + 1)`.
        Without a front or with a causal one, its `step` takes the next steps of a stream.

    Raises:
        ValueError: If an argument is out of range or unknown, or has no effect beside the others.

    Example:

    >>> ResidualLSTMTranscriber((None, 40), classes=10, units=8, front="causal").output_shape
    (None, None, 11)

    Reference:
        - [Graves et al., 2006](https://doi.org/10.1145/1143844.1143891), the loss
        - [Wu et al., 2016](https://arxiv.org/abs/1609.08144), section 3.1, the residual stack
    """
    _checks.integer("classes", classes)
    source = _source(input_shape, vocabulary_size, spectrogram, units, num_layers, options)
    strides = _factors(front, strides)
    inputs, raw, x = source.inputs()
    policy = source.options.policy
    if front == "causal":
        for index, stride in enumerate(strides):
            x = CausalResidualBlock(units, strides=stride, dtype=policy, name=f"front_{index}")(x)
    elif front is not None:
        x = _below(front, raw, x, policy)
    x = source.options.stack(x, return_sequences=True)
    x = classified(x, classes + 1, None, policy)
    x = CertainBlank(dtype=x.dtype, name="blank")(x)
    return finished(inputs, x, weights, name)


def _factors(front, strides) -> list[int]:
    """Returns the stride of each causal block."""
    if front is not None and front != "causal" and not isinstance(front, keras.Model):
        raise ValueError(
            "`front` must be None, 'causal' or a Keras model without top. "
            f"Received: front={front!r}"
        )
    _checks.integer("strides", strides)
    if strides & (strides - 1):
        raise ValueError(f"`strides` must be a power of 2. Received: strides={strides}")
    return [2] * (strides.bit_length() - 1) or [1]


@dataclass(frozen=True)
class _Sequences:
    """Numbers or integers, one for each step."""

    options: SequenceOptions

    def inputs(self):
        """Returns the model's input, the input of a front network, and the same with the mask."""
        inputs, x = self.options.inputs()
        raw = inputs if self.options.vocabulary_size is None else x
        return inputs, raw, x


@dataclass(frozen=True)
class _Waveforms:
    options: SequenceOptions
    shape: tuple[int | None, ...]
    spectrogram: dict[str, Any]

    def inputs(self):
        inputs = keras.Input(self.shape, name="waveforms")
        policy = self.options.policy
        layer = LogMelSpectrogram(**self.spectrogram, dtype=policy, name="spectrogram")
        x = layer(inputs)
        x = keras.layers.Rescaling(_SCALE, _OFFSET, dtype=policy, name="scaling")(x)
        if self.options.mask_value is None:
            return inputs, x, x
        marked = TrailingPadding(self.options.mask_value, name="padding")(inputs)
        shortened = ShortenedMask(layer.sequence_stride, dtype=policy, name="mask")
        return inputs, x, shortened([x, marked])


@dataclass(frozen=True)
class _Pictures:
    options: SequenceOptions
    shape: tuple[int | None, ...]

    def inputs(self):
        inputs = keras.Input(self.shape, name="pictures")
        x = _columns(inputs, self.options.policy, "columns")
        if self.options.mask_value is not None:
            masking = keras.layers.Masking(
                self.options.mask_value, dtype=self.options.policy, name="masking"
            )
            x = masking(x)
        return inputs, inputs, x


def _columns(x, policy, name):
    """Returns the columns of pictures as steps, `(batch, width, height · channels)`."""
    _, height, _, channels = x.shape
    x = keras.layers.Permute((2, 1, 3), dtype=policy, name=f"{name}_first")(x)
    return keras.layers.Reshape((-1, height * channels), dtype=policy, name=name)(x)


def _source(input_shape, vocabulary_size, spectrogram, units, num_layers, options):
    """Returns the kind of inputs of the model, with its checked options."""
    rank = len(input_shape) if isinstance(input_shape, (tuple, list)) else None
    if rank == 3:
        _refuse("vocabulary_size", vocabulary_size, input_shape)
        _refuse("spectrogram", spectrogram, input_shape)
        height, width, channels = input_shape
        for size, name in ((height, "height"), (channels, "channels")):
            _checks.integer(f"input_shape ({name})", size)
        made = sequence_options((width, height * channels), None, units, num_layers, options)
        return _Pictures(made, (int(height), made.shape[0], int(channels)))
    if spectrogram is None:
        made = sequence_options(input_shape, vocabulary_size, units, num_layers, options)
        return _Sequences(made)
    _refuse("vocabulary_size", vocabulary_size, input_shape)
    if rank != 1 and not (rank == 2 and input_shape[1] == 1):
        raise ValueError(
            "`spectrogram` is for mono waveforms, `input_shape` of (samples,) or (samples, 1). "
            f"Received: input_shape={input_shape!r}"
        )
    if not isinstance(spectrogram, dict):
        raise ValueError(
            "`spectrogram` must be a dict of options of `LogMelSpectrogram`. "
            f"Received: spectrogram={spectrogram!r}"
        )
    made = sequence_options((input_shape[0], 1), None, units, num_layers, options)
    return _Waveforms(made, made.shape[:rank], {"padding": "zeros", **spectrogram})


def _refuse(name, value, input_shape):
    if value is not None:
        raise ValueError(
            f"`{name}` has no effect with `input_shape={input_shape!r}`. Received: {name}={value!r}"
        )


def _below(front, raw, x, policy):
    """Returns the outputs of a front network, with the mask of the inputs at its steps."""
    if len(front.inputs) != 1 or len(front.outputs) != 1 or not _fits(front.input_shape, raw.shape):
        raise ValueError(
            f"`front` must take one input of the shape {tuple(raw.shape)}. Received: a model "
            f"{front.name!r} from {front.input_shape} to {front.output_shape}"
        )
    shape = front.output_shape
    if len(shape) != len(raw.shape) or (len(shape) == 4 and shape[1] is None):
        raise ValueError(
            "`front` must keep the axes of its input and know the height of its output, as with "
            f"include_top=False. Received: a model {front.name!r} from {front.input_shape} to "
            f"{shape}"
        )
    y = front(raw)
    if len(shape) == 4:
        y = _columns(y, policy, "front_columns")
    return ShortenedMask(_stride(front), dtype=policy, name="front_mask")([y, x])


def _fits(expected, shape) -> bool:
    return len(expected) == len(shape) and all(
        a is None or b is None or a == b for a, b in zip(expected, shape, strict=True)
    )


def _stride(front) -> int:
    """Returns the factor by which a model reduces the number of steps."""
    axis = len(front.input_shape) - 2
    steps = front.input_shape[axis] or _STEPS
    shape = [*front.input_shape]
    shape[0], shape[axis] = 1, steps
    return max(1, round(steps / front.compute_output_shape(tuple(shape))[axis]))


def transcriber_for(dataset: Any, dtype: Any, options: dict[str, Any]) -> keras.Model:
    """Returns a transcriber of the waveforms of a dataset, or of its series.

    Waveforms become log-mel spectrograms with frames of 25 ms every 10 ms; a causal front halves
    the number of steps.

    Raises:
        ValueError: If the dataset has no transcripts.
    """
    if dataset.label_kind != "text":
        raise ValueError(
            f"`ResidualLSTMTranscriber` needs recordings with transcripts. Received: {dataset}"
        )
    usual = {"front": "causal", "mask_value": 0.0} | ({} if dtype is None else {"dtype": dtype})
    rate = dataset.train.rate
    if rate is not None:
        usual["spectrogram"] = spectrogram_options(rate)
    features = dataset.image_shape[-1]
    return ResidualLSTMTranscriber(
        (None, features), classes=dataset.num_classes, **{**usual, **options}
    )


def spectrogram_options(rate: int) -> dict[str, Any]:
    """Returns the options of `LogMelSpectrogram` that suit speech at a sampling rate."""
    length = max(2, round(0.025 * rate))
    fft_length = 2 ** (length - 1).bit_length()
    return {
        "sampling_rate": rate,
        "sequence_length": length,
        "sequence_stride": max(1, round(0.01 * rate)),
        "fft_length": fft_length,
        # Fewer if filters would be narrower than the distance between two frequencies.
        "num_mel_bins": min(40, fft_length // 6),
    }
