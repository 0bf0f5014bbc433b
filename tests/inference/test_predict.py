"""`predict`: pictures of every kind through models of every kind, by the names of their classes."""

import csv
import json

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual import Description, _description, inference

image_module = pytest.importorskip("PIL.Image")
NAMES = ("red", "green", "blue")
COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
UPPER_LEFT = Description(class_names=("dark", "bright"), fit="stretch")


def colour_model(white=1.0, activation="softmax", side=8):
    """Names the strongest colour: logits are the channels' means."""
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="look")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(3, activation, name="answer")(x)
    model = keras.Model(inputs, outputs, name="colours")
    model.get_layer("look").set_weights([np.eye(3).reshape(1, 1, 3, 3) * 4 / white])
    model.get_layer("answer").set_weights([np.eye(3), np.zeros(3)])
    return model


def described(model=None, **arguments):
    model = colour_model() if model is None else model
    _description.describe(model, Description(**{"class_names": NAMES, **arguments}))
    return model


@pytest.fixture
def pictures(tmp_path):
    """One picture of each colour, of different sizes and formats, in folders."""
    paths = []
    for name, suffix, size in (("red", "jpg", (40, 30)), ("green", "png", (9, 70)),
                               ("blue", "webp", (300, 10))):  # fmt: skip
        path = tmp_path / "pictures" / name / f"{name}.{suffix}"
        path.parent.mkdir(parents=True)
        image_module.new("RGB", size, COLOURS[name]).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def training(tmp_path):
    """The folder of a training, with its model."""
    folder = tmp_path / "run"
    folder.mkdir()
    colour_model().save(folder / "model.keras")
    _description.write_into(folder / "model.keras", Description(class_names=NAMES))
    return folder


def test_answers_come_by_name_and_in_the_order_of_the_files(pictures):
    answers = keras_residual.predict(described(), pictures, top=2)
    assert [answer.answers[0][0] for answer in answers] == list(NAMES)
    assert [answer.path for answer in answers] == [str(path) for path in pictures]
    for answer in answers:
        assert len(answer.answers) == 2 and answer.answers[0][1] > 0.9
        assert answer.values.sum() == pytest.approx(1)
        assert str(answer).startswith(f"{answer.path}: {answer.answers[0][0]} 9")


def test_folders_are_searched_and_links_followed(pictures, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "notes.txt").write_text("no picture")
    (folder / "linked").symlink_to(folder / "red", target_is_directory=True)
    (tmp_path / "loose").mkdir()
    names = [path.name for path in inference.picture_paths(folder)]
    assert names == ["blue.webp", "green.png", "red.jpg", "red.jpg"]
    answers = keras_residual.predict(described(), [pictures[2], folder], batch_size=2)
    assert [a.answers[0][0] for a in answers] == ["blue", "blue", "green", "red", "red"]


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_pixels_come_in_the_range_that_the_description_says(white, pictures):
    model = described(colour_model(white), white=white)
    answers = keras_residual.predict(model, pictures)
    assert all(0.9 < answer.answers[0][1] < 0.99 for answer in answers)


def test_weights_that_scale_outside_get_their_preprocessing(pictures):
    model = keras_residual.ResNet8(weights="cifar10")
    answer = keras_residual.predict(model, pictures[0], top=3)[0]
    with image_module.open(pictures[0]) as picture:
        rgb = np.asarray(picture.convert("RGB").resize((32, 32)))
    expected = model.predict(keras_residual.preprocess([rgb], model, resize=False), verbose=0)[0]
    np.testing.assert_allclose(answer.values, expected, atol=0.01)
    assert answer.answers[0][0] == keras_residual.weights.class_names("cifar10")[expected.argmax()][
        1
    ]  # fmt: skip
    named = keras_residual.predict("resnet8", pictures[0], weights="cifar10")[0]
    np.testing.assert_allclose(named.values, answer.values, atol=1e-6)


