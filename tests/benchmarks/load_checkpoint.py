"""Time and memory of loading ResNet-50 (102 MB): python tests/benchmarks/load_checkpoint.py

Goals: `ResNet50(weights=path)` takes less than twice the time of reading every byte of the file
plus building the model, and its memory peaks below three times the file. About a minute.
"""

import importlib
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FORMATS = (".safetensors", ".pth", ".npz", ".weights.h5", "_v1.weights.h5")


def megabytes_now():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def seconds(function):
    """Returns the median of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(path):
    """Prints seconds to build, to read, and to do both through `weights=`; and peak megabytes."""
    import keras_residual as kr
    from keras_residual import weights

    factory = kr.ResNet50V1 if "_v1" in path else kr.ResNet50
    # The first use of TensorFlow and of the reader's library pays for their start.
    kr.ResNet("basic", (1,), (8,), input_shape=(32, 32, 3))
    if path.endswith((".pth", ".safetensors")):
        importlib.import_module("torch" if path.endswith(".pth") else "safetensors")
    before = megabytes_now()
    factory(weights=path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - before

    build = seconds(factory)
    read = seconds(lambda: [array.sum() for array in weights.read(path).values()])
    whole = seconds(lambda: factory(weights=path))
    print(build, read, whole, peak)


def write_files(folder):
    import numpy as np

    import keras_residual as kr
    from keras_residual import weights

    model = kr.ResNet50()
    state = weights.to_torch(model)
    np.savez(folder / "resnet50.npz", **state)
    model.save_weights(folder / "resnet50.weights.h5")
    import keras

    keras.applications.ResNet50(weights=None).save_weights(folder / "resnet50_v1.weights.h5")
    try:
        import torch
        from safetensors.numpy import save_file
    except ImportError as error:
        print(f"without .pth and .safetensors: {error}")
        return
    save_file(state, folder / "resnet50.safetensors")
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    torch.save(tensors, folder / "resnet50.pth")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.executable, __file__, "write", name], check=True)
        print("| file | MB | build s | read s | load s | load / (build + read) | peak / file |")
        print("|---|---|---|---|---|---|---|")
        for ending in FORMATS:
            path = folder / f"resnet50{ending}"
            if not path.exists():
                continue
            size = path.stat().st_size / 1e6
            # Each in a process of its own: a peak is a property of the process.
            output = subprocess.run(
                [sys.executable, __file__, "measure", str(path)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            build, read, whole, peak = map(float, output.split()[-4:])
            print(
                f"| {ending} | {size:.0f} | {build:.2f} | {read:.2f} | {whole:.2f} "
                f"| {whole / (build + read):.2f} | {peak / size:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write_files(pathlib.Path(sys.argv[2]))
    elif sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2])
    else:
        main()
