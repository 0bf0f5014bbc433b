"""Class names and decoded predictions against keras.applications, torchvision and timm."""

import hashlib
import json

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual.weights import class_names, decode_predictions

# The hash by which keras.applications checks the file that it downloads.
CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"


def class_index():
    return json.dumps({str(i): list(names) for i, names in enumerate(class_names())})


def test_the_names_are_the_file_of_keras_applications():
    assert hashlib.md5(class_index().encode()).hexdigest() == CLASS_INDEX_MD5


def test_the_order_is_that_of_torchvision(torchvision):
    categories = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    own = [name.replace("_", " ") for _, name in class_names()]
    # torchvision renamed the second of each pair of equal names.
    different = [(a, b) for a, b in zip(own, categories, strict=True) if a != b]
    assert different == [("crane", "crane bird"), ("maillot", "maillot tank suit")]


def test_the_ids_are_those_of_timm(timm):
    from timm.data import ImageNetInfo

    assert [wnid for wnid, _ in class_names()] == ImageNetInfo().label_names()


def test_actions_are_those_of_torchvision(torchvision):
    categories = torchvision.models.video.R3D_18_Weights.KINETICS400_V1.meta["categories"]
    assert [name.replace("_", " ") for _, name in class_names("kinetics400")] == categories


def test_other_class_lists_are_refused():
    with pytest.raises(ValueError, match=r"Unknown class list: 'imagenet2'\. Did you mean"):
        class_names("imagenet2")


@pytest.fixture
def keras_decode(tmp_path, monkeypatch):
    """keras.applications' function, given the class names that it would download."""
    (tmp_path / "index.json").write_text(class_index())
    function = keras.applications.imagenet_utils.decode_predictions
    monkeypatch.setitem(function.__globals__, "CLASS_INDEX", json.loads(class_index()))
    return function


@pytest.mark.parametrize("top", [1, 5, 17, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_keras_applications(keras_decode, top, ties):
    scores = np.random.default_rng(0).normal(size=(4, 1000)).astype("float32")
    scores = np.round(scores) if ties else scores
    assert decode_predictions(scores, top=top) == keras_decode(scores, top=top)


def test_tensors_and_one_hot_scores_are_decoded():
    scores = keras.ops.one_hot(keras.ops.convert_to_tensor([207, 0]), 1000)
    assert keras_residual.decode_predictions(scores, top=1) == [
        [("n02099601", "golden_retriever", 1.0)],
        [("n01440764", "tench", 1.0)],
    ]


@pytest.mark.parametrize("shape", [(1000,), (2, 10), (2, 1001), (1, 2, 1000), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`probs` must have the shape \(count, 1000\). Received:"):
        decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, -1, 1001, 2.5, True, None])
def test_other_counts_are_refused(top):
    with pytest.raises(ValueError, match=r"`top` must be .* Received: top="):
        decode_predictions(np.zeros((1, 1000)), top=top)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="`probs` must not hold NaN"):
        decode_predictions(np.full((1, 1000), np.nan))
