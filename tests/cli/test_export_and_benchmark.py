import json

import matplotlib.image
import numpy as np
import pytest

from keras_residual import data, export


def test_export_and_benchmark(run, tmp_path, model):
    result = run(
        "export small.keras --format litert --quantization int8 --data digits --images 50 "
        "--output out"
    )
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    entry = card["artefacts"]["model_int8.tflite"]
    test = data.load("digits").test
    images = test.x[:50] / np.float32(test.scale)
    outputs = export.load(tmp_path / "out" / "model_int8.tflite").predict(images)
    assert entry["verification"]["accuracy"] == np.mean(outputs.argmax(-1) == test.y[:50])
    assert entry["verification"]["samples"] == 50 and entry["timing"]["median_seconds"] > 0
    assert card["labels"] == list("0123456789")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["Folding normalizations", "Writing model_int8.tflite"]
    row = next(line for line in lines if line.startswith("model_int8.tflite"))
    assert f"{entry['verification']['accuracy']:.2%}" in row
    result = run(
        "benchmark out/model_int8.tflite small.keras --batch-size 1 --batch-size 3 --threads 1 "
        "--seconds 0.1 --output timing"
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "timing" / "benchmark.json").read_text())
    assert [(row["name"], row["batch_size"]) for row in rows] == [
        (name, batch) for name in ("out/model_int8.tflite", "small.keras") for batch in (1, 3)
    ]
    assert all(row["p95_seconds"] >= row["median_seconds"] > 0 for row in rows)
    assert rows[0]["file_bytes"] == entry["bytes"]
    picture = matplotlib.image.imread(tmp_path / "timing" / "benchmark.png")
    assert min(picture.shape[:2]) > 200


def test_export_by_name(run, tmp_path):
    result = run("export resnet8 --format litert --quantization float16 --output out")
    assert result.exit_code == 0, result.output
    assert export.load(tmp_path / "out" / "model_float16.tflite").input_shape == (None, 32, 32, 3)


def test_files_for_phones_and_their_page(run, tmp_path):
    """Published weights say how pixels are scaled; npm's package is one of names only."""
    for name in ("vision_bundle.mjs", "wasm/vision_wasm_internal.js"):
        for variant in (name, name.replace("internal", "nosimd_internal")):
            for ending in (variant, variant.replace("internal.js", "internal.wasm")):
                (tmp_path / "tasks" / ending).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "tasks" / ending).write_text("")
    result = run("export resnet8 --weights cifar10 --web --tasks-vision tasks --output out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "web" / "index.html").is_file()
    assert "http.server --directory out/web" in result.stdout
    artefact = export.load(tmp_path / "out" / "model.tflite")
    assert artefact.input_shape == (1, 32, 32, 3) and artefact.labels[3] == "cat"
    (tmp_path / "names.txt").write_text("\n".join("abcdefghij"))
    result = run("export resnet8 --weights cifar10 --for server --labels names.txt --output out")
    assert result.exit_code == 0, result.output
    artefact = export.load(tmp_path / "out" / "model.tflite")
    assert artefact.input_shape == (None, 32, 32, 3) and artefact.labels == list("abcdefghij")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("export small.keras --format paper", "`--format` must be one of"),
        ("export small.keras --quantization int4", "`--quantization` must be one of"),
        (
            "export small.keras --quantization int8",
            "--quantization int8 needs `--data`. Received: no --data",
        ),
        ("export small.keras --data unheard.npz", "unheard.npz"),
        ("export small.keras --images 10", "`--images` has no effect without `--data`"),
        ("export small.keras --weights imagenet", "`--weights` is for networks given by name"),
        (
            "export small.keras --for phone",
            "for 'resnet'; give `--preprocessing`: caffe, tf or torch.",
        ),
        ("export small.keras --for watch", "`--for` must be one of"),
        ("export small.keras --outputs uint8", "`--outputs` is for files for phones"),
        ("export small.keras --labels absent.txt", "`--labels` must be a file"),
        ("export absent.keras", "absent.keras does not exist"),
        ("export runs/absent", "runs/absent does not exist"),
        ("export resnot18", "Did you mean"),
        ("export resnet8 --data digits", "the images of digits are (8, 8, 1)"),
        ("benchmark absent.tflite", "absent.tflite does not exist"),
        pytest.param("benchmark resnot18", "resnot18 cannot be run", marks=pytest.mark.slow),
    ],
)
def test_refusals(refused, model, line, message):
    assert message in refused(line)
