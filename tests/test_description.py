"""A model's description is checked, kept with the model, and travels inside its file."""

import gc
import json
import zipfile

import keras
import pytest

import keras_residual
from keras_residual import _description, inference, weights
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
        ({"interpolation": "magic"}, "interpolation='magic'"),
        ({"white": None, "preprocessing": [1]}, r"preprocessing=\[1\]"),
        ({"class_names": ()}, r"class_names=\(\)"),
        ({"class_names": (1, 2)}, "class_names"),
        ({"crop": 1.5}, "crop=1.5"),
        ({"white": 0}, "white=0"),
        ({"white": float("inf")}, "white=inf"),
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


def tiny_network(**options):
    return keras_residual.ResNet(
        "basic", (1,), (8,), stem="conv3", stem_width=8, input_shape=(8, 8, 3), **options
    )


def saved_and_loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def test_a_model_that_keras_saves_and_loads_keeps_its_description(tmp_path):
    given = Description(class_names=("Käfer", "ant"), fit="crop", crop=0.875, dataset="insects")
    model = tiny_network(classes=2)
    assert described(saved_and_loaded(model, tmp_path)) is None
    describe(model, given)
    again = saved_and_loaded(saved_and_loaded(model, tmp_path), tmp_path)
    assert described(again) == given == weights.description_of(again)
    describe(again, None)
    assert described(again) is None
    assert described(saved_and_loaded(again, tmp_path)) is None


def test_a_description_inside_another_model_is_kept(tmp_path):
    inner = tiny_network(classes=2)
    inputs = keras.Input((8, 8, 3))
    outer = keras.Model(inputs, inner(keras.layers.Rescaling(2.0)(inputs)))
    describe(inner, Description(class_names=("x", "y")))
    describe(outer, Description(class_names=("a", "b")))
    again = saved_and_loaded(outer, tmp_path)
    assert described(again).class_names == ("a", "b")
    (part,) = (layer for layer in again.layers if isinstance(layer, keras.Model))
    assert described(part).class_names == ("x", "y")


def test_a_description_is_that_of_its_own_model(tmp_path):
    """Another model of the same layers does not inherit it."""
    model = tiny_network(classes=2)
    describe(model, Description(class_names=("a", "b")))
    features = keras.Model(model.input, model.layers[-2].output, name=model.name)
    other = keras.Model(model.input, keras.layers.Dense(2)(features.output), name=model.name)
    assert described(features) is described(other) is None
    assert described(saved_and_loaded(other, tmp_path)) is None
    describe(other, Description(class_names=("c", "d")))
    assert described(saved_and_loaded(other, tmp_path)).class_names == ("c", "d")
    assert described(saved_and_loaded(model, tmp_path)).class_names == ("a", "b")


def test_published_weights_are_known_after_saving_and_loading(tmp_path):
    model = keras_residual.ResNet8(weights="cifar10")
    again = saved_and_loaded(model, tmp_path)
    assert weights.description_of(again) == weights.description_of(model)
    keras_residual.ResNet8().save_weights(tmp_path / "other.weights.h5")
    weights.load(again, tmp_path / "other.weights.h5")
    assert weights.description_of(again) is None


def test_a_file_that_keras_saved_is_described_by_its_layer(tmp_path):
    model = keras_residual.ResNet8(weights="cifar10")
    model.save(tmp_path / "model.keras")
    loaded = inference.load_keras(tmp_path / "model.keras")
    assert described(loaded) == weights.description_of(model)
    assert inference.load_predictor(tmp_path / "model.keras").description == described(loaded)
    given = Description(class_names=tuple("abcdefghij"))
    write_into(tmp_path / "model.keras", given)
    assert described(inference.load_keras(tmp_path / "model.keras")) == given


def test_a_model_loaded_by_keras_is_exported_as_its_file_says(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("LiteRT files are written on TensorFlow")
    model = tiny_network(classes=2)
    describe(model, Description(class_names=("ant", "bee"), white=1.0))
    again = saved_and_loaded(model, tmp_path)
    keras_residual.export.export(again, tmp_path / "out", "litert", measure=False)
    file = keras_residual.export.load(tmp_path / "out" / "model.tflite")
    assert file.labels == ["ant", "bee"] and file.pixels is not None


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '[{"model": 1}]', '{"a": 1}', '[{"model": {}, "description": 5}]', "[" * 10**5],
)
def test_what_a_layer_keeps_is_named_where_it_is_damaged(tmp_path, text):
    model = keras_residual.ResNet8(input_shape=(8, 8, 3), classes=2)
    describe(model, Description(class_names=("ant", "bee")))
    model.save(tmp_path / "model.keras")
    path = tmp_path / "damaged.keras"
    with zipfile.ZipFile(tmp_path / "model.keras") as whole, zipfile.ZipFile(path, "w") as damaged:
        for name in whole.namelist():
            kept = name.endswith("description.json")
            damaged.writestr(name, text if kept else whole.read(name))
    with pytest.raises(ValueError, match=r"description\.json of the layer is damaged"):
        keras.saving.load_model(path)
    assert inference.load_keras(str(tmp_path / "model.keras")).name == model.name


@pytest.mark.parametrize(
    ("file", "name"),
    [("bees.keras", "bees"), ("my bees/model.keras", "my_bees"), ("–/model.keras", "model")],
)
def test_a_model_without_a_name_gets_that_of_its_file(tmp_path, file, name):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    body = tiny_network(classes=2)
    model = keras.Model(body.input, keras.layers.Softmax()(body.output))
    assert model.name.startswith("functional")
    describe(model, Description(class_names=("ant", "bee")))
    model.save(path)
    loaded = inference.load_keras(path)
    assert loaded.name == name
    # A file that Keras wrote has the description in a layer, beside the name it had then.
    assert described(loaded).class_names == ("ant", "bee")
    assert described(saved_and_loaded(loaded, tmp_path)).class_names == ("ant", "bee")


def test_a_card_does_not_repeat_the_name_that_keras_chose(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("LiteRT files are written on TensorFlow")
    report = keras_residual.export.export(small_model(), tmp_path, "litert", measure=False)
    card = json.loads((tmp_path / "card.json").read_text())["model"]
    assert report.model == card["name"] == "model" and "class" not in card
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# model\n") and "equential" not in text
    assert b"model, exported by keras_residual" in (tmp_path / "model.tflite").read_bytes()
