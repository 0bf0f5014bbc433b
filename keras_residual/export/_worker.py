"""A program that loads one model, runs it when told to, and says how long that took.

Started as a script, so that a file's memory and loading time are those of its runtime alone. It
reads lines of JSON, `{"batch": 8, "seconds": 0.2}`, and answers each with one.
"""

import contextlib
import importlib
import json
import pathlib
import resource
import sys
import time

import numpy as np


def open_litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    def prepare(batch):
        interpreter = Interpreter(path, num_threads=threads)
        details = interpreter.get_input_details()[0]
        shape = [batch if i == 0 else n for i, n in enumerate(details["shape_signature"])]
        if details["shape_signature"][0] == -1:
            interpreter.resize_tensor_input(details["index"], shape)
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()[0]
        values = numbers(details["shape"], np.dtype(details["dtype"]))

        def run():
            interpreter.reset_all_variables()
            interpreter.set_tensor(details["index"], values)
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

        return run, int(details["shape"][0])

    return prepare


def open_onnx(path, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    spec = session.get_inputs()[0]

    def prepare(batch):
        fixed = spec.shape[0] if isinstance(spec.shape[0], int) else batch
        kind = {"tensor(float)": "float32", "tensor(int32)": "int32"}.get(spec.type, "int64")
        values = numbers([fixed, *spec.shape[1:]], np.dtype(kind))
        return lambda: session.run(None, {spec.name: values}), fixed

    return prepare


def open_saved_model(path, threads):
    import tensorflow as tf

    limit_threads(tf, threads)
    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    ((name, spec),) = serve.structured_input_signature[1].items()

    def prepare(batch):
        # The signature lives only as long as the object it came from.
        keep, fixed = loaded, spec.shape[0] or batch
        values = numbers([fixed, *spec.shape[1:]], np.dtype(spec.dtype.as_numpy_dtype))

        def run():
            assert keep is not None
            outputs = serve(**{name: tf.constant(values)})
            return [value.numpy() for value in outputs.values()]

        return run, fixed

    return prepare


def open_jax(path, threads):
    import jax
    from jax import export

    exported = export.deserialize(bytearray(pathlib.Path(path).read_bytes()))
    (spec,) = exported.in_avals

    def prepare(batch):
        fixed = spec.shape[0] if isinstance(spec.shape[0], int) else batch
        values = numbers([fixed, *spec.shape[1:]], np.dtype(spec.dtype))
        call = jax.jit(exported.call)
        return lambda: jax.block_until_ready(call(values)), fixed

    return prepare


def open_keras(source, threads):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        limit_threads(tf, threads)
    model = load_keras(keras, source)
    (tensor,) = model.inputs

    def prepare(batch):
        values = numbers([batch, *tensor.shape[1:]], np.dtype(tensor.dtype))
        return lambda: model.predict_on_batch(values), batch

    return prepare


def load_keras(keras, source):
    # Also registers the package's layers.
    keras_residual = importlib.import_module("keras_residual")
    if source.endswith(".keras"):
        return keras.saving.load_model(source, compile=False)
    if source.startswith("keras.applications."):
        return getattr(keras.applications, source.rpartition(".")[2])(weights=None)
    return keras_residual.get_model(source)


def limit_threads(tf, threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def numbers(shape, dtype):
    if any(not isinstance(size, (int, np.integer)) or size < 0 for size in shape):
        raise ValueError(f"an input of open size {list(shape)} cannot be timed")
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.random(shape, np.float32).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def forget_peak():
    """Lets the peak begin anew at what is used now; only Linux can."""
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_bytes():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return 1024 * int(fields["VmHWM"].split()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def timed(run, seconds):
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or not times:
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return times


RUNTIMES = {
    "litert": ("ai_edge_litert.interpreter", open_litert),
    "onnx": ("onnxruntime", open_onnx),
    "saved_model": ("tensorflow", open_saved_model),
    "jax": ("jax", open_jax),
    "keras": ("keras_residual", open_keras),
}


def main(kind, source, threads):
    runtime, opened = RUNTIMES[kind]
    importlib.import_module(runtime)
    forget_peak()
    before, started = peak_bytes(), time.perf_counter()
    prepare, ready = opened(source, int(threads)), {}
    load_seconds = time.perf_counter() - started
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        order = json.loads(line)
        batch = order["batch"]
        if batch not in ready:
            started = time.perf_counter()
            ready[batch] = prepare(batch)
            ready[batch][0]()
            load_seconds += 0 if len(ready) > 1 else time.perf_counter() - started
        run, size = ready[batch]
        answer = {"seconds": timed(run, order["seconds"]), "batch": size}
        answer |= {"load_seconds": load_seconds, "memory_bytes": peak_bytes() - before}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
