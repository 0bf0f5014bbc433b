"""`keras-residual train` for networks that enlarge pictures, up to `upscale`."""

import csv

import numpy as np
import pytest
from cli.refusals import refuses

from keras_residual import data, training
from keras_residual.cli import _super_resolution

pytest.importorskip("PIL")
TRAIN = "train --dataset pictures --scale 2 --image-size 6 --batch-size 2 --output run"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(_super_resolution, "STEPS", 3)
    y, x = np.mgrid[:24, :30] / 3
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        waves = np.sin(x * (1 + number / 5) + y)[..., None].repeat(3, -1)
        pixels = np.round(127 + 120 * waves).astype(np.uint8)
        data.write_picture(tmp_path / "pictures" / f"{number}.png", data.Picture(pixels))


def test_train_then_upscale(run, pictures, tmp_path):
    pytest.importorskip("skimage")
    result = run(f"{TRAIN} --model vdsr --epochs 2")
    assert result.exit_code == 0, result.output
    assert "on 2 pictures of pictures, 1 held out" in result.stdout
    assert "epoch 1/2: PSNR " in result.stdout
    assert "bicubic" in result.stdout and training.finished_epochs(tmp_path / "run") == 2
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert len(rows) == 2 and float(rows[1]["val_batch_psnr"]) > 5
    result = run("upscale pictures/0.png --model run --output large.png")
    assert result.exit_code == 0, result.output
    assert data.read_picture(tmp_path / "large.png").pixels.shape == (48, 60, 3)


test_refusals = refuses(
    TRAIN,
    [
        ("--model edsr --recipe quick", "`--recipe` has no effect on edsr, which enlarges"),
        ("--model edsr --set ema=0.9", "`--set` has no effect on edsr, which enlarges pictures"),
        ("--model edsr --hold-out 0.1", "`--hold-out` has no effect on edsr"),
        ("--model edsr --export", "`--export` has no effect on edsr"),
        ("--model edsr --scale 5", "`--scale` must be one of 2, 3, 4"),
        ("--model edsr --dataset digits", "digits is not a folder"),
        ("--model edsr --image-size 20", "too small for patches of patch_size=20"),
    ],
    fixtures=("pictures",),
)