def test_the_scaling_of_weights_that_do_not_state_it_is_given(pictures, tmp_path):
    donor = keras_residual.ResNet8(weights="cifar10")
    donor.save_weights(tmp_path / "own.weights.h5")
    own = {"weights": tmp_path / "own.weights.h5"}
    with pytest.raises(ValueError, match="Give `preprocessing`, such as 'torch', with `weights`"):
        keras_residual.predict("resnet8", pictures, **own)
    steps = keras_residual.weights.preprocessing_of(donor)
    found = keras_residual.predict("resnet8", pictures, **own, preprocessing=steps)
    expected = keras_residual.predict(donor, pictures)
    for answer, known in zip(found, expected, strict=True):
        np.testing.assert_allclose(answer.values, known.values, atol=1e-6)
    other = keras_residual.predict("resnet8", pictures[0], **own, preprocessing="caffe")[0]
    assert abs(np.asarray(other.values) - expected[0].values).max() > 0.01
    with pytest.raises(ValueError, match=r"`preprocessing` must be a mode .*preprocessing='rgb'"):
        keras_residual.predict("resnet8", pictures, **own, preprocessing="rgb")
    with pytest.raises(ValueError, match="`preprocessing` is for the name of a network"):
        keras_residual.predict(donor, pictures, preprocessing="torch")


def test_exif_orientation_is_followed(tmp_path):
    """The upper half is bright once the picture is upright; in the file it is another side."""
    inputs = keras.Input((8, 8, 3))
    upper = keras.layers.GlobalAveragePooling2D()(keras.layers.Cropping2D(((0, 4), (0, 0)))(inputs))
    outputs = keras.layers.Dense(2, "softmax", name="answer")(upper)
    model = keras.Model(inputs, outputs)
    kernel = np.stack([-np.ones(3), np.ones(3)], -1) * 5
    model.get_layer("answer").set_weights([kernel, np.array([5.0, -5.0])])
    _description.describe(model, UPPER_LEFT)
    upright = np.zeros((20, 30, 3), "uint8")
    upright[:10] = 255
    stored = {1: upright, 3: upright[::-1, ::-1], 6: np.rot90(upright), 8: np.rot90(upright, -1)}
    for orientation, pixels in stored.items():
        image = image_module.fromarray(np.ascontiguousarray(pixels))
        exif = image.getexif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.jpg"
        image.save(path, exif=exif)
        assert keras_residual.predict(model, path)[0].answers[0][0] == "bright", orientation


def test_grey_models_and_grey_and_transparent_pictures(tmp_path):
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="answer")(x))
    model.get_layer("answer").set_weights([np.ones((1, 1)), np.zeros(1)])
    _description.describe(model, Description("regression", ("brightness",)))
    image_module.new("L", (5, 5), 51).save(tmp_path / "grey.png")
    image_module.new("RGB", (5, 5), (255, 0, 0)).save(tmp_path / "red.png")
    image_module.new("RGBA", (5, 5), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    answers = keras_residual.predict(model, [tmp_path / f"{n}.png" for n in ("grey", "red")])
    assert [answer.values[0] for answer in answers] == pytest.approx([0.2, 0.299], abs=1e-5)
    assert answers[0].answers == (("brightness", pytest.approx(0.2)),)
    assert str(answers[0]).endswith("brightness 0.2")
    clear = keras_residual.predict(model, tmp_path / "clear.png")[0]
    assert clear.values[0] == pytest.approx(1)


def test_logits_become_probabilities_and_multilabel_answers_have_a_threshold(pictures):
    logits = keras_residual.predict(described(colour_model(activation=None)), pictures[0])[0]
    assert logits.values.sum() == pytest.approx(1)
    model = described(colour_model(activation=None), task="multilabel")
    model.get_layer("answer").set_weights([np.eye(3), -np.ones(3)])
    several = keras_residual.predict(model, pictures[0])[0]
    assert [name for name, _ in several.answers] == ["red"]
    assert str(several).endswith("red 93.1%") or several.answers[0][1] > 0.9
    model.get_layer("answer").set_weights([np.eye(3), -9 * np.ones(3)])
    assert str(keras_residual.predict(model, pictures[0])[0]).endswith("no label")


def test_the_folder_of_a_training_its_file_and_the_loaded_model_agree(training, pictures):
    answers = [
        keras_residual.predict(source, pictures)[1].values
        for source in (training, training / "model.keras", str(training))
    ]
    np.testing.assert_allclose(answers[0], answers[1])
    np.testing.assert_allclose(answers[0], answers[2])


def test_damaged_pictures_are_all_named_or_left_out(pictures, tmp_path):
    bad = [tmp_path / "pictures" / f"bad{i}.jpg" for i in range(2)]
    for path in bad:
        path.write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(ValueError, match=r"2 of 5 pictures .*bad0\.jpg.*bad1\.jpg"):
        keras_residual.predict(described(), tmp_path / "pictures", batch_size=2)
    kept = keras_residual.predict(described(), tmp_path / "pictures", skip_damaged=True)
    assert [answer.answers[0][0] for answer in kept] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    "steps", [{"colour": 5}, {"mean": 5}, {"resize": 99999999, "crop": 8}, {"std": [0, 0, 0]}]
)
def test_preprocessing_that_a_damaged_file_states_is_refused(pictures, steps):
    """It is read only where a picture is fitted: a huge size would take the memory first."""
    model = described(white=None, preprocessing={"crop": 8, **steps}, fit="crop")
    with pytest.raises(ValueError, match=next(iter(steps))):
        keras_residual.predict(model, pictures)


