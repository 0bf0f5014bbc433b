"""The command starts quickly, and `checks` lists what is installed."""

import json
import os
import subprocess
import sys

import keras
import pytest

import keras_residual
from keras_residual.cli import _wording, main

HELP = """
import sys
sys.argv = ["keras-residual", "--help"]
from keras_residual.cli.main import main
try:
    main()
except SystemExit:
    pass
heavy = {"keras", "tensorflow", "jax", "torch", "matplotlib", "numpy"} & set(sys.modules)
print("loaded:", *sorted(heavy))
import keras_residual
print(keras_residual.ResNet8.__name__, "ResNet8" in keras_residual.__all__)
"""


def test_help_imports_nothing_heavy_and_the_package_still_has_its_names():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HELP], capture_output=True, text=True, check=True
    )
    assert "quickstart" in result.stdout
    assert result.stdout.splitlines()[-2:] == ["loaded:", "ResNet8 True"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("keras-residual qu", ["quickstart"]), ("keras-residual list --max-p", ["--max-parameters"])],
)
def test_a_shell_completes_verbs_and_options(words, expected):
    result = subprocess.run(
        [sys.executable, "-c", "from keras_residual.cli.main import main; main()"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "_KERAS_RESIDUAL_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
    )
    assert result.stdout.split() == expected


def test_checks_name_versions_backend_and_extras(run):
    result = run("checks --json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["keras"] == keras.__version__ and found["backend"] == keras.backend.backend()
    assert found["devices"]
    assert "matplotlib" in found["extras"]["plot"] and "dev" not in found["extras"]
    printed = run("checks").output
    assert "matplotlib" in printed and keras_residual.__version__ in printed


def test_options_of_every_verb_are_known():
    assert _wording.options_of(main._VERBS["export"])["target"] == "--for"
    assert _wording.options_of(main._VERBS["inspect"])["dataset"] == "--data"
    for name, aliases in _wording._ALIASES.items():
        options = _wording.options_of(main._VERBS[name])
        for argument, option in aliases.items():
            assert argument not in options
            assert option in options.values() or not option.startswith("--")


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        ("train", "--model ResNet8 --dataset digits --weights cifar10"),
        ("export", "ResNet8 --weights cifar10"),
        ("predict", "ResNet8 picture.png --weights cifar10"),
    ],
)
@pytest.mark.parametrize("name", ["--scaling", "--preprocessing"])
def test_the_scaling_of_pixels_has_the_same_names_in_every_command(refused, verb, line, name):
    assert "hsv" in refused(f"{verb} {line} {name} hsv")


@pytest.mark.parametrize(
    ("verb", "message", "expected"),
    [
        (
            "export",
            "`formats` must be one of 'litert'. Received: formats='coreml'",
            "`--format` must be one of 'litert'. Received: --format coreml",
        ),
        (
            "export",
            '`outputs="uint8"` needs quantization="int8". Received: quantization=None',
            "`--outputs uint8` needs --quantization int8. Received: no --quantization",
        ),
        (
            "predict",
            "1 of 2 pictures cannot be read (skip_damaged=True leaves them out)",
            "1 of 2 pictures cannot be read (--skip-damaged leaves them out)",
        ),
        (
            "tune",
            "Choose another output, or start over with resume=False.",
            "Choose another output, or start over with --no-resume.",
        ),
        (
            "train",
            "Start over with resume=False to replace it.",
            "Start over with --no-resume to replace it.",
        ),
        (
            "quickstart",
            "Choose another output, or start over with resume=False.",
            "Choose another output, or leave out --resume.",
        ),
        ("tune", "`batch_size` takes no such value.", "`batch_size` takes no such value."),
        ("train", "`dtype` must be x. See x.dtype=3", "`--dtype` must be x. See x.dtype=3"),
        # The user's own words in `--set model=5`.
        ("train", "`model` must hold options.", "`model` must hold options."),
    ],
)
def test_errors_name_options(verb, message, expected):
    with _wording.running(verb, main._VERBS[verb], {"changes": ["model=5"]}):
        assert _wording.as_typed(message) == expected
    assert _wording.as_typed(message) == message
