"""A program that loads one model, runs it on request, and reports the times.

It is started as a script, so that only the runtime adds to the memory and loading time of a file.
It reads requests as lines of JSON, `{"batch": 8, "seconds": 0.2}`, and answers each with a line.
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
        fixed = batch
        for details in interpreter.get_input_details():
            shape = [int(size) for size in details["shape_signature"]]
            if shape[0] == -1:
                interpreter.resize_tensor_input(details["index"], [batch, *shape[1:]])
            else:
                fixed = shape[0]
        interpreter.allocate_tensors()
        values = {
            details["index"]: numbers(details["shape"], np.dtype(details["dtype"]))
            for details in interpreter.get_input_details()
        }
        outputs = [details["index"] for details in interpreter.get_output_details()]

        def run():
            interpreter.reset_all_variables()
            for index, value in values.items():
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]

        return run, fixed

    return prepare


def open_onnx(path, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
    specs = session.get_inputs()
    # Other types have the same names as NumPy's: tensor(int32).
    kinds = {"tensor(float)": "float32", "tensor(double)": "float64"}

    def prepare(batch):
        fixed = fixed_batch(specs, batch)
        values = {
            spec.name: numbers([fixed, *spec.shape[1:]], kinds.get(spec.type, spec.type[7:-1]))
            for spec in specs
        }
        return lambda: session.run(None, values), fixed

    return prepare


def open_saved_model(path, threads):
    import tensorflow as tf

    limit_threads(tf, threads)
    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    specs = serve.structured_input_signature[1]

    def prepare(batch):
        # The signature is valid only while the loaded object exists.
        keep, fixed = loaded, fixed_batch(specs.values(), batch)
        values = {
            name: numbers([fixed, *spec.shape[1:]], spec.dtype.as_numpy_dtype)
            for name, spec in specs.items()
        }

        def run():
            assert keep is not None
            outputs = serve(**{name: tf.constant(value) for name, value in values.items()})
            return [value.numpy() for value in outputs.values()]

        return run, fixed

    return prepare


def open_jax(path, threads):
    import jax
    from jax import export

    exported = export.deserialize(bytearray(pathlib.Path(path).read_bytes()))
    specs = exported.in_avals

    def prepare(batch):
        fixed = fixed_batch(specs, batch)
        flat = [numbers([fixed, *spec.shape[1:]], spec.dtype) for spec in specs]
        values, named = exported.in_tree.unflatten(flat)
        call = jax.jit(exported.call)
        return lambda: jax.block_until_ready(call(*values, **named)), fixed

    return prepare


def open_keras(source, threads):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        limit_threads(tf, threads)
    model = load_keras(keras, source)

    def prepare(batch):
        fixed = fixed_batch(model.inputs, batch)
        flat = [numbers([fixed, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
        values = keras.tree.pack_sequence_as(model.input, flat)
        return lambda: model.predict_on_batch(values), fixed

    return prepare


def load_keras(keras, source):
    # The import also registers the package's layers.
    keras_residual = importlib.import_module("keras_residual")
    if source.endswith(".keras"):
        return keras.saving.load_model(source, compile=False)
    if source.startswith("keras.applications."):
        return getattr(keras.applications, source.rpartition(".")[2])(weights=None)
    return keras_residual.get_model(source)


def limit_threads(tf, threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def fixed_batch(specs, batch):
    sizes = [spec.shape[0] for spec in specs if isinstance(spec.shape[0], int)]
    return sizes[0] if sizes else batch


def numbers(shape, dtype):
    dtype = np.dtype(dtype)
    if any(not isinstance(size, (int, np.integer)) or size < 0 for size in shape):
        raise ValueError(f"an input of open size {list(shape)} cannot be timed")
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.random(shape, np.float32).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def forget_peak():
    """Resets the peak memory to the current use; only Linux supports it."""
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
