"""Strings of spoken digits, joined from single recordings, with features and borders."""

import dataclasses
import itertools

import keras
import numpy as np

from keras_residual import layers

DIGITS, LONGEST, RATE, BANDS = 10, 7, 8000, 40
# Recordings for the final measurement, and those for choices before it.
HELD_OUT, VALIDATION = range(5, 10), range(10, 15)
# Digits follow each other after up to 0.3 s, or overlap by up to 0.05 s.
GAPS, AROUND = (-0.05, 0.3), (0.0, 0.25)
# Faster or slower, as in spoken_digits.py, and louder or softer.
SPEEDS, GAINS = (0.87, 1.15), (-0.3, 0.3)
# Samples between frames. Batches are padded to a multiple of BUCKET frames: with JAX a large one,
# since it compiles a step for each length.
HOP, BUCKET = 80, 256 if keras.backend.backend() == "jax" else 64


@dataclasses.dataclass(frozen=True)
class Strings:
    """Some strings of digits.

    Attributes:
        waves: Waveforms in a list.
        features: `(count, frames, BANDS)`, centred at zero and padded by zeros.
        labels: `(count, 7)`, the digits, padded by -1.
        segments: `(count, 7, 2)`, the first frame of each digit and the one after its last, padded
            by `(0, 0)`.
    """

    waves: list
    features: np.ndarray
    labels: np.ndarray
    segments: np.ndarray

    @property
    def frames(self):
        """Number of frames of each string."""
        return self.features.any(-1).sum(-1)


def spectrogram():
    """Returns a layer from waveforms to log-mel spectrograms."""
    return layers.LogMelSpectrogram(
        RATE, BANDS, sequence_length=200, sequence_stride=HOP, fft_length=256, padding="zeros"
    )


def features_of(spectrograms):
    """Returns spectrograms centred at zero."""
    return (spectrograms + 7) / 4


class Recordings:
    """Single digits of several speakers, and strings made of them.

    Args:
        path: An `.npz` file with `audio` (int16), `offsets`, `digit`, `speaker`, `recording` and
            `rate`.
        validate: Whether recordings 10 to 14 take the place of recordings 5 to 9, which are then
            not used at all.

    Attributes:
        train: Numbers of the training recordings.
        held_out: Numbers of recordings 5 to 9 of each digit and speaker.
    """

    def __init__(self, path, validate=False):
        with np.load(path) as stored:
            offsets, rate = stored["offsets"], int(stored["rate"])
            if rate != RATE:
                raise ValueError(f"--data must be sampled at {RATE} Hz. Received: {rate}")
            audio = stored["audio"].astype("float32") / 2**15
            self.digit, self.speaker = stored["digit"].astype("int32"), stored["speaker"]
            self.recording = stored["recording"]
        self.waves = [audio[a:b] for a, b in itertools.pairwise(offsets)]
        held_out = np.isin(self.recording, VALIDATION if validate else HELD_OUT)
        self.held_out = np.flatnonzero(held_out)
        self.train = np.flatnonzero(~held_out & ~np.isin(self.recording, HELD_OUT))
        self.spectrogram = spectrogram()

    def strings(self, rows, draw, count, longest=LONGEST, varied=False):
        """Returns new strings of one speaker each, with about the same number of digits.

        Args:
            rows: Numbers of the recordings to take from.
            draw: A NumPy generator.
            count: Number of strings.
            longest: Largest number of digits of a string.
            varied: Whether each recording is made faster or slower, louder or softer.
        """
        speakers = np.unique(self.speaker)
        of = {name: rows[self.speaker[rows] == name] for name in speakers}
        # Strings of similar lengths need little padding.
        longest = int(draw.integers(1, longest + 1))
        labels, waves = np.full((count, LONGEST), -1, "int32"), []
        segments = np.zeros((count, LONGEST, 2), "int32")
        for row, places in zip(labels, segments, strict=True):
            size = max(1, longest - int(draw.integers(2)))
            chosen = draw.choice(of[draw.choice(speakers)], size)
            row[:size] = self.digit[chosen]
            parts = [self.waves[i] for i in chosen]
            if varied:
                parts = _varied(parts, draw)
            wave, borders = _joined(parts, draw)
            waves.append(wave)
            # Frame i is centred on sample i · HOP.
            places[:size] = -(-borders // HOP)
        return Strings(waves, self.features(waves), labels, segments)

    def features(self, waves):
        """Returns spectrograms centred at zero and padded by zeros."""
        frames = np.array([-(-len(wave) // HOP) for wave in waves])
        samples = (-(-frames.max() // BUCKET)) * BUCKET * HOP - 1
        padded = np.stack([np.pad(wave, (0, samples - len(wave))) for wave in waves])
        x = features_of(keras.ops.convert_to_numpy(self.spectrogram(padded)))
        return np.where((np.arange(x.shape[1]) < frames[:, None])[..., None], x, 0)


def _joined(parts, draw):
    """Returns a waveform, with the first sample of each part and the one after its last."""
    place = int(draw.uniform(*AROUND) * RATE)
    starts = []
    for part in parts:
        starts.append(max(0, place))
        place = starts[-1] + len(part) + int(draw.uniform(*GAPS) * RATE)
    borders = np.array([(s, s + len(part)) for s, part in zip(starts, parts, strict=True)])
    wave = np.zeros(borders.max() + int(draw.uniform(*AROUND) * RATE), "float32")
    for start, part in zip(starts, parts, strict=True):
        wave[start : start + len(part)] += part
    wave += draw.normal(0, draw.uniform(1e-4, 2e-3), len(wave)).astype("float32")
    return wave * np.float32(draw.uniform(0.5, 1.5)), borders


def _varied(parts, draw):
    """Returns recordings with a random speed and loudness."""
    speed = draw.uniform(*SPEEDS)
    changed = []
    for part in parts:
        count = max(1, round(len(part) / (speed * draw.uniform(0.95, 1.05))))
        wave = np.interp(np.linspace(0, len(part) - 1, count), np.arange(len(part)), part)
        changed.append((wave * 10 ** draw.uniform(*GAINS)).astype("float32"))
    return changed
