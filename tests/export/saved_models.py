"""Makes the files of `saved_models/` and writes its README from their cards.

    KERAS_RESIDUAL_DATA=FOLDER python tests/export/saved_models.py [--readme]

takes about two minutes; the folder holds cifar10.npz where TFDS has no CIFAR-10. With `--readme`
only the README is written.
"""

import json
import pathlib
import shlex
import shutil
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"
QUICKSTART = "runs/quickstart"
COMMANDS = {
    "digits_resnet8": (
        f"keras-residual quickstart --seed 0 --output {QUICKSTART}",
        f"keras-residual export {QUICKSTART} --format litert --quantization int8 --data digits "
        "--output saved_models/digits_resnet8",
        f"keras-residual export {QUICKSTART} --format onnx --quantization float16 --data digits "
        "--output saved_models/digits_resnet8",
    ),
    "cifar10_resnet8": (
        "keras-residual export resnet8 --weights cifar10 --quantization int8 --data cifar10 "
        "--output saved_models/cifar10_resnet8",
    ),
    "cifar10_resnet20": (
        "keras-residual export resnet20 --weights cifar10 --quantization int8 --data cifar10 "
        "--output saved_models/cifar10_resnet20",
    ),
}
INTRODUCTION = """# Exported models

Each folder has a card, `README.md` and `card.json`, written by the export beside the files. The
library never reads them. The LiteRT files take one RGB picture, uint8 with pixels 0…255, have
scaling and labels inside, and run as they are in MediaPipe's `ImageClassifier`.
`python tests/export/saved_models.py` makes them and writes this page.
"""


def card(name):
    return json.loads((FOLDER / name / "card.json").read_text(encoding="utf-8"))


def readme() -> str:
    """Returns the README, every figure of it from the cards."""
    lines = [INTRODUCTION, "| folder | file | bytes | accuracy | in Keras | one picture |"]
    lines += ["|---|---|---:|---:|---:|---:|"]
    for name in COMMANDS:
        for file, entry in card(name)["artefacts"].items():
            checked, timing = entry["verification"], entry["timing"]
            lines.append(
                f"| `{name}` | `{file}` | {entry['bytes']:,} | {checked['accuracy']:.2%} "
                f"| {checked['model_accuracy']:.2%} | {1e6 * timing['median_seconds']:.0f} µs |"
            )
    lines += [
        "",
        "Accuracy is that of the test images; time is that of one thread of the card's machine.",
    ]
    for name, commands in COMMANDS.items():
        lines += ["", f"`{name}`:", "", "```bash", *commands, "```"]
    lines += ["", "Large ones go into `large/`, which git ignores."]
    return "\n".join(lines) + "\n"


def main(only_readme=False):
    from typer.testing import CliRunner

    from keras_residual.cli.main import app

    with tempfile.TemporaryDirectory() as folder:
        for name, commands in () if only_readme else COMMANDS.items():
            shutil.rmtree(FOLDER / name, ignore_errors=True)
            for command in commands:
                line = command.replace("saved_models/", f"{FOLDER}/").replace("runs/", f"{folder}/")
                result = CliRunner().invoke(app, shlex.split(line)[1:])
                print(result.output, flush=True)
                assert result.exit_code == 0, command
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main("--readme" in sys.argv)
