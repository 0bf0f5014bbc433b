import json
import pathlib

import pytest
from cli import catalogue

import keras_residual
from keras_residual.models.registry import BUILDERS

PATH = pathlib.Path(keras_residual.__file__).parent / "cli" / "models.json"


def test_catalogue_is_current():
    """If it fails: `python tests/write_tables.py`."""
    assert json.loads(PATH.read_text(encoding="utf-8")) == catalogue.entries()


def names_of(result):
    """Returns the names in a printed table, without the lines below it."""
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    sized = lines[1 : next(n for n, line in enumerate(lines) if line[:2] in ("", "* ", "+ "))]
    # Where the terminal is narrow, the end of a paper's name stands in a line of its own.
    return [line.split()[0] for line in sized if not line.startswith(" ")]


def test_list_shows_all_names(run):
    result = run("list")
    assert names_of(result) == keras_residual.list_models()
    for name in BUILDERS:
        assert f"\n{name} " in result.stdout


def test_list_by_pattern(run):
    result = run("list ResNeXt50_*")
    lines = result.stdout.splitlines()
    assert lines[1].split()[:4] == ["ResNeXt50_32x4d", "25,028,904", "4.23", "G"]
    assert lines[1].endswith("Xie 2017")
    assert lines[-1].startswith("1 model;")


def rows(run, options):
    result = run(f"list --json {options}")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("key", ["parameters", "macs"])
def test_list_sorts_the_least_first(run, key):
    values = [row[key] for row in rows(run, f"--sort {key}")]
    known = [value for value in values if value is not None]
    # Entries without a value come last.
    assert known == sorted(known) == values[: len(known)] and len(known) < len(values)


def test_list_sorts_by_name(run):
    names = [row["name"] for row in rows(run, "--sort name")]
    assert names == sorted(names, key=str.lower) and len(names) > 100


def test_list_sorts_the_most_accurate_first(run):
    found = rows(run, "--sort accuracy")
    imagenet = [row["accuracy"] for row in found if row["accuracy_on"] == "imagenet"]
    assert imagenet == sorted(imagenet, reverse=True) and imagenet[0] > 84
    order = [row["accuracy_on"] for row in found]
    assert order == sorted(order, key=lambda name: (name is None, name != "imagenet", name or ""))
    assert {"imagenet", "cifar10", None} <= set(order)
    [resnet20] = [row for row in found if row["name"] == "ResNet20"]
    assert resnet20["accuracy"] == 92.6 and resnet20["weights"] == "chenyaofo_cifar10"


def test_an_accuracy_is_of_the_size_that_is_counted_where_one_is_known(run):
    """ResNet34V2D has 79.79 % on 384 pixels, and costs 3.9 G on 224."""
    [row] = rows(run, "ResNet34V2D")
    assert row["accuracy"] == 78.27 and row["accuracy_size"] == 224
    assert "78.27  He" in run("list ResNet34V2D").stdout
    text = run("list RegNetZ040").stdout
    assert "83.64+" in text and "+ measured on larger images" in text


def test_list_within_bounds(run):
    found = rows(run, "--max-parameters 1000000 --max-macs 100000000")
    assert {"ResNet8", "ResNet20"} <= {row["name"] for row in found}
    assert all(row["parameters"] <= 1e6 and row["macs"] <= 1e8 for row in found)
    # The bound itself is within; a network of any size is not.
    assert [row["name"] for row in rows(run, "ResNet20 --max-parameters 269722")] == ["ResNet20"]
    assert rows(run, "ResNet20 --max-parameters 269721") == []
    assert rows(run, "gnmt --max-macs 1000000000000000") == []


def test_list_of_a_task(run):
    names = {task: [row["name"] for row in rows(run, f"--task {task}")] for task in
             ("classification", "super-resolution", "translation", "sequences")}  # fmt: skip
    assert names["super-resolution"] == keras_residual.list_models(kind="super_resolution")
    assert names["translation"] == ["GNMT"] and "ResidualLSTMTagger" in names["sequences"]
    assert "ResNet50" in names["classification"]


