"""Preprocessing against torchvision's transforms, timm's and keras.applications' own functions."""

import json

import keras
import numpy as np
import pytest

import keras_residual
from keras_residual.layers.image_normalization import ImageNormalization
from keras_residual.weights import Preprocessing, find, list_sources, preprocess, remember

SIZES = ((300, 400), (480, 333), (256, 256), (224, 500), (97, 255))


def photo(height, width, seed=0):
    """A smooth image with sharp edges and noise, so that antialiasing and rounding matter."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [np.sin(rows / 9 + k) * np.cos(columns / (5 + k)) for k in range(3)]
    image = 127 + 100 * np.stack(planes, -1) + random.normal(0, 12, (height, width, 3))
    image[height // 3 :, width // 2] = 255
    return np.clip(image, 0, 255).astype("uint8")


PHOTOS = [photo(*size, seed=i) for i, size in enumerate(SIZES)]


def torch_result(transform, image):
    from PIL import Image

    return np.moveaxis(transform(Image.fromarray(image)).numpy(), 0, -1)


@pytest.mark.parametrize(
    "name", ["ResNet18", "ResNet50.IMAGENET1K_V2", "ResNeXt101_64x4d", "DenseNet161"]
)
def test_equals_torchvision_bit_for_bit(torchvision, name):
    source = find(*name.split("."))
    url = source.location
    models = torchvision.models
    weights = next(
        item
        for builder in models.list_models(module=models)
        for item in models.get_model_weights(builder)
        if item.url == url
    )
    results = preprocess(PHOTOS, name)
    for image, result in zip(PHOTOS, results, strict=True):
        np.testing.assert_array_equal(result, torch_result(weights.transforms(), image))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "crop"), [(232, 224), (235, 224), (97, 96), (301, 299)])
def test_sizes_and_interpolations_equal_torchvision(torchvision, interpolation, resize, crop):
    from torchvision import transforms

    steps = Preprocessing(resize=resize, crop=crop, interpolation=interpolation)
    transform = transforms.Compose(
        [
            transforms.Resize(resize, transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize(steps.mean, steps.std),
        ]
    )
    for image, result in zip(PHOTOS, steps(PHOTOS), strict=True):
        np.testing.assert_array_equal(result, torch_result(transform, image))


def test_floating_point_images_equal_torchvision_on_tensors(torchvision, torch):
    from torchvision.transforms import v2

    steps = Preprocessing(resize=120, crop=112, interpolation="bicubic")
    images = [photo(200, 300).astype("float32") + 0.25, photo(150, 140).astype("float64")]
    transform = v2.Compose(
        [v2.Resize(120, v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(112)]
    )
    for image, result in zip(images, steps.fit(images), strict=True):
        tensor = torch.from_numpy(image.astype("float32")).permute(2, 0, 1)
        expected = transform(tensor).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(result, expected, atol=2e-3)


@pytest.mark.parametrize("name", ["resnet50.a1_in1k", "resnetv2_50.a1h_in1k", "resnet18.tv_in1k"])
def test_equals_timm_bit_for_bit(timm, name):
    from timm.data import create_transform, resolve_data_config

    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    transform = create_transform(**config)
    results = preprocess(PHOTOS, f"hf://timm/{name}")
    for image, result in zip(PHOTOS, results, strict=True):
        np.testing.assert_array_equal(result, torch_result(transform, image))


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int32"])
def test_modes_equal_keras_applications_bit_for_bit(mode, dtype):
    images = np.stack([photo(64, 48, seed) for seed in range(2)]).astype(dtype)
    expected = keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
    np.testing.assert_array_equal(preprocess(images, mode, resize=False), expected)
    np.testing.assert_array_equal(images, images.copy().astype(dtype))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ResNet50V1.keras", "resnet"),
        ("ResNet101V2.keras", "resnet_v2"),
        ("DenseNet169.keras", "densenet"),
    ],
)
def test_keras_entries_equal_their_modules(name, module):
    image = photo(224, 224)[None]
    own = getattr(keras.applications, module).preprocess_input
    expected = own(image.astype("float32"))
    np.testing.assert_array_equal(preprocess(image, name, resize=False), expected)


def test_the_given_images_are_not_changed():
    images = np.stack([photo(40, 40)]).astype("float32")
    before = images.copy()
    preprocess(images, "caffe", resize=False)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("source", ["torch", "caffe", "tf", "ResNet50V2", "ResNet20"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_layer_gives_the_same_numbers(source, dtype):
    steps = keras_residual.weights.preprocessing_of(source).without_resizing()
    images = np.stack([photo(32, 32, seed) for seed in range(2)]).astype(dtype)
    np.testing.assert_allclose(steps.layer()(images), steps(images), rtol=1e-6, atol=1e-6)


def test_the_layer_runs_inside_models_and_keeps_its_configuration(tmp_path):
    layer = ImageNormalization((1.0, 2.0, 3.0), (0.5, 1.0, 2.0), 2.0, "bgr", name="normalize")
    model = keras.Sequential([keras.Input((4, 5, 3), dtype="uint8"), layer])
    images = photo(4, 5)[None]
    expected = (images[..., ::-1] / 2.0 - (1, 2, 3)) / (0.5, 1, 2)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-6)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    np.testing.assert_array_equal(loaded(images), model(images))
    assert ImageNormalization.from_config(layer.get_config()).get_config() == layer.get_config()
    json.dumps(layer.get_config())
    assert layer.compute_output_shape((None, 4, 5, 3)) == (None, 4, 5, 3)


def test_the_layer_computes_in_float32_under_mixed_precision():
    layer = ImageNormalization(dtype="mixed_bfloat16")
    images = photo(8, 8)[None].astype("float32")
    result = layer(images)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    expected = keras.ops.cast(ImageNormalization()(images), "bfloat16")
    np.testing.assert_array_equal(
        keras.ops.cast(result, "float32"), keras.ops.cast(expected, "float32")
    )


def test_the_layer_takes_channels_first():
    images = photo(6, 7)[None]
    last = ImageNormalization(channels="bgr", data_format="channels_last")(images)
    first = ImageNormalization(channels="bgr", data_format="channels_first")
    result = first(np.moveaxis(images, -1, 1))
    np.testing.assert_array_equal(np.moveaxis(np.asarray(result), 1, -1), last)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": (1.0, 2.0)}, "`mean` and `std` must have one number for each channel"),
        ({"mean": 3}, "`mean` must be a sequence of numbers. Received: mean=3"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` must be a number in"),
        ({"divisor": -1.0}, "`divisor` must be a number in"),
        ({"channels": "RGB"}, "`channels` must be one of 'rgb', 'bgr'. Received: channels='RGB'"),
        ({"data_format": "last"}, "`data_format` must be one of"),
        ({"mean": (1.0,), "std": (1.0,), "channels": "bgr"}, "three for channels='bgr'"),
    ],
)
def test_wrong_layer_arguments_are_named(arguments, message):
    with pytest.raises(ValueError) as caught:
        ImageNormalization(**arguments)
    assert message in str(caught.value)


def test_an_input_with_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"3 channels, channels_last\. Received: input_shape="):
        ImageNormalization()(np.zeros((1, 4, 4, 1), "float32"))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8, 1), "uint8"), r"must be RGB images .* images\[0\].shape=\(8, 8, 1\)"),
        (np.zeros((8, 8, 3), "uint8"), r"for one image pass \[image\]"),
        ([np.zeros((8, 8, 3), "uint8"), np.zeros((8, 8), "uint8")], r"images\[1\].shape=\(8, 8\)"),
        (np.zeros((0, 8, 8, 3), "uint8"), "must not be empty"),
        ([], "must not be empty"),
        (photo(8, 8)[None] / 255.0, "values 0…255, neither scaled nor normalized yet"),
        (photo(8, 8)[None] / 127.5 - 1.0, "values 0…255, neither scaled nor normalized yet"),
        (np.full((1, 8, 8, 3), 256), "with values 256…256"),
        (np.full((1, 8, 8, 3), -1), "with values -1…-1"),
        (np.full((1, 8, 8, 3), np.nan), "with values nan…nan"),
        (np.full((1, 8, 8, 3), "a"), "must hold numbers"),
    ],
)
def test_wrong_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        preprocess(images, Preprocessing(resize=8, crop=8))


def test_black_images_and_slight_overshoot_pass():
    images = np.zeros((1, 8, 8, 3))
    assert preprocess(images, "tf", resize=False).max() == -1
    images[0, 0, 0] = (-3.5, 260.5, 100.0)
    assert preprocess(images, "tf", resize=False).shape == images.shape


def test_sizes_must_agree_without_resizing():
    with pytest.raises(ValueError, match="must come out in one size"):
        preprocess(PHOTOS, "torch", resize=False)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        preprocess(np.zeros((1, 28, 28, 3), "uint8"), "ResNet20")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resize": 0}, "`resize` must be a positive integer. Received: resize=0"),
        ({"crop": 2.5}, "`crop` must be a positive integer. Received: crop=2.5"),
        ({"interpolation": "area"}, "`interpolation` must be one of 'nearest', 'bilinear'"),
        ({"std": (0.0, 1.0, 1.0)}, "`std` must be a number"),
    ],
)
def test_wrong_steps_are_named(arguments, message):
    with pytest.raises(ValueError) as caught:
        Preprocessing(**arguments)
    assert message in str(caught.value)


def named_model(name, *layers):
    return keras.Sequential([keras.Input((224, 224, 3)), *layers], name=name)


def test_a_model_is_preprocessed_as_its_weights_expect():
    model = named_model("resnet50", keras.layers.GlobalAveragePooling2D())
    with pytest.raises(
        ValueError, match=r"not known what the weights of the model 'resnet50' .*V1"
    ):
        preprocess(PHOTOS, model)
    remember(model, find("ResNet50", "IMAGENET1K_V2"))
    np.testing.assert_array_equal(
        preprocess(PHOTOS, model), preprocess(PHOTOS, "ResNet50.IMAGENET1K_V2")
    )


def test_the_name_of_a_model_tells_nothing_about_its_weights():
    """It is unknown what a model from a file was trained on, although all published ones agree."""
    assert len({s.preprocessing for s in list_sources("ResNet152V2")}) == 1
    model = named_model("resnet152v2", keras.layers.GlobalAveragePooling2D())
    with pytest.raises(ValueError, match=r"preprocess\(images, 'ResNet152V2"):
        preprocess(PHOTOS, model)


def test_a_model_that_normalizes_gets_values_up_to_255():
    source = find("ResNet18")
    model = named_model("resnet18", source.preprocessing.layer())
    remember(model, source)
    inputs = preprocess(PHOTOS, model)
    assert inputs.dtype == np.float32 and inputs.max() > 200
    np.testing.assert_allclose(model(inputs), preprocess(PHOTOS, source), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("what", ["ResNet", "net.pth", None, 5, "hf://me/net"])
def test_what_tells_no_preprocessing_is_refused(what):
    with pytest.raises(ValueError, match=r"`model_or_tag` must be .* Received: model_or_tag="):
        preprocess(PHOTOS, what)


def test_the_function_stands_at_the_top():
    assert keras_residual.preprocess is preprocess


def test_missing_pillow_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-residual\[data\]'"):
        preprocess(PHOTOS, "torch")


@pytest.mark.parametrize("size", [(240, 320), (100, 90), (128, 171), (300, 171)])
def test_clips_equal_torchvision(torchvision, size):
    import torch

    weights = torchvision.models.video.R2Plus1D_18_Weights.KINETICS400_V1
    clips = np.stack([[photo(*size, seed=n + 2 * clip) for n in range(2)] for clip in range(2)])
    for values in (clips, clips.astype("float32") + 0.25):
        given = torch.from_numpy(np.moveaxis(values, -1, 2))
        expected = weights.transforms()(given if values is clips else given / 255)
        ours = preprocess(values, "R2Plus1D18")
        assert ours.shape == (2, 2, 112, 112, 3)
        difference = abs(ours - np.moveaxis(expected.numpy(), 1, -1))
        # Half-way cases of the interpolation may round to the other side.
        assert difference.max() <= 1.01 / 255 / 0.216 and (difference > 1e-4).mean() < 1e-3
    one = preprocess([clips[1]], "R2Plus1D18.KINETICS400_V1")
    np.testing.assert_array_equal(one[0], preprocess(clips, "R2Plus1D18")[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [("resize", (128,)), ("resize", (128, 0)), ("resize", "128"), ("antialias", 1)],
)
def test_wrong_resizing_is_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        Preprocessing(**{name: value})
    with pytest.raises(ValueError, match="antialias=False"):
        Preprocessing(antialias=False, interpolation="bicubic")