@pytest.mark.parametrize(
    ("model", "paths", "message"),
    [
        (colour_model, "red.jpg", "does not say which range of pixels"),
        ("nowhere.keras", "red.jpg", "does not exist"),
        ("runs/nothing", "red.jpg", "`model` must be a Keras model"),
        ("resnet8", "red.jpg", "`weights` must name the weights of 'resnet8'"),
        (3, "red.jpg", "Received: model=3"),
        (described, "other.jpg", "`paths` must exist"),
        (described, ".", "notes"),
        (described, "notes.txt", "must be pictures"),
    ],
)
def test_what_cannot_be_answered_is_named(model, paths, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_module.new("RGB", (9, 9)).save("red.jpg")
    (tmp_path / "notes.txt").write_text("")
    if paths == ".":
        (tmp_path / "notes").mkdir()
        paths = "notes"
    with pytest.raises(ValueError, match=message):
        keras_residual.predict(model() if callable(model) else model, paths)


def test_answers_are_written_for_programs(pictures, tmp_path):
    answers = keras_residual.predict(described(), pictures, top=2)
    inference.write_predictions(tmp_path / "a.csv", answers)
    inference.write_predictions(tmp_path / "a.json", answers)
    rows = list(csv.reader((tmp_path / "a.csv").read_text().splitlines()))
    assert rows[0] == ["picture", "name1", "value1", "name2", "value2"]
    assert rows[1][:2] == [str(pictures[0]), "red"] and float(rows[1][2]) > 0.9
    read = json.loads((tmp_path / "a.json").read_text())
    assert [row["answers"][0]["name"] for row in read] == list(NAMES)
    with pytest.raises(ValueError, match=r"\.xlsx"):
        inference.write_predictions(tmp_path / "a.xlsx", answers)


def test_explanations_are_pictures_with_the_answer(pictures, tmp_path):
    predictor = inference.load_predictor(described())
    answers = keras_residual.predict(predictor, [*pictures, pictures[0]])
    written = inference.explain(predictor, answers, tmp_path / "why", layer="look")
    assert [path.name for path in written] == ["red.png", "green.png", "blue.png", "red-2.png"]
    for path in written:
        with image_module.open(path) as picture:
            assert picture.size[0] >= 200


def test_overlay_leaves_cold_places_as_they_are_and_colours_hot_ones():
    pixels = np.full((2, 2, 3), 100, "float32")
    shown = inference.explanation.overlay(pixels, np.array([[0.0, 1.0], [0.0, 0.5]]))
    assert (shown[:, 0] == 100).all() and shown[0, 1, 0] > 150 and shown[0, 1, 2] > 100
