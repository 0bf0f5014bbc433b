"""Public docstrings are complete, and their examples run as printed."""

import doctest
import inspect

import keras
import pytest
from contract.test_layers import arguments_of

import keras_residual
from keras_residual import layers, models

OBJECTS = {
    **{name: getattr(layers, name) for name in layers.__all__},
    **{name: getattr(models, name) for name in models.__all__},
}
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
def test_docstring_has_its_sections(public):
    text = inspect.getdoc(public)
    assert "Args:\n" in text
    if inspect.isclass(public) and issubclass(public, keras.layers.Layer):
        assert "Call arguments:\n" in text
        assert "Returns:\n" in text
        if public is not layers.BatchNorm:  # whose arguments are Keras'
            assert "Raises:\n" in text


@pytest.mark.parametrize("name", [name for name in layers.__all__ if name != "BatchNorm"])
def test_every_argument_of_a_layer_is_documented(name):
    text = inspect.getdoc(OBJECTS[name]).split("Call arguments:")[0]
    missing = [argument for argument in arguments_of(OBJECTS[name]) if argument not in text]
    if name == "ResidualStage":
        missing = [argument for argument in missing if argument != "data_format"]
    assert not missing


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="shapes print as TensorFlow's")
@pytest.mark.parametrize("public", WITH_EXAMPLE)
def test_example_runs_as_printed(public):
    names = {"keras": keras, "keras_residual": keras_residual, **OBJECTS}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=False).find(public, globs=names):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
