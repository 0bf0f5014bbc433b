"""Training steps and inference on a CPU beside PyTorch, in float32 and bfloat16.

    python tests/benchmarks/torch_on_cpu.py --keep
    python tests/benchmarks/torch_on_cpu.py --models ResNet18 --dtypes bfloat16 --rounds 9
    python tests/benchmarks/torch_on_cpu.py --peer jax --dtypes float32 --keep

Batches of 8 images of 224 × 224, 1000 classes. Ours is `train_on_batch`, with the SGD of a recipe,
and `predict_on_batch` on TensorFlow, PyTorch's are torchvision's networks in `channels_last`,
eagerly, with autocast in bfloat16 and SGD. Two processes take turns, and the one that waits does
not compute. A row has the medians of both and the ratio of PyTorch's time to ours with its
quartiles: above 1 ours is faster. Kept rows of other networks stay; `--table` writes them into the
pages. With `--peer jax` the other process is ours on the JAX backend.
"""

import argparse
import functools
import json
import pathlib
import sys

from _kept import RESULTS, keep
from _turns import Process, in_turn, serve

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import tables

HERE = pathlib.Path(__file__).resolve()
# Our names and torchvision's.
MODELS = {
    "ResNet18": "resnet18",
    "ResNet50": "resnet50",
    "ResNeXt50_32x4d": "resnext50_32x4d",
    "DenseNet121": "densenet121",
}
# What is measured beside ours, by its name in the table, and the page with the table; the results
# are in PEER_on_cpu.json.
PEERS = {"torch": "PyTorch", "jax": "JAX"}
PAGES = {"torch": tables.BENCHMARKS, "jax": tables.ROOT / "docs" / "guide" / "backends.md"}
DTYPES, KINDS = ("float32", "bfloat16"), ("training", "inference")
BATCH, SIDE, CLASSES = 8, 224, 1000


def images():
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.random((BATCH, SIDE, SIDE, 3), np.float32)
    return x, rng.integers(0, CLASSES, BATCH).astype("int32")


def ours(name, dtype, kind):
    import keras_residual
    from keras_residual import training

    policy = "float32" if dtype == "float32" else "mixed_bfloat16"
    shape = (SIDE, SIDE, 3)
    model = getattr(keras_residual, name)(input_shape=shape, classes=CLASSES, dtype=policy)
    x, y = images()
    if kind == "inference":
        return lambda: model.predict_on_batch(x)
    optimizer = training.Recipe(learning_rate=0.01, weight_decay=0.0).make_optimizer(10_000)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    optimizer.build(model.trainable_variables)
    return lambda: model.train_on_batch(x, y)


def theirs(name, dtype, kind):
    import torch
    from peers import torchvision

    model = getattr(torchvision().models, MODELS[name])(num_classes=CLASSES)
    model = model.to(memory_format=torch.channels_last).train(kind == "training")
    x, y = (torch.tensor(array) for array in images())
    x, y = x.permute(0, 3, 1, 2), y.long()
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16, dtype == "bfloat16")
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)

    def infer():
        with torch.inference_mode(), autocast():
            model(x)

    def train():
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return infer if kind == "inference" else train


def names_of(models, dtypes, kinds):
    return [f"{name} {dtype} {kind}" for kind in kinds for dtype in dtypes for name in models]


def table(folder=RESULTS, peer="torch"):
    """Returns the kept rows as a table of Markdown, a line for each network, dtype and kind."""
    kept = json.loads((folder / f"{peer}_on_cpu.json").read_text())["rows"]
    other, own = PEERS[peer], "ours" if peer == "torch" else "TensorFlow"
    columns = f"| | {other}, ms | {own}, ms | {other} / {own} | quartiles |"
    lines = [columns, "|---|---:|---:|---:|---|"]
    for name in names_of(MODELS, DTYPES, KINDS):
        if name in kept:
            found, (model, dtype, kind) = kept[name], name.split()
            times = f"{found[f'{peer}_ms']:,.0f} | {found['ours_ms']:,.0f} | {found['ratio']:.2f}"
            low, high = found["quartiles"]
            lines.append(f"| `{model}`, {kind}, {dtype} | {times} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines) + "\n"


def measure(peer, names, rounds, kept):
    """Measures rows in turn, prints them and, with `kept`, writes each as soon as it is there."""
    side, backend = ("torch", "tensorflow") if peer == "torch" else ("ours", peer)
    workers = [
        Process(HERE, "--side", side, KERAS_BACKEND=backend),
        Process(HERE, "--side", "ours", KERAS_BACKEND="tensorflow"),
    ]
    columns, path = (f"{peer}_ms", "ours_ms"), RESULTS / f"{peer}_on_cpu.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else {}
    try:
        for name in names:
            measures = [functools.partial(worker.milliseconds, name) for worker in workers]
            rows[name] = found = in_turn(measures, rounds, columns)
            times = "  ".join(f"{column[:-3]} {found[column]:8.1f} ms" for column in columns)
            low, high = found["quartiles"]
            print(f"{name:<36} {times}  {found['ratio']:.2f} ({low:.2f} to {high:.2f})", flush=True)
            if kept:
                keep(RESULTS, f"{peer}_on_cpu", rounds=rounds, rows=rows)
    finally:
        for worker in workers:
            worker.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--peer", choices=PEERS, default="torch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS}/PEER_on_cpu.json")
    parser.add_argument("--table", action="store_true", help="only write the tables of the pages")
    parser.add_argument("--side", choices=("ours", "torch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = names_of(arguments.models, arguments.dtypes, arguments.kinds)
    if arguments.side:
        make = ours if arguments.side == "ours" else theirs
        serve(
            {
                name: functools.partial(make, *name.split())
                for name in names_of(MODELS, DTYPES, KINDS)
            }
        )
        return
    if arguments.table:
        for peer in PEERS:
            tables.write(PAGES[peer], f"{peer}-on-cpu", table(peer=peer))
        return
    measure(arguments.peer, names, arguments.rounds, arguments.keep)


if __name__ == "__main__":
    main()
