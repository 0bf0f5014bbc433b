"""Further runtimes in which `verify` can run a file, if they are installed."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_residual.export.errors import ExportError

MEDIAPIPE_PYTHON = "KERAS_RESIDUAL_MEDIAPIPE_PYTHON"
NODE_MODULES = "KERAS_RESIDUAL_NODE_MODULES"
# The npm package of each browser runtime.
PACKAGES = {"onnxruntime-web": "onnxruntime-web", "litert.js": "@litertjs/core"}
_WEB_WORKER = Path(__file__).with_name("web_worker.mjs")
_WORKER = Path(__file__).with_name("mediapipe_worker.py")


def mediapipe_python(python: str | os.PathLike[str] | None = None) -> str:
    """Returns a Python interpreter with mediapipe installed, or raises an ImportError.

    Args:
        python: Its path. Defaults to that in `KERAS_RESIDUAL_MEDIAPIPE_PYTHON`, or the running one.
    """
    named = python or os.environ.get(MEDIAPIPE_PYTHON)
    if named:
        if not Path(named).is_file():
            raise ImportError(f"No interpreter was found at {named}.")
        return str(named)
    if importlib.util.find_spec("mediapipe") is None:
        raise ImportError(
            "MediaPipe runs in an interpreter that has it, an environment of its own: python -m "
            "venv mp && mp/bin/pip install mediapipe, then verify(…, python='mp/bin/python') or "
            f"{MEDIAPIPE_PYTHON}=mp/bin/python"
        )
    return sys.executable


def run_mediapipe(
    path: Path, task: str, pictures: list[np.ndarray], python: str | os.PathLike[str] | None = None
) -> list[np.ndarray]:
    """Returns the result of a MediaPipe task for each picture or waveform.

    Args:
        path: A LiteRT file.
        task: `"classifier"`, `"embedder"`, `"segmenter"`, or `"audio@RATE"` with a sampling rate.
        pictures: Arrays `(height, width, 3)` of uint8, or `(samples,)` of float32.
        python: See `mediapipe_python`.

    Raises:
        ExportError: If MediaPipe refuses the file; the message is its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "pictures.npz"), Path(folder, "outputs.npz")
        np.savez(source, **{str(i): picture for i, picture in enumerate(pictures)})
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        finished = subprocess.run(
            [mediapipe_python(python), str(_WORKER), str(path), task, str(source), str(target)],
            capture_output=True,
            text=True,
            env=environment,
        )
        if finished.returncode or not target.exists():
            lines = [line for line in finished.stderr.splitlines() if line.strip()] or [
                "no message"
            ]
            raise ExportError(f"MediaPipe refuses {path.name} ({lines[-1].strip()[:400]}).")
        with np.load(target) as outputs:
            return [outputs[str(i)] for i in range(len(pictures))]


def node_modules(package: str) -> Path:
    """Returns a `node_modules` folder that has a package, or raises an ImportError.

    It is the one in `KERAS_RESIDUAL_NODE_MODULES`, or that of the working directory or a folder
    above.
    """
    named = os.environ.get(NODE_MODULES)
    above = [place / "node_modules" for place in (Path.cwd(), *Path.cwd().parents)]
    for place in [Path(named)] if named else above:
        if (place / package).is_dir():
            return place.resolve()
    raise ImportError(
        f"{package} runs under Node, from a node_modules folder: npm install {package} in the "
        f"working directory, or its node_modules in {NODE_MODULES}"
    )


def run_under_node(
    runtime: str, path: Path, batches: list[dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Returns the outputs of a file in a browser runtime, WebAssembly under Node.

    Args:
        runtime: `"onnxruntime-web"` for ONNX files, `"litert.js"` for LiteRT's.
        path: The file.
        batches: The inputs of each run, by name.

    Raises:
        ExportError: If the runtime refuses the file; the message is its own.
    """
    node, modules = shutil.which("node"), node_modules(PACKAGES[runtime])
    if node is None:
        raise ImportError(f"{runtime} needs Node.js, and `node` was not found.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = batches[0].items()
        inputs = {k: {"type": v.dtype.name, "shape": v.shape} for k, v in first}
        job = {"inputs": inputs, "batches": len(batches)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        for index, batch in enumerate(batches):
            for key, values in batch.items():
                (folder / f"{index}_{key}.bin").write_bytes(np.ascontiguousarray(values).tobytes())
        command = [node, _WEB_WORKER, runtime, modules, path.resolve(), folder]
        finished = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if finished.returncode or not (folder / "outputs.json").exists():
            lines = re.findall(r"^\w*Error\b.*", finished.stderr, re.MULTILINE) or ["no message"]
            raise ExportError(f"{runtime} cannot run {path.name} ({lines[0].strip()[:300]}).")
        described = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
        return {
            key: np.concatenate(
                [
                    np.frombuffer((folder / f"{index}_{key}.out").read_bytes(), spec["type"])
                    .reshape(spec["shape"])
                    .copy()
                    for index in range(len(batches))
                ]
            )
            for key, spec in described.items()
        }


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
        # The next run overwrites what `read` returns.
        results.append(
            (values.astype(np.float32) - zero) * np.float32(scale) if scale else values.copy()
        )
    return results
