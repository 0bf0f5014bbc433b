"""A forward pass can be read in the files that the architecture guide lists, in their order."""

import inspect
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import layers, models
from keras_residual.models import resnet_architecture

PACKAGE = Path(keras_residual.__file__).parent
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "architecture.md"


def listed_files():
    section = GUIDE.read_text(encoding="utf-8").partition("## One forward pass")[2]
    return re.findall(r"^\d+\. `([\w/]+\.py)`", section.partition("\n## ")[0], re.MULTILINE)


def files_on_the_stack():
    """Returns the package's files on the call stack, outermost first, each once."""
    frame, found = sys._getframe(1), []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            found.append(str(path.relative_to(PACKAGE)))
        frame = frame.f_back
    return list(dict.fromkeys(reversed(found)))


def watched(monkeypatch, owner, name):
    """Lets a function record the stacks that it is called on, and returns their list."""
    function, stacks = getattr(owner, name), []

    def recording(*arguments, **options):
        stacks.append(files_on_the_stack())
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, recording)
    return stacks


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has its own convolution")
def test_the_guide_lists_the_files_of_a_forward_pass(monkeypatch):
    made = watched(monkeypatch, resnet_architecture, "ResidualStage")
    model = models.ResNet50(depths=(1,), widths=(4,), stem_width=4, input_shape=(8, 8, 3))
    convolved = watched(monkeypatch, keras.ops, "conv")
    model(np.zeros((1, 8, 8, 3), "float32"))
    stage, *below = next(stack for stack in convolved if "layers/residual_stage.py" in stack)
    block = inspect.getfile(type(model.get_layer("stage1").first))
    row = models.resnet.__file__
    assert models.resnet.ResNet50 is models.ResNet50
    named = [str(Path(path).relative_to(PACKAGE)) for path in (row, block)]
    assert listed_files() == [named[0], *made[0], stage, named[1], *below]
    assert len(listed_files()) <= 9


def test_a_block_is_five_classes_below_a_layer_of_keras():
    levels = [
        level
        for level in layers.BottleneckBlock.__mro__
        if issubclass(level, keras.layers.Layer) and level.__module__.startswith("keras_residual")
    ]
    assert len(levels) <= 5