def test_networks_of_any_size_are_not_sent_to_summary(run):
    text = run("list --task transcription").stdout
    assert "ResidualLSTMTranscriber" in text and "summary" not in text
    assert "`help(keras_residual.NAME)` says which sizes these take" in text
    assert "shows the layers of one with a size" in run("list").stdout
    assert "summary NAME` shows the layers." in run("list resnet8").stdout


def test_summary_counts_every_layer(run):
    result = run("summary resnet8 --input-shape 16x24x1 --classes 7")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["stage2", "ResidualStage", "8", "×", "12", "×", "32", "14,720"] in rows
    assert ["classifier", "Dense", "7", "455"] in rows
    layers = [int(row[-1].replace(",", "")) for row in rows[2:-1]]
    model = keras_residual.ResNet8(input_shape=(16, 24, 1), classes=7)
    assert sum(layers) == model.count_params()
    assert f"{model.count_params():,} parameters" in result.stdout


def test_summary_of_a_model_in_a_file(run, refused, tmp_path):
    options = {"depths": (1,), "widths": (4,), "stem": "conv3", "stem_width": 4, "classes": 3}
    model = keras_residual.ResNet("basic", input_shape=(8, 8, 1), **options)
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.keras")
    open_size = keras_residual.ResNet("basic", input_shape=(None, None, 1), **options)
    open_size.save(tmp_path / "open.keras")
    results = [
        run(f"summary {words} --json")
        for words in ("run", "run/model.keras", "open.keras --input-shape 8x8x1")
    ]
    found = [json.loads(result.stdout) for result in results]
    assert found[0] == found[1] and found[0]["parameters"] == model.count_params()
    assert found[0]["macs"] == found[2]["macs"] == keras_residual.analysis.cost(model).macs
    assert "takes inputs of (None, None, 1)" in refused("summary open.keras")
    assert "`--classes` is for networks by name" in refused("summary run --classes 3")


def test_summary_allocates_no_weight(run):
    result = run("summary resnet18 --classes 2000000000")
    assert result.exit_code == 0, result.output
    assert "1,026,011,186,112 parameters" in result.stdout.replace("\n", " ")


def test_summary_of_a_network_for_any_size(run):
    text = run("summary edsr").stdout
    assert "any × any × 64" in text and "1,517,571 parameters" in text and "114 G" in text


@pytest.mark.parametrize("shape", ["16,24,1", "(16,24,1)", "16×24×1"])
def test_summary_takes_shapes_in_any_form(run, shape):
    assert "16 × 24 × 1" in run(f"summary resnet8 --input-shape {shape}").stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("list resnix*", "'resnix*'"),
        ("list --task poetry", "`--task` must be one of classification, "),
        (
            "list --sort colour",
            "`--sort` must be one of parameters, macs, accuracy, name. Received",
        ),
        ("list --max-parameters 1", "No network is within these bounds"),
        ("list edsr --task translation", "No network is within these bounds and of this task"),
        ("summary resnt50", "Did you mean ResNet50"),
        ("summary resnt50", "? `keras-residual list` shows all names."),
        ("summary resnet8 --input-shape big", "`--input-shape` must be sizes such as 224x224x3"),
        ("summary resnet50 --input-shape 16x16x3", "at least 32"),
        ("summary resnet8 --classes 0", "`--classes` must be a positive integer"),
        (
            "summary resnet8 --classes 5000000000",
            "`--classes` must be a positive integer of at most 2147483647",
        ),
    ],
)
def test_refusals(refused, line, message):
    assert message in refused(line)


def test_version(run):
    assert run("--version").stdout.strip() == keras_residual.__version__


def test_help_names_every_verb(run):
    text = run("--help").stdout
    for verb in ("quickstart", "list", "summary", "train", "evaluate"):
        assert f" {verb} " in text
