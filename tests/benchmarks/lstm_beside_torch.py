"""`ResidualLSTM` beside a stack of `torch.nn.LSTM`, in turn, row by row.

    KERAS_BACKEND=tensorflow python tests/benchmarks/lstm_beside_torch.py
    KERAS_BACKEND=jax python tests/benchmarks/lstm_beside_torch.py
    KERAS_BACKEND=tensorflow python tests/benchmarks/lstm_beside_torch.py --wall --seconds 100
    KERAS_BACKEND=tensorflow python tests/benchmarks/lstm_beside_torch.py --products
    python tests/benchmarks/lstm_beside_torch.py --table

Inference, and the gradient by all weights of the mean square of the outputs, float32, as
`residual_lstm.py` compiles them; PyTorch's is eager. A row is the median of PyTorch's time over
ours of neighbouring measurements, with its quartiles. Times are processor time of one thread, which
a busy machine disturbs little; `--wall` takes all cores of a machine that must be idle. Rows are
kept as soon as they are measured, and a second call goes on with those that are missing
(`--again` measures all). `--products` times the matrix products alone.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time

from _kept import RESULTS, keep

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import tables

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX"}
KINDS = ("inference", "training")
# Layers, units, batch, steps.
SIZES = (
    *((4, units, batch, 128) for units in (128, 256) for batch in (1, 16, 64)),
    (4, 512, 1, 128),
    (4, 256, 1, 16),
    (4, 256, 16, 16),
    (2, 256, 16, 128),
    (8, 256, 1, 128),
    (8, 256, 16, 128),
    (4, 512, 16, 128),
    (4, 512, 64, 128),
)
STEPS = 128


def in_turn(ours, other, repeats, clock):
    """Returns the medians of both in milliseconds, and the ratio of neighbours with quartiles."""
    pairs = []
    for _ in range(repeats + 1):
        pair = []
        for run in (ours, other):
            start = clock()
            run()
            pair.append(1e3 * (clock() - start))
        pairs.append(pair)
    # The first runs are warming up.
    pairs = pairs[1:]
    low, middle, high = statistics.quantiles([other / own for own, other in pairs], n=4)
    own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"ours": own, "torch": other, "ratio": middle, "quartiles": [low, high]}


def path_of(name, folder=RESULTS):
    return folder / f"lstm_beside_torch-{name}.json"


def kept_rows(name, folder=RESULTS):
    path = path_of(name, folder)
    return json.loads(path.read_text())["rows"] if path.exists() else []


def measure(backend, wall, given):
    import numpy as np
    import residual_lstm
    from keras import ops

    clock = time.perf_counter
    if not wall:
        residual_lstm.one_thread()
        clock = time.process_time
    name, started = backend + "-wall" * wall, time.perf_counter()
    rows = [] if given.again else kept_rows(name)
    done = {tuple(row["size"]) for row in rows}
    for size in SIZES:
        if size in done or time.perf_counter() - started > given.seconds:
            continue
        layers, units, batch, steps = size
        x = np.random.default_rng(0).normal(size=(batch, steps, units))
        x = ops.convert_to_tensor(x, "float32")
        model = residual_lstm.residual_stack(units, layers, "auto")
        ours = residual_lstm.compiled(model, x, False)
        peer = residual_lstm.torch_stack(units, layers, x)
        found = {
            kind: in_turn(own, other, given.repeats, clock)
            for kind, own, other in zip(KINDS, ours, peer, strict=True)
        }
        rows.append({"size": size, **found})
        print(*size, {kind: round(found[kind]["ratio"], 2) for kind in KINDS}, flush=True)
        keep(RESULTS, path_of(name).stem, rows=rows)


def product_functions(units, batch):
    """Returns `(ours, PyTorch's)` for the products of a layer with its state and its inputs."""
    import numpy as np
    import tensorflow as tf
    import torch

    draw = np.random.default_rng(0).normal
    arrays = draw(size=(batch, units)), draw(size=(STEPS * batch, units))
    arrays = (*arrays, draw(size=(units, 4 * units)) / units)
    h, x, matrix = (tf.constant(value, "float32") for value in arrays)
    other_h, other_x, other_matrix = (torch.tensor(value.numpy()) for value in (h, x, matrix))

    @tf.function(jit_compile=True, autograph=False)
    def loop(h, matrix):
        def body(i, h):
            return i + 1, tf.add_n(tf.split(h @ matrix, 4, axis=1))

        return tf.while_loop(lambda i, _: i < STEPS, body, (0, h))[1]

    def other_loop():
        for _ in range(STEPS):
            other_h @ other_matrix

    before = tf.function(lambda x, matrix: x @ matrix, autograph=False)
    return {
        "state": (lambda: loop(h, matrix), other_loop),
        "inputs": (lambda: before(x, matrix), lambda: other_x @ other_matrix),
    }


def measure_products(given):
    """Keeps the times of the products alone."""
    import residual_lstm

    residual_lstm.one_thread()
    rows = []
    for size in itertools.product((128, 256, 512), (16, 64)):
        found = {
            name: in_turn(*functions, given.repeats, time.process_time)
            for name, functions in product_functions(*size).items()
        }
        print(*size, {name: round(row["ratio"], 2) for name, row in found.items()}, flush=True)
        rows.append({"size": size, **found})
    keep(RESULTS, path_of("products").stem, rows=rows)


def _cell(row):
    low, high = row["quartiles"]
    return f"{row['ratio']:.2f} ({low:.2f}–{high:.2f})"


def table(folder=RESULTS):
    """Returns the ratios of all kept sizes as a table of Markdown."""
    columns = {}
    for wall, (backend, title) in itertools.product((False, True), BACKENDS.items()):
        rows = kept_rows(backend + "-wall" * wall, folder)
        if rows:
            found = {tuple(row["size"]): row for row in rows}
            columns[title + ", all cores" * wall] = found
    heads = [f"{title}: {kind}" for title in columns for kind in KINDS]
    lines = ["| layers, units, batch, steps | " + " | ".join(heads) + " |"]
    lines.append("|---|" + "---:|" * len(heads))
    for size in SIZES:
        cells = [
            _cell(found[size][kind]) if size in found else ""
            for found in columns.values()
            for kind in KINDS
        ]
        if any(cells):
            lines.append(f"| {', '.join(map(str, size))} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def products_table(folder=RESULTS):
    """Returns the times of the products alone as a table of Markdown."""
    names = ("state", "inputs")
    heads = [f"with the {name}: ours, PyTorch" for name in names]
    lines = [f"| units, batch | {' | '.join(heads)} |", "|---|---:|---:|"]
    for row in kept_rows("products", folder):
        cells = [f"{row[name]['ours']:.1f}, {row[name]['torch']:.1f}" for name in names]
        lines.append(f"| {', '.join(map(str, row['size']))} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wall", action="store_true", help="all cores of an idle machine")
    parser.add_argument("--again", action="store_true", help="measure kept rows again")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no row after it")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--products", action="store_true", help="the matrix products alone")
    parser.add_argument("--table", action="store_true", help="only write the page's tables")
    given = parser.parse_args()
    if given.table:
        tables.write(tables.BENCHMARKS, "lstm-beside-torch", table())
        tables.write(tables.BENCHMARKS, "lstm-products", products_table())
    elif given.products:
        measure_products(given)
    else:
        import keras

        measure(keras.backend.backend(), given.wall, given)


if __name__ == "__main__":
    main()
