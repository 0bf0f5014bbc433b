"""Finding models by name."""

import inspect

import numpy as np
import pytest

import keras_residual
from keras_residual import get_model, list_models


def test_list_models_matches_patterns_in_any_case():
    assert list_models("resnext50*") == ["ResNeXt50_32x4d", "ResNeXt50D_32x4d"]
    assert list_models("DenseNet1?1") == ["DenseNet121", "DenseNet161"]
    assert list_models("unheard*") == []
    assert len(list_models()) == len(set(list_models()))


def test_get_model_passes_arguments_on():
    model = get_model("resnet20", classes=7, input_shape=(16, 16, 1))
    assert model.output_shape == (None, 7)
    assert model.name == "resnet20"


def test_names_are_those_of_the_factories():
    for name in list_models():
        factory = getattr(keras_residual, name)
        assert factory.__name__ == name
        assert factory.__module__ == "keras_residual.models"
        assert inspect.signature(factory).parameters


def test_list_models_by_kind():
    upscalers = list_models(kind="super_resolution")
    assert set(upscalers) == {"VDSR", "SRResNet", "EDSR", "EDSRLarge"}
    assert set(list_models(kind="classifier")) == set(list_models()) - set(upscalers)
    assert list_models("ed*", kind="super_resolution") == ["EDSR", "EDSRLarge"]
    with pytest.raises(ValueError, match="`kind` must be one of"):
        list_models(kind="sequence")


def test_underscores_do_not_matter():
    assert get_model("ResNet_20", input_shape=(8, 8, 3)).name == "resnet20"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("resnet51", "ResNet50"), ("resnext50", "ResNeXt50_32x4d"), ("densnet121", "DenseNet121")],
)
def test_unknown_name_answers_with_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"Unknown model: '{name}'.*{nearest}"):
        get_model(name)


@pytest.mark.parametrize("name", ["ResNet", "gnmt", "ResidualLSTMTagger"])
def test_functions_without_a_published_size_are_named(name):
    with pytest.raises(ValueError, match="has no published size: call `keras_residual"):
        get_model(name)


def test_sizes_may_be_numpy_integers():
    shape = (*np.array([16, 24]), 3)
    assert keras_residual.ResNet20(input_shape=shape).input_shape == (None, 16, 24, 3)


@pytest.mark.parametrize("name", [None, 3, "", "zzzzzz"])
def test_name_without_a_neighbour(name):
    with pytest.raises(ValueError, match="Unknown model"):
        get_model(name)


def test_wrong_pattern_is_named():
    with pytest.raises(ValueError, match="`pattern`"):
        list_models(3)
