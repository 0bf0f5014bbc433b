import json
import pathlib
import re

import pytest

import keras_residual

PATH = pathlib.Path(keras_residual.__file__).parent / "cli" / "models.json"


def test_catalogue_says_what_the_readme_says():
    """A test recounts the README's table. Mend this one by `python tests/write_tables.py`."""
    text = (PATH.parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| [\d,]+ \| ([\d,]+) \| ([\d.]+) G \| (\S+) \| (.+) \|$", text, re.M
    )
    entries = json.loads(PATH.read_text(encoding="utf-8"))
    assert [entry["name"] for entry in entries] == keras_residual.list_models()
    assert [
        (
            entry["name"],
            f"{entry['parameters']:,}",
            f"{entry['macs'] / 1e9:.3f}",
            "×".join(map(str, entry["input_shape"])),
            f"[{entry['paper']}]({entry['address']})",
        )
        for entry in entries
    ] == rows


def test_list_shows_all_names(run):
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()[1:-1]
    # Where the terminal is narrow, the end of a paper's authors stands in a line of its own.
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == keras_residual.list_models()


def test_list_by_pattern(run):
    result = run("list ResNeXt50_*")
    lines = result.stdout.splitlines()
    assert lines[1].split()[:4] == ["ResNeXt50_32x4d", "25,028,904", "4.23", "G"]
    assert "Xie et al., 2017" in lines[1] and len(lines) == 3


def test_list_of_nothing(refused):
    assert "'resnix*'" in refused("list resnix*")


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


def test_summary_allocates_no_weight(run):
    result = run("summary resnet18 --classes 4000000000")
    assert result.exit_code == 0, result.output
    assert "2,052,011,186,112 parameters" in result.stdout.replace("\n", " ")


def test_summary_of_a_network_for_any_size(run):
    text = run("summary edsr").stdout
    assert "any × any × 64" in text and "1,517,571 parameters" in text and "114 G" in text


@pytest.mark.parametrize("shape", ["16,24,1", "(16,24,1)", "16×24×1"])
def test_summary_takes_shapes_in_any_form(run, shape):
    assert "16 × 24 × 1" in run(f"summary resnet8 --input-shape {shape}").stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("resnt50", "Did you mean ResNet50"),
        ("resnet8 --input-shape big", "`--input-shape` must be sizes such as 224x224x3"),
        ("resnet50 --input-shape 16x16x3", "at least 32"),
        ("resnet8 --classes 0", "`classes` must be a positive integer"),
        ("resnet8 --classes 5000000000", "`classes` must be a positive integer of at most 42949"),
    ],
)
def test_summary_refuses(refused, line, message):
    assert message in refused(f"summary {line}")


def test_version(run):
    assert run("--version").stdout.strip() == keras_residual.__version__


def test_help_names_every_verb(run):
    text = run("--help").stdout
    for verb in ("quickstart", "list", "summary", "train", "evaluate"):
        assert f" {verb} " in text
