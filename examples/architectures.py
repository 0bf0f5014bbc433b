"""Architectures: ResNet-18 and a residual LSTM stack as drawings, with shortcuts as arcs.

    python examples/architectures.py

It takes ten seconds on 2 cores and prints the names of the files that it writes:

    runs/resnet18.svg
    runs/residual_lstm.svg

The second drawing is unrolled in time, which shows the difference between recurrence and skip
connections: recurrence leads from a layer's state to its own next step, a skip connection leads
around a layer within one step.
"""

import argparse
from pathlib import Path

import keras_residual
from keras_residual import analysis


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs"))
    output = parser.parse_args().output
    stack = keras_residual.ResidualLSTMClassifier((24, 1), units=64, num_layers=4)
    for name, model in {"resnet18": keras_residual.ResNet18(), "residual_lstm": stack}.items():
        analysis.plot_architecture(model, output / f"{name}.svg")
        print(output / f"{name}.svg")


if __name__ == "__main__":
    main()
