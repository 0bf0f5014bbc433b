"""Speed of the networks on a GPU, beside PyTorch: one command, one row at a time.

    KERAS_BACKEND=jax python tests/benchmarks/gpu.py --output results/
    KERAS_BACKEND=jax python tests/benchmarks/gpu.py --smoke     # all rows, tiny, on a CPU

Needs JAX, torch and torchvision; TensorFlow is not imported. Both ways of a row compute the same
network with synthetic data in the device's memory, in bfloat16, in turn in one process; a row has
the medians in milliseconds, PyTorch's time over ours (more than 1: ours is faster), and examples
per second. `fit` trains ResNet-20 by `training.fit` on images of CIFAR's size; `jax.export` runs
the file that `export` writes, beside the model itself.

Each row is a process of its own and is written to `gpu.json` as soon as it is done: the same
command measures the missing ones. No row begins after `--seconds`, nine minutes.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from _kept import keep
from _torch_lstm import torch_lstm_stack

HERE = pathlib.Path(__file__).parent
REPEATS = {False: 25, True: 2}
# Name of the network, examples in a batch, goal in examples per second.
TRAINING = {
    "ResNet50": (256, 7200),
    "ResNet18": (512, 20_500),
    "ResNeXt50": (256, 5600),
    "DenseNet121": (256, 4300),
}
# Examples in a batch, goal as PyTorch's time over ours.
LSTM = {128: 2.5, 16: 3.0, 1: 3.5}
ROWS = (
    *(f"{name} training" for name in TRAINING),
    *(f"LSTM training {batch}" for batch in LSTM),
    "fit ResNet20",
    *(f"{name} inference" for name in TRAINING),
    *(f"LSTM inference {batch}" for batch in LSTM),
    "jax.export ResNet50",
)


def in_turn(ways, repeats):
    """Returns the median milliseconds of each way and the seconds its first call took."""
    first, times = {}, {name: [] for name in ways}
    for name, way in ways.items():
        started = time.perf_counter()
        way()
        first[name] = time.perf_counter() - started
        for _ in range(min(repeats, 4)):
            way()
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append(1e3 * (time.perf_counter() - started))
    return {
        "milliseconds": {name: statistics.median(found) for name, found in times.items()},
        "first_call_seconds": first,
    }


def torchvision_models():
    """Returns torchvision's DenseNets and ResNets."""
    import torch

    try:
        import torchvision.models
    except RuntimeError:
        # Beside a torch build without its C++ operators, torchvision wants their names declared.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision.models

        torchvision.operators = library
    return torchvision.models.densenet, torchvision.models.resnet


def network(name, smoke):
    """Returns our network, and PyTorch's with as many parameters."""
    import keras_residual

    densenet, resnet = torchvision_models()

    depths = {
        "ResNet18": (2, 2, 2, 2),
        "ResNet50": (3, 4, 6, 3),
        "ResNeXt50": (3, 4, 6, 3),
        "DenseNet121": (6, 12, 24, 16),
    }[name]
    depths = (1, 1, 1, 1) if smoke else depths
    side = 32 if smoke else 224
    our_name = {"ResNeXt50": "ResNeXt50_32x4d"}.get(name, name)
    ours = keras_residual.get_model(
        our_name,
        input_shape=(side, side, 3),
        depths=depths,
        dtype="mixed_bfloat16",
        classifier_activation=None,
    )
    if name == "DenseNet121":
        theirs = densenet.DenseNet(32, depths, 64)
    elif name == "ResNet18":
        theirs = resnet.ResNet(resnet.BasicBlock, list(depths))
    else:
        groups = {"groups": 32, "width_per_group": 4} if name == "ResNeXt50" else {}
        theirs = resnet.ResNet(resnet.Bottleneck, list(depths), **groups)
    counts = (
        sum(math.prod(variable.shape) for variable in ours.trainable_variables),
        sum(parameter.numel() for parameter in theirs.parameters()),
    )
    if counts[0] != counts[1]:
        raise RuntimeError(f"{name}: {counts[0]:,} and {counts[1]:,} parameters")
    return ours, theirs


def values(model):
    return (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )


def our_training(model, x, y):
    """Returns a step of SGD with momentum on data in the device's memory."""
    import jax
    import keras

    optimizer = keras.optimizers.SGD(0.01, 0.9)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(trainable, other):
        outputs, other = model.stateless_call(trainable, other, x, training=True)
        return loss_of(y, outputs), other

    def step(trainable, other, of_optimizer):
        (value, other), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, other)
        trainable, of_optimizer = optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return value, (trainable, other, of_optimizer)

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    state = (*values(model), [v.value for v in optimizer.variables])

    def run():
        nonlocal state
        value, state = compiled(*state)
        jax.block_until_ready((value, state))

    return run


