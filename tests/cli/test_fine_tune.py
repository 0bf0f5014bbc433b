"""From published weights and a folder of photographs to a model and a report, by the command."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from cli.refusals import refuses
from PIL import Image

from keras_residual import data, training
from keras_residual._description import read_from
from keras_residual.cli._classifier import size_for_weights

# Its weights come with the package.
TRAIN = "train --model resnet8 --weights cifar10 --dataset photos --output run --batch-size 8"
COLOURS = {"blue": (40, 60, 200), "green": (40, 200, 60), "red": (200, 60, 40)}


def photographs(folder, count=14, names=COLOURS):
    draw = np.random.default_rng(0)
    for name, colour in names.items():
        (folder / name).mkdir(parents=True)
        for number in range(count - 4 * (name == "red")):
            size = (int(draw.integers(30, 60)), int(draw.integers(30, 60)), 3)
            pixels = draw.integers(-40, 40, size) + np.array(colour)
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(folder / name / f"{number}.png")


@pytest.fixture
def photos(tmp_path):
    photographs(tmp_path / "photos")
    return tmp_path / "photos"


def test_one_large_photograph_does_not_raise_the_size_of_all(photos):
    dataset = data.load(photos)
    assert size_for_weights(dataset, "resnet50", None) == (64, 64)
    Image.new("RGB", (3024, 3024)).save(photos / "blue" / "phone.jpg")
    dataset = data.load(photos)
    assert dataset.image_shape[:2] == (None, None)
    assert size_for_weights(dataset, "resnet50", None) == (64, 64)
    assert size_for_weights(dataset, "resnet50", 96) == (96, 96)


def test_the_whole_way(run, photos, tmp_path):
    result = run(
        f"{TRAIN} --epochs 3 --set head_epochs=2 --class-weights balanced --layer-decay 0.5"
    )
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "run" / "result.json").read_text())
    assert said["recipe"] == "fine_tune" and said["weights"] == "cifar10"
    assert said["layer_decay"] == 0.5 and said["class_weights"] == "balanced"
    assert set(said["report"]["classes"]) == set(COLOURS)
    assert said["report"]["accuracy"] == said["test_accuracy"]
    assert 1 <= said["best_epoch"] <= said["epochs"] == 3
    assert len(said["next"]) == 3 and said["seconds_in_all"] >= said["seconds"]
    assert {"confusion_matrix.png", "learning_curves.png"} <= set(said["pictures"])
    for name in said["pictures"]:
        with Image.open(tmp_path / "run" / name) as picture:
            assert picture.size[0] > 100
    best = f"{said['test_accuracy']:.2%} after epoch {said['best_epoch']} of 3"
    for text in ("Precision", "Macro F1", best, "Next: keras-residual evaluate", "in all"):
        assert text in result.output
    description = read_from(tmp_path / "run" / "model.keras")
    assert description.class_names == tuple(COLOURS) and description.white == 1.0
    assert description.crop == 1.0 and description.weights == "ResNet8.keras_residual_cifar10"
    assert not (tmp_path / "run" / ".frozen").exists()
    again = run("evaluate run --dataset photos --output evaluated")
    assert again.exit_code == 0, again.output
    report = json.loads((tmp_path / "evaluated" / "report.json").read_text())["report"]
    assert report["confusion"] == said["report"]["confusion"]


def test_pixels_are_scaled_inside_as_the_weights_want(run, photos, tmp_path):
    """With nothing trained, the body computes what `preprocess` and the network with weights do."""
    import keras_residual

    model = keras_residual.models.pretrained_classifier("resnet8", "cifar10", 3, (32, 32, 3))
    published = keras_residual.ResNet8(weights="cifar10", include_top=False, pooling="avg")
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    expected = published(keras_residual.preprocess(image, "ResNet8", resize=False))
    body = keras.Model(model.input, model.layers[-1].input)
    np.testing.assert_allclose(body(image / np.float32(255)), expected, rtol=1e-4, atol=1e-5)
    pixels = keras_residual.preprocess(image, model, resize=False)
    np.testing.assert_allclose(pixels, image / np.float32(255), rtol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    pixels = keras_residual.preprocess(image, loaded, resize=False)
    np.testing.assert_allclose(pixels, image / np.float32(255), rtol=1e-6)


def test_weights_that_do_not_fit(refused, photos, tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(
        tmp_path / "other.weights.h5"
    )
    line = refused(f"{TRAIN.replace('cifar10', 'other.weights.h5')} --scaling torch")
    assert "other.weights.h5" in line and "`--model` must be the network of `--weights`" in line


def test_weights_that_do_not_tell_their_scaling(run, refused, photos, tmp_path):
    """Weights of this package's own layout, saved by a user."""
    import keras_residual

    keras_residual.ResNet8(classes=3).save_weights(tmp_path / "own.weights.h5")
    line = TRAIN.replace("cifar10", "own.weights.h5") + " --epochs 1"
    assert "give `--scaling caffe`" in refused(line)
    assert run(f"{line} --scaling torch").exit_code == 0


test_options_out_of_range = refuses(
    TRAIN,
    [
        ("--weights imagenet", "Unknown weights of ResNet8: 'imagenet'. Known: cifar10"),
        ("--weights missing.h5", "missing.h5"),
        ("--freeze stage9", "Unknown layer to freeze: 'stage9'"),
        ("--class-weights red=x", "CLASS=WEIGHT with commas between, of the classes blue, green"),
        ("--class-weights violet=2", "of the classes blue, green, red. Received: violet=2"),
        ("--layer-decay 0", "`--layer-decay` must be"),
        ("--scaling hsv", "hsv"),
    ],
    fixtures=("photos",),
)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path):
    photographs(tmp_path / "photos")
    words = f"{TRAIN} --epochs 8 --set head_epochs=4 --freeze stage2".split()
    errors = tmp_path / "errors.txt"

    def start(output):
        line = [word if word != "run" else output for word in words]
        environment = {**os.environ, "COLUMNS": "100"}
        with errors.open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "keras_residual.cli", *line], cwd=tmp_path,
                stdout=subprocess.DEVNULL, stderr=stream, env=environment,
            )  # fmt: skip

    def weights(output):
        model = keras.saving.load_model(tmp_path / output / "model.keras", compile=False)
        return model.get_weights()

    whole = start("whole")
    assert whole.wait() == 0, errors.read_text()
    draw = np.random.default_rng(0)
    for _ in range(4):
        killed = start("killed")
        log, begun = tmp_path / "killed" / "log.csv", 0
        begun = len(log.read_text().splitlines()) if log.exists() else 0
        while killed.poll() is None:
            if log.exists() and len(log.read_text().splitlines()) > begun:
                break
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.3))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert 0 < training.finished_epochs(tmp_path / "killed") <= 8
    last = start("killed")
    assert last.wait() == 0, errors.read_text()
    for one, other in zip(weights("killed"), weights("whole"), strict=True):
        np.testing.assert_array_equal(one, other)
