"""A model's description is checked, kept with the model, and travels inside its file."""

import gc
import json
import zipfile

import keras
import pytest

import keras_residual
from keras_residual import _description, weights
from keras_residual._description import Description, describe, described, read_from, write_into


def small_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])


def test_description_travels_inside_a_keras_file(tmp_path):
    given = Description(class_names=("Käfer", "ant"), white=255.0, fit="crop", crop=0.875)
    small_model().save(tmp_path / "model.keras")
    write_into(tmp_path / "model.keras", given)
    assert read_from(tmp_path / "model.keras") == given
    assert keras.saving.load_model(tmp_path / "model.keras").output_shape == (None, 2)
    with pytest.raises(ValueError, match="already"):
        write_into(tmp_path / "model.keras", given)


def test_file_without_description_has_none(tmp_path):
    small_model().save(tmp_path / "model.keras")
    assert read_from(tmp_path / "model.keras") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"task": 3}', '{"class_names": "ab"}', "[" * 10**5])
def test_damaged_description_is_named(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr(_description.ENTRY, text)
    with pytest.raises(ValueError, match=r"model\.keras: keras_residual\.json holds no descrip"):
        read_from(tmp_path / "model.keras")


def test_keys_of_later_versions_are_ignored():
    text = json.dumps({"task": "regression", "colour": "blue"})
    assert Description.from_json(text, "here") == Description(task="regression")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"task": "dreaming"}, "task='dreaming'"),
        ({"fit": "bend"}, "fit='bend'"),
        ({"class_names": ()}, r"class_names=\(\)"),
        ({"class_names": (1, 2)}, "class_names"),
        ({"crop": 1.5}, "crop=1.5"),
        ({"white": 0}, "white=0"),
        ({"white": None}, "white=None, preprocessing=None"),
        ({"preprocessing": {}}, "preprocessing={}"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        Description(**arguments)


def test_description_lives_as_long_as_its_model():
    model = small_model()
    assert described(model) is None
    describe(model, Description(task="multilabel"))
    assert described(model).task == "multilabel"
    describe(model, None)
    assert described(model) is None
    describe(model, Description())
    before = len(_description._DESCRIPTIONS)
    del model
    gc.collect()
    assert len(_description._DESCRIPTIONS) < before
    with pytest.raises(ValueError, match="`description`"):
        describe(small_model(), {})


def test_published_weights_describe_their_model():
    model = keras_residual.ResNet8(weights="cifar10")
    found = weights.description_of(model)
    assert found.class_names[:2] == ("airplane", "automobile") and len(found.class_names) == 10
    assert found.white is None and found.preprocessing["divisor"] == 255
    inside = keras_residual.ResNet8(weights="cifar10", include_preprocessing=True)
    assert weights.description_of(inside).white == 255
    describe(inside, Description(class_names=("a", "b")))
    assert weights.description_of(inside).class_names == ("a", "b")
    assert weights.description_of(keras_residual.ResNet8()) is None