def our_inference(model, x):
    import jax

    trainable, other = values(model)
    compiled = jax.jit(
        lambda trainable, other, x: model.stateless_call(trainable, other, x, training=False)[0]
    )
    return lambda: jax.block_until_ready(compiled(trainable, other, x))


class Torch:
    """A PyTorch network on the device, compiled, in bfloat16."""

    def __init__(self, network, smoke):
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.to(self.device, memory_format=torch.channels_last)
        # Without a GPU the compiler would only show that a minute passes.
        self.compiled = torch.compile(self.network, backend="eager" if smoke else "inductor")

    def half(self):
        import torch

        return torch.autocast(self.device, torch.bfloat16)

    def images(self, batch, side):
        import torch

        x = torch.randn(batch, 3, side, side, device=self.device)
        return x.to(memory_format=torch.channels_last)

    def wait(self):
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()

    def training(self, x, y):
        import torch
        from torch.nn import functional

        self.network.train()
        optimizer = torch.optim.SGD(self.network.parameters(), 0.01, 0.9)

        def run():
            with self.half():
                loss = functional.cross_entropy(self.compiled(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            self.wait()

        return run

    def inference(self, x):
        import torch

        self.network.eval()

        def run():
            with torch.inference_mode(), self.half():
                self.compiled(x)
            self.wait()

        return run


def network_row(name, kind, smoke):
    """Training or inference of a network for images, ours and PyTorch's."""
    import jax
    import torch

    ours, theirs = network(name, smoke)
    batch, goal = TRAINING[name]
    batch, side = (2, 32) if smoke else (batch, 224)
    x = jax.random.normal(jax.random.key(0), (batch, side, side, 3))
    y = jax.random.randint(jax.random.key(1), (batch,), 0, 1000)
    peer = Torch(theirs, smoke)
    pictures = peer.images(batch, side)
    if kind == "training":
        labels = torch.randint(0, 1000, (batch,), device=peer.device)
        ways = {"ours": our_training(ours, x, y), "torch": peer.training(pictures, labels)}
    else:
        ways = {"ours": our_inference(ours, x), "torch": peer.inference(pictures)}
    goal = {"goal_examples_per_second": goal} if kind == "training" else {}
    return {"batch": batch, **goal, **in_turn(ways, REPEATS[smoke])}


def lstm_row(kind, batch, smoke):
    """A residual LSTM, 8 layers of 1,024 units over 64 steps, beside cuDNN's layer by layer."""
    import jax
    import keras
    import torch

    from keras_residual.layers import ResidualLSTM

    layers, units, steps = (2, 8, 4) if smoke else (8, 1024, 64)

    inputs = keras.Input((steps, units))
    layer = ResidualLSTM(units, layers, return_sequences=True, dtype="mixed_bfloat16")
    model = keras.Model(inputs, layer(inputs))
    x = jax.random.normal(jax.random.key(0), (batch, steps, units), "bfloat16")
    trainable, other = values(model)

    def outputs(trainable, training):
        return model.stateless_call(trainable, other, x, training=training)[0]

    gradient = jax.jit(
        jax.grad(lambda weights: (outputs(weights, True).astype("float32") ** 2).mean())
    )
    inference = jax.jit(lambda weights: outputs(weights, False))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stack = torch_lstm_stack(units, layers).to(device, torch.bfloat16)
    z = torch.randn(batch, steps, units, device=device, dtype=torch.bfloat16)

    def their_training():
        stack.zero_grad(set_to_none=True)
        stack(z).float().square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()

    def their_inference():
        with torch.inference_mode():
            stack(z)
        if device == "cuda":
            torch.cuda.synchronize()

    if kind == "training":
        ways = {"ours": lambda: jax.block_until_ready(gradient(trainable)), "torch": their_training}
    else:
        ways = {
            "ours": lambda: jax.block_until_ready(inference(trainable)),
            "torch": their_inference,
        }
    goal = {"goal_ratio": LSTM[batch]} if kind == "training" else {}
    return {"batch": batch, **goal, **in_turn(ways, REPEATS[smoke])}


def fit_row(smoke):
    """ResNet-20 by `training.fit`, its data in the device's memory; torch.compile without."""
    import dataclasses

    import keras
    from training_speed import random_images, torch_way

    import keras_residual
    from keras_residual import data, training

    batch, steps = (4, 3) if smoke else (128, 390)
    x, y = random_images(batch * steps)
    dataset = data.load((x, y, x[:batch], y[:batch]))
    recipe = dataclasses.replace(
        training.recipes["quick"], batch_size=batch, epochs=3 if smoke else 8, ema=0.0
    )
    seconds = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.started)

    model = keras_residual.models.model_for(
        "ResNet8" if smoke else "ResNet20", dataset, dtype="mixed_bfloat16"
    )
    with tempfile.TemporaryDirectory() as folder:
        training.fit(model, dataset, recipe, folder, callbacks=[Clock()], verbose=0)
    settings = argparse.Namespace(
        model="ResNet8" if smoke else "ResNet20", steps=steps, batch=batch, dtype="mixed_bfloat16"
    )
    ours = statistics.median(seconds[1:])
    row = {"batch": batch, "milliseconds": {"ours": 1e3 * ours / steps}}
    if not smoke:
        (theirs,) = torch_way(settings).values()
        rates = [theirs() for _ in range(3)]
        row["milliseconds"]["torch"] = 1e3 * batch / statistics.median(rates[1:])
    return {**row, "goal_examples_per_second": 80_000}


def export_row(smoke):
    """The file of `jax.export` on this device, beside the model that it was written from."""
    import jax
    import numpy as np

    import keras_residual
    from keras_residual import export

    side, batch = (32, 2) if smoke else (224, 32)
    model = keras_residual.get_model(
        "ResNet8" if smoke else "ResNet50", input_shape=(side, side, 3)
    )
    x = np.random.default_rng(0).random((batch, side, side, 3), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        report = export.export(model, folder, formats=("jax",), measure=False)
        artefact = export.load(report.rows[0].path)
        ours = our_inference(model, jax.numpy.asarray(x))
        found = np.asarray(artefact.predict(x))
        wanted = np.asarray(ours())
        row = in_turn({"ours": lambda: artefact.predict(x), "model": ours}, REPEATS[smoke])
    difference = float(np.abs(found - wanted).max())
    if not difference < 1e-3:
        raise RuntimeError(f"The file differs from its model by {difference}")
    return {"batch": batch, "difference": difference, **row}


def measured(row, smoke):
    """Measures one row, in this process."""
    name, kind, *rest = row.split()
    if name == "LSTM":
        found = lstm_row(kind, int(rest[0]), smoke)
    elif name == "fit":
        found = fit_row(smoke)
    elif name == "jax.export":
        found = export_row(smoke)
    else:
        found = network_row(name, kind, smoke)
    times = found["milliseconds"]
    found["examples_per_second"] = round(1e3 * found["batch"] / times["ours"])
    peer = times.get("torch") or times.get("model")
    if peer:
        found["ratio"] = round(peer / times["ours"], 3)
    return {**found, "versions": versions()}


def versions():
    import jax
    import keras
    import torch

    found = {module.__name__: module.__version__ for module in (jax, keras, torch)}
    return {**found, "device": jax.devices()[0].device_kind}


def run(arguments):
    """Measures the rows that are missing and returns all of them."""
    path = arguments.output / "gpu.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else {}
    began, left = time.monotonic(), []
    for row in arguments.rows:
        if "error" not in rows.get(row, {"error": None}):
            continue
        if time.monotonic() - began > arguments.seconds:
            left.append(row)
            continue
        command = [sys.executable, __file__, "--row", row, *["--smoke"] * arguments.smoke]
        # Both frameworks share the device's memory.
        environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        environment.setdefault("KERAS_BACKEND", "jax")
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            rows[row] = {"error": done.stderr.strip().splitlines()[-1:]}
        else:
            rows[row] = json.loads(done.stdout.splitlines()[-1])
        keep(arguments.output, "gpu", rows=rows, smoke=arguments.smoke)
        print(line(row, rows[row]), flush=True)
    if left:
        print(f"{len(left)} rows are left, the same command measures them: {', '.join(left)}")
    return rows


def line(row, found):
    """Returns what is printed of a row."""
    if "error" in found:
        return f"{row:<24} failed: {found['error']}"
    times = "  ".join(f"{name} {value:.2f} ms" for name, value in found["milliseconds"].items())
    goal = found.get("goal_examples_per_second")
    wanted = f", goal {goal:,}" if goal else ""
    ratio = f"  ratio {found['ratio']:.2f}" if "ratio" in found else ""
    if "goal_ratio" in found:
        ratio += f" (goal {found['goal_ratio']})"
    return f"{row:<24} {times}  {found['examples_per_second']:,}/s{wanted}{ratio}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results")
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW")
    parser.add_argument("--smoke", action="store_true", help="tiny networks, few repeats")
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(measured(arguments.row, arguments.smoke)))
        return 0
    return int(any("error" in row for row in run(arguments).values()))


if __name__ == "__main__":
    sys.exit(main())
