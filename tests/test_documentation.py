"""Public docstrings are complete, and their examples run as printed."""

import doctest
import inspect
import re

import keras
import pytest
from contract.test_layers import arguments_of

import keras_residual
from keras_residual import layers, models
from keras_residual._docstrings import completed

OBJECTS = {
    **{name: getattr(layers, name) for name in layers.__all__},
    **{name: getattr(models, name) for name in models.__all__},
}
# Their other arguments are those of `keras.layers.BatchNormalization`.
OF_KERAS = ("BatchNorm", "SubSpectralNormalization")
# A stage computes in the data format of its block.
FROM_THE_BLOCK = {("ResidualStage", "data_format")}
PUBLIC = [pytest.param(value, id=name) for name, value in OBJECTS.items()]
WITH_EXAMPLE = [
    pytest.param(value, id=name)
    for name, value in OBJECTS.items()
    if ">>>" in (value.__doc__ or "")
]


@pytest.mark.parametrize("public", PUBLIC)
def test_docstring_begins_with_one_sentence(public):
    first, *rest = inspect.getdoc(public).splitlines()
    assert first.endswith(".")
    assert not rest or rest[0] == ""


@pytest.mark.parametrize("public", PUBLIC)
def test_what_is_wrapped_can_be_imported_too(public):
    """mkdocstrings looks for it there: without, the site has no page and is not built."""
    assert "<locals>" not in inspect.unwrap(public).__qualname__


@pytest.mark.parametrize("public", PUBLIC)
def test_docstring_has_its_sections(public):
    text = inspect.getdoc(public)
    assert "Args:\n" in text
    if inspect.isclass(public) and issubclass(public, keras.layers.Layer):
        assert "Call arguments:\n" in text
        assert "Returns:\n" in text
        if public is not layers.BatchNorm:  # whose arguments are Keras'
            assert "Raises:\n" in text


@pytest.mark.parametrize("name", [name for name in layers.__all__ if name not in OF_KERAS])
def test_every_argument_of_a_layer_is_documented_once(name):
    text = inspect.getdoc(OBJECTS[name]).partition("Args:\n")[2].split("\n\n")[0]
    entries = re.findall(r"^    (\w[\w,\s]*):", text, re.MULTILINE)
    documented = [argument for entry in entries for argument in re.split(r",\s+", entry)]
    arguments = [a for a in arguments_of(OBJECTS[name]) if (name, a) not in FROM_THE_BLOCK]
    assert sorted(documented) == sorted(arguments)


BASE = """A base.

    Args:
        width: How wide. Two
            lines.
        depth: How deep.
        **kwargs: Arguments of Keras.

    Call arguments:
        inputs: A tensor.

    Raises:
        ValueError: If it is too wide.
    """


def test_a_docstring_takes_what_it_leaves_to_its_base():
    text = """A layer.

    Args:
        height: How high.
        depth: How deep it is here.
        **kwargs: Those of `Base`.

    Raises:
        ValueError: If it is too high.
    """
    assert completed(text, {"Base": BASE}) == (
        "A layer.\n\nArgs:\n    height: How high.\n    depth: How deep it is here.\n"
        "    width: How wide. Two\n        lines.\n    **kwargs: Arguments of Keras.\n\n"
        "Call arguments:\n    inputs: A tensor.\n\nRaises:\n    ValueError: If it is too high."
    )
    assert completed(BASE, {}) == BASE
    assert completed(None, {}) is None
    with pytest.raises(KeyError, match="Base"):
        completed(text, {})


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="shapes print as TensorFlow's")
@pytest.mark.parametrize("public", WITH_EXAMPLE)
def test_example_runs_as_printed(public):
    names = {"keras": keras, "keras_residual": keras_residual, **OBJECTS}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=False).find(public, globs=names):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
