"""Images/s of training on images of CIFAR's size: batches in the step, `model.fit`, PyTorch.

    python tests/benchmarks/training_speed.py --model ResNet20
    KERAS_BACKEND=jax python tests/benchmarks/training_speed.py --model ResNet20 --batch 1024
    python tests/benchmarks/training_speed.py --torch --model ResNet20   # torch.compile, by itself

Random images, crop and flip, SGD with momentum. The ways take turns, `--rounds` times after one
round to warm up; a line has the median of the images/s, of the ratio to the first line, and of the
images per second of the processor's time, which another program's work disturbs less. PyTorch
trains the same network, converted, in a loop of its own with its data on the device and without
augmentation. On a GPU, `--dtype mixed_bfloat16`.
"""

import argparse
import statistics
import time

import numpy as np


def random_images(count):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return x, rng.integers(0, 10, count).astype(np.int32)


def keras_ways(arguments):
    """Returns the ways by name; each returns the images/s of one more round."""
    import keras

    import keras_residual
    from keras_residual import data
    from keras_residual.training.steps import compile_steps

    x, y = random_images(arguments.steps * arguments.batch)
    split = data.load((x, y, x[:100], y[:100])).train

    def make():
        model = keras_residual.get_model(arguments.model, dtype=arguments.dtype)
        model.compile(
            keras.optimizers.SGD(0.01, 0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.optimizer.build(model.trainable_variables)
        model.test_on_batch(x[:1] / 255, y[:1])
        return model

    def in_step():
        model = make()
        batches = data.in_step(split, arguments.batch, training=True)
        steps = compile_steps(model, batches, "train")
        order = batches.order(0)[0]
        size = arguments.steps_per_call or len(order)

        def run():
            started = time.perf_counter()
            for start in range(0, len(order), size):
                steps(order[start : start + size], 0)
                float(model.get_metrics_result()["loss"])
            return len(x) / (time.perf_counter() - started)

        return run

    def plain():
        model = make()
        batches = data.pipeline(split, batch_size=arguments.batch, training=True)

        def run():
            started = time.perf_counter()
            model.fit(batches, shuffle=False, verbose=0)
            return len(x) / (time.perf_counter() - started)

        return run

    return {"model.fit": plain(), "in the step": in_step()}


def torch_way(arguments):
    """Returns a torch.compile loop over the same network, without augmentation."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, channels, filters):
            super().__init__()
            self.stride = 1 if channels == filters else 2
            self.pad = (filters - channels) // 2
            self.conv1 = nn.Conv2d(channels, filters, 3, self.stride, 1, bias=False)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)

        def forward(self, x):
            y = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
            if self.stride == 2:
                x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
            return functional.relu(x + y)

    depth = (int(arguments.model.removeprefix("ResNet")) - 2) // 6
    layers, channels = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for filters in (16, 32, 64):
        for _ in range(depth):
            layers.append(Block(channels, filters))
            channels = filters
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    network = network.to(device, memory_format=torch.channels_last)
    compiled = torch.compile(network, mode="reduce-overhead" if device == "cuda" else "default")
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, fused=True)
    x, y = random_images(arguments.steps * arguments.batch)
    images = torch.tensor(x, device=device).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(y, device=device).long()
    half = torch.autocast(device, torch.bfloat16, enabled="bfloat16" in arguments.dtype)

    def run():
        started = time.perf_counter()
        for _ in range(arguments.steps):
            index = torch.randint(0, len(x), (arguments.batch,), device=device)
            batch = images[index].to(memory_format=torch.channels_last).float() / 255
            with half:
                loss = functional.cross_entropy(compiled(batch), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loss.item()
        return len(x) / (time.perf_counter() - started)

    return {"torch.compile": run}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ResNet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50, help="steps of a round")
    parser.add_argument("--steps-per-call", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--torch", action="store_true")
    arguments = parser.parse_args()
    ways = (torch_way if arguments.torch else keras_ways)(arguments)
    rates = {name: [] for name in ways}
    images, computing = arguments.steps * arguments.batch, {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, run in ways.items():
            before = time.process_time()
            rate = run()
            if number:
                rates[name].append(rate)
                computing[name].append(images / (time.process_time() - before))
    first = next(iter(rates))
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates[first], strict=True))
        print(
            f"{name:>22}: {statistics.median(values):10,.0f} images/s  {ratio:.2f}"
            f"  {statistics.median(computing[name]):10,.0f} per CPU second",
            flush=True,
        )


if __name__ == "__main__":
    main()
