"""Makes the files of `saved_models/` and writes its README from their cards.

    KERAS_RESIDUAL_DATA=FOLDER python tests/export/saved_models.py [NAME ... | --readme]

takes about two minutes for the pictures; KERAS_RESIDUAL_DATA holds spoken_digits.npz, and
cifar10.npz where TFDS has no CIFAR-10. For `spoken_digits_bcresnet2`, `examples/spoken_digits.py`
must have been run before in the working directory; `connected_digits` and `spoken_segments` are
trained by their examples there, a quarter of an hour and five minutes. With `--readme` only the
README is written.
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parents[2] / "saved_models"
EXAMPLES = FOLDER.parent / "examples"
QUICKSTART = "runs/quickstart"
# Of the Free Spoken Digit Dataset, as `examples/spoken_digits.py` describes the file; held out are
# the recordings that the network has not heard.
DIGITS = "spoken_digits,labels=digit,group=recording,held_out=5+6+7+8+9,seconds=0.8"
HEARD = "runs/spoken_digits/recordings_5_to_9_the_same_faster_or_slower_masked/network.keras"
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
    "spoken_digits_bcresnet2": (
        f"keras-residual export {HEARD} --quantization int8 --data {DIGITS} "
        "--output saved_models/spoken_digits_bcresnet2",
    ),
    "connected_digits": (
        "python examples/connected_digits.py --data spoken_digits.npz --front residual "
        "--epochs 12 --phone saved_models/connected_digits",
    ),
    "spoken_segments": (
        "python examples/segments.py --data spoken_digits.npz --phone saved_models/spoken_segments",
    ),
}
INTRODUCTION = """# Exported models

Each folder has a card, `README.md` and `card.json`, written by the export beside the files. The
library never reads them. The LiteRT files for pictures take one RGB picture, uint8 with pixels
0…255, have scaling and labels inside, and run as they are in MediaPipe's `ImageClassifier`; those
for sound take one waveform of 8 kHz. `spoken_digits_bcresnet2` names a digit (0.8 s) and runs in
MediaPipe's `AudioClassifier`; `connected_digits` writes down a string of digits and
`spoken_segments` marks where each is (5 s), both in LiteRT and on the page that
`export.web_page` writes. They were trained by the examples on recordings of six speakers (Free
Spoken Digit Dataset, CC BY-SA 4.0), among them those whose other recordings they are measured on;
of a stranger they understand less.
`python tests/export/saved_models.py` makes them and writes this page.
"""


def card(name):
    return json.loads((FOLDER / name / "card.json").read_text(encoding="utf-8"))


def right(checked, of="") -> str:
    """Returns how right a file, or with `"model_"` its model, is."""
    if checked.get(f"{of}error_rate") is not None:
        return f"{checked[f'{of}error_rate']:.2%} wrong"
    return f"{checked[f'{of}accuracy']:.2%}"


def readme() -> str:
    """Returns the README, every figure of it from the cards."""
    lines = [INTRODUCTION, "| folder | file | bytes | accuracy | in Keras | one input |"]
    lines += ["|---|---|---:|---:|---:|---:|"]
    for name in COMMANDS:
        for file, entry in card(name)["artefacts"].items():
            checked, timing = entry["verification"], entry["timing"]
            ours, theirs = right(checked), right(checked, "model_")
            lines.append(
                f"| `{name}` | `{file}` | {entry['bytes']:,} | {ours} | {theirs} "
                f"| {1e6 * timing['median_seconds']:,.0f} µs |"
            )
    lines += [
        "",
        "Accuracy is that of held-out examples: of transcripts the share of labels that are wrong, "
        "missing or surplus, of segments the accuracy of steps of 20 ms. Time is that of one "
        "thread of the card's machine.",
    ]
    for name, commands in COMMANDS.items():
        lines += ["", f"`{name}`:", "", "```bash", *commands, "```"]
    lines += ["", "Large ones go into `large/`, which git ignores."]
    return "\n".join(lines) + "\n"


def main(*names):
    from typer.testing import CliRunner

    from keras_residual.cli.main import app

    with tempfile.TemporaryDirectory() as folder:
        for name in () if names == ("--readme",) else names or COMMANDS:
            shutil.rmtree(FOLDER / name, ignore_errors=True)
            for command in COMMANDS[name]:
                line = command.replace("saved_models/", f"{FOLDER}/")
                line = line.replace(QUICKSTART, f"{folder}/quickstart")
                if line.startswith("python "):
                    given = pathlib.Path(os.environ["KERAS_RESIDUAL_DATA"]) / "spoken_digits.npz"
                    line = line.replace("python examples", f"{sys.executable} {EXAMPLES}")
                    subprocess.run(
                        shlex.split(line.replace("spoken_digits.npz", str(given))), check=True
                    )
                    continue
                result = CliRunner().invoke(app, shlex.split(line)[1:])
                print(result.output, flush=True)
                assert result.exit_code == 0, command
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
