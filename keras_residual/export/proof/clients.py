"""Runtimes beside a file's own, in which `verify` runs it where they are installed."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_residual.export.errors import ExportError

MEDIAPIPE_PYTHON = "KERAS_RESIDUAL_MEDIAPIPE_PYTHON"
_WORKER = Path(__file__).with_name("mediapipe_worker.py")


def mediapipe_python(python: str | os.PathLike | None = None) -> str:
    """Returns an interpreter that has mediapipe, or raises an ImportError.

    Args:
        python: Path of one. Defaults to that in `KERAS_RESIDUAL_MEDIAPIPE_PYTHON`, or this one.
    """
    named = python or os.environ.get(MEDIAPIPE_PYTHON)
    if named:
        if not Path(named).is_file():
            raise ImportError(f"There is no interpreter at {named}.")
        return str(named)
    if importlib.util.find_spec("mediapipe") is None:
        raise ImportError(
            "MediaPipe runs in an interpreter that has it, an environment of its own: python -m "
            "venv mp && mp/bin/pip install mediapipe, then verify(…, python='mp/bin/python') or "
            f"{MEDIAPIPE_PYTHON}=mp/bin/python"
        )
    return sys.executable


def run_mediapipe(
    path: Path, task: str, pictures: list[np.ndarray], python: str | os.PathLike | None = None
) -> list[np.ndarray]:
    """Returns what a MediaPipe task answers to each picture.

    Args:
        path: A LiteRT file.
        task: `"classifier"`, `"embedder"` or `"segmenter"`.
        pictures: Arrays `(height, width, 3)` of uint8.
        python: See `mediapipe_python`.

    Raises:
        ExportError: If MediaPipe refuses the file; the message is its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "pictures.npz"), Path(folder, "outputs.npz")
        np.savez(source, **{str(i): picture for i, picture in enumerate(pictures)})
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        done = subprocess.run(
            [mediapipe_python(python), str(_WORKER), str(path), task, str(source), str(target)],
            capture_output=True,
            text=True,
            env=environment,
        )
        if done.returncode or not target.exists():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise ExportError(f"MediaPipe refuses {path.name} ({lines[-1].strip()[:400]}).")
        with np.load(target) as outputs:
            return [outputs[str(i)] for i in range(len(pictures))]


def run_compiled_model(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the outputs of a LiteRT file of one input and output in LiteRT's `CompiledModel`."""
    try:
        from ai_edge_litert.compiled_model import CompiledModel
    except ImportError as error:
        raise ImportError('CompiledModel needs: pip install "keras-residual[export]"') from error
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(path)).get_output_details()[0]
    model = CompiledModel.from_file(str(path))
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    results, shape = [], [int(size) for size in details["shape"]]
    for batch in batches:
        inputs[0].write(np.ascontiguousarray(batch))
        model.run_by_index(0, inputs, outputs)
        values = outputs[0].read(int(np.prod(shape)), details["dtype"]).reshape(shape)
        scale, zero = details["quantization"]
        # What `read` returns is overwritten by the next run.
        results.append(
            (values.astype(np.float32) - zero) * np.float32(scale) if scale else values.copy()
        )
    return results
