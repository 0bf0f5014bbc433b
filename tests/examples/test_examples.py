import csv
import importlib.util
import pathlib
import re

import numpy as np
import pytest

import keras_residual

FOLDER = pathlib.Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_image_classification(tmp_path):
    network, images, history = load("image_classification").train(
        "ResNet8", epochs=3, output=tmp_path
    )
    assert history["val_accuracy"][-1] > 0.5
    assert network.output_shape == (None, images.num_classes)


def test_time_series(tmp_path):
    example = load("time_series")
    # Too few steps for the moving statistics of the normalization: the batches' own must do.
    network, _ = example.train(count=90, epochs=3, output=tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert float(rows[-1]["accuracy"]) > 0.8
    assert network.output_shape == (None, len(example.KINDS))
    series, kinds = example.control_charts(600, seed=7)
    rise = series[:, -10:].mean((1, 2)) - series[:, :10].mean((1, 2))
    signs = [np.sign(rise[kinds == kind].mean().round(1)) for kind in range(2, 6)]
    assert signs == [1, -1, 1, -1]


def test_segmentation(tmp_path):
    example = load("segmentation")
    network, images, labels = example.train(count=64, epochs=1, output=tmp_path)
    assert network.output_shape == (None, 48, 48, 11)
    assert images.shape == (8, 48, 48, 1) and labels.shape == (8, 48, 48)
    assert 0 <= example.mean_iou(network, images, labels) <= 1
    example.draw(network, images, labels, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_segmentation_labels_are_the_ink():
    example = load("segmentation")
    images, labels = example.composed(keras_residual.data.load("digits").test, 20, seed=0)
    ink = labels != example.PAPER
    assert images[..., 0][ink].min() > 0.25 and 0.05 < ink.mean() < 0.4
    assert images[..., 0][~ink].max() <= 0.3


def test_fine_tuning_starts_from_the_summed_kernels(tmp_path):
    example = load("fine_tuning_one_channel")
    images = keras_residual.data.load("digits")
    source = example.pretrain(images, epochs=1, seed=0, folder=tmp_path)
    coloured = keras_residual.ResNet8(input_shape=(8, 8, 3), classes=5)
    coloured.load_weights(source)
    network = example.adapted(source, frozen="stage1")
    kernels = [
        np.asarray(model.get_layer("stem").trainable_weights[0])
        if model is coloured
        else np.asarray(model.get_layer("stem").weights[0])
        for model in (coloured, network)
    ]
    np.testing.assert_allclose(kernels[0].sum(2, keepdims=True), kernels[1], atol=1e-6)
    before = network.get_layer("stage1").get_weights()
    few = example.digits(images.train, range(5, 10), 2)
    assert few[0].shape == (10, 8, 8, 1) and sorted(set(few[1])) == [0, 1, 2, 3, 4]
    example.fit(network, few, few, 1, 5, tmp_path / "fine")
    for ours, theirs in zip(before, network.get_layer("stage1").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_examples_begin_with_command_time_and_result(path):
    text = path.read_text(encoding="utf-8").split('"""')[1]
    assert f"    python examples/{path.name}" in text
    assert re.search(r"(second|minute|hour)s?.* on ", text), "say how long it takes"
    assert text.count("\n    ") >= 2, "show what it prints"
