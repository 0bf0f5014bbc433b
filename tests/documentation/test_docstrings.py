"""Docstrings as the reference shows them."""

import importlib.util
import inspect
import re
import textwrap

import pytest
import tables

import keras_residual

pytest.importorskip("griffe", reason="Griffe, of the extra `docs`, is not installed")

TEXT = """A layer.

Args:
    units: How many. Defaults to `1`.

Call arguments:
    inputs: `(batch, features)`, of
        any size.
    mask, *rest: Whether.

Returns:
    What it makes.

Example:

>>> layer = ResidualBlock(8)
>>> sizes = layer(
...     keras.ops.ones((1, 4, 4, 8))
... ).shape
>>> tuple(sizes)
(1, 4, 4, 8)

>>> fit(layer, np.zeros(3))  # doctest: +SKIP

Reference:
    - A paper.
"""
MADE = """A layer.

Args:
    units: How many. Defaults to `1`.

<p><span class="doc-section-title">Call arguments:</span></p>

- **`inputs`** – `(batch, features)`, of
    any size.
- **`mask, *rest`** – Whether.

<p><span class="doc-section-title">Returns:</span></p>

What it makes.

<p><span class="doc-section-title">Example:</span></p>

```python
import keras
import numpy as np
from keras_residual.layers import ResidualBlock
from keras_residual.training import fit

layer = ResidualBlock(8)
sizes = layer(
    keras.ops.ones((1, 4, 4, 8))
).shape
tuple(sizes)
# (1, 4, 4, 8)
fit(layer, np.zeros(3))
```

Reference:
    - A paper."""


@pytest.fixture(scope="module")
def docstrings():
    path = tables.ROOT / "docs" / "_docstrings.py"
    spec = importlib.util.spec_from_file_location("docs_docstrings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_can_be_pasted_and_call_arguments_are_a_list(docstrings):
    assert docstrings.readable(TEXT) == MADE
    assert docstrings.readable("One sentence.") == "One sentence."


def examples():
    """Yields the examples of all public objects that the reference shows."""
    for room in ("layers", "models", "weights", "data", "training", "tuning", "export",
                 "inference", "analysis"):  # fmt: skip
        namespace = getattr(keras_residual, room)
        for name in namespace.__all__:
            text = inspect.getdoc(getattr(namespace, name)) or ""
            if ">>> " in text:
                # Examples that are not run may use the reader's own names.
                yield f"{room}.{name}", re.sub(r"^ *>>> .*# doctest: \+SKIP$", "", text, flags=re.M)


def test_every_name_of_an_example_is_imported_or_made(docstrings):
    faults = []
    for where, text in examples():
        shown = docstrings.readable(text)
        assert ">>> " not in shown, where
        for block in re.findall(r"^ *```python\n(.*?)^ *```", shown, re.MULTILINE | re.DOTALL):
            missing = docstrings.unknown_names(textwrap.dedent(block))
            faults += [f"{where}: {name}" for name in sorted(missing)]
    assert not faults
