"""Latency of a network in LiteRT's interpreter, measured once per architecture."""

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np

from keras_residual import export
from keras_residual._files import write_text
from keras_residual._randomness import random_state_kept
from keras_residual.tuning import schema

_SECONDS, _FEWEST = 0.3, 20
_SMALL = 0.1


class Latencies:
    """Latency in milliseconds per example by architecture, with 8-bit weights and one thread.

    Args:
        path: A JSON file that caches them, or `None`. They are valid on the machine that measured
            them.
        known: Latencies measured so far.
        quantization: `"int8"`, or `"dynamic"` if only weights are quantized.
    """

    def __init__(
        self,
        path: Path | None = None,
        known: Mapping[str, float] = MappingProxyType({}),
        quantization: str = "int8",
    ):
        self.path, self.quantization = path, quantization
        self.known = dict(known)
        if path is not None and path.exists():
            # A damaged file is ignored: its latencies are measured again.
            with contextlib.suppress(OSError, ValueError, RecursionError):
                kept = json.loads(path.read_text(encoding="utf-8"))
                schema.check(kept, {str: schema.positive})
                self.known |= kept

    def of(self, key: str, make: Callable[[], keras.Model]) -> float:
        """Returns the latency of an architecture; `make` builds the network if it is unknown."""
        if key not in self.known:
            with random_state_kept():
                self.known[key] = measured(make(), self.quantization)
            if self.path is not None:
                write_text(self.path, json.dumps(self.known, indent=1))
        return self.known[key]

    def foreseen(self, key: str, macs_of: Callable[[str], int]) -> float:
        """Returns an estimate from below for an architecture that was not measured.

        That is the time that its multiply–accumulates would take where they were fastest, among
        those measured of at least a quarter of its size; 0 without any, or if it was measured.
        """
        if key in self.known:
            return 0.0
        size, times = macs_of(key), []
        for other, ms in self.known.items():
            # A file may hold architectures that this version does not know.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if 4 * macs_of(other) >= size:
                    times.append(ms * size / macs_of(other))
        return min(times, default=0.0)


def measured(model: keras.Model, quantization: str = "int8") -> float:
    """Returns the median latency per example, in milliseconds, of an untrained model in LiteRT.

    Latency does not depend on the values of the weights. But quantization finds no range where all
    values are 0, as those of blocks that start as the identity are: such weights become numbers so
    small that a thousand blocks do not overflow.
    """
    for weight in model.trainable_weights:
        if not np.any(keras.ops.convert_to_numpy(weight)):
            weight.assign(np.full(weight.shape, _SMALL, "float32"))
    (inputs,) = model.inputs
    # Random numbers, or ones for an input of token indices.
    samples = np.random.default_rng(0).random((8, *inputs.shape[1:]), np.float32)
    if "int" in keras.backend.standardize_dtype(inputs.dtype):
        samples = np.ones(samples.shape, "int32")
    with tempfile.TemporaryDirectory() as folder:
        report = export.export(model, folder, ("litert",), quantization, samples, measure=False)
        artefact = export.load(report.rows[0].path)
        for _ in range(3):
            artefact(samples[:1])
        times, until = [], time.perf_counter() + _SECONDS
        while len(times) < _FEWEST or time.perf_counter() < until:
            began = time.perf_counter()
            artefact(samples[:1])
            times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)
