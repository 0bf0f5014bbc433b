"""The table of sources against the packages it was copied from, and lookups in it."""

import dataclasses
import re

import keras
import pytest
from weights import hub_sources

import keras_residual
from keras_residual.weights import find, find_named, list_sources, remember, source_of
from keras_residual.weights.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from keras_residual.weights.sources import forbids_commerce

# Class lists without a published accuracy; the last is that of networks without a classifier.
OTHER_CLASSES = ("imagenet12k", "imagenet21k", "none")


def by_layout(layout):
    return [source for source in list_sources() if source.layout == layout]


def in_hub():
    return [source for source in list_sources() if source.is_hub]


def test_every_source_fits_a_model_of_this_package():
    assert {source.model for source in list_sources()} <= set(keras_residual.list_models())


def test_names_files_and_tags_are_unique():
    sources = list_sources()
    assert len({source.name.lower() for source in sources}) == len(sources)
    assert len({source.location for source in sources}) == len(sources)
    files = [source.file_name for source in sources if not source.is_hub]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("source", list_sources(), ids=lambda source: source.name)
def test_an_entry_is_complete(source):
    assert source.location.startswith(("hf://", "https://", "package:"))
    assert (source.digest is None) == source.is_hub
    assert source.digest is None or re.fullmatch(r"(sha256|md5):[0-9a-f]{8,64}", source.digest)
    free = ("Apache-2.0", "BSD-3-Clause", "MIT", None)  # the last: the publisher states none
    assert source.licence in (*free, *hub_sources.RESTRICTED)
    # Accuracies on actions in videos are lower than on objects in pictures.
    lowest = 60 if source.classes == "kinetics400" else 65
    assert source.top1 is None or lowest < source.top1 < 95
    if source.task == "super_resolution":
        assert source.top1 is None and source.classes == "div2k" and source.options["scale"]
    elif source.classes in OTHER_CLASSES:
        assert source.top1 is None
    else:
        assert (source.top1 is None) == ("299" in source.note)
        small = "kinetics400" if "KINETICS400" in source.tag else source.tag.split("_")[-1]
        assert source.classes == ("imagenet" if source.input_size >= 224 else small)
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.model = "ResNet18"
    with pytest.raises(TypeError):
        source.options["stem"] = "deep"


def test_torchvision_entries_are_those_of_the_installed_torchvision(torchvision):
    listed = {(source.model, source.tag): source for source in by_layout("torchvision")}
    found = 0
    for builder in torchvision.models.list_models(module=torchvision.models):
        if re.match(r"wide_resnet|resnext|resnet|densenet|regnet", builder) is None:
            continue
        model = name_of(builder)
        for weights in torchvision.models.get_model_weights(builder):
            source = listed[model, weights.name]
            transform = weights.transforms()
            assert source.location == weights.url
            assert source.digest == "sha256:" + re.search(r"-(\w{8})\.pth", weights.url)[1]
            assert source.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            assert source.preprocessing == Preprocessing(
                tuple(transform.mean),
                tuple(transform.std),
                resize=transform.resize_size[0],
                crop=transform.crop_size[0],
                interpolation=transform.interpolation.value,
            )
            found += 1
    assert found == sum(source.classes == "imagenet" for source in listed.values()) == 55


def test_video_entries_are_those_of_the_installed_torchvision(torchvision):
    for name in ("r3d_18", "mc3_18", "r2plus1d_18"):
        (weights,) = torchvision.models.get_model_weights(name)
        source = find(name_of(name), "kinetics400")
        transform = weights.transforms()
        assert (source.tag, source.location) == (weights.name, weights.url)
        assert source.digest == "sha256:" + re.search(r"-(\w{8})\.pth", weights.url)[1]
        assert source.top1 == weights.meta["_metrics"]["Kinetics-400"]["acc@1"]
        assert source.preprocessing == Preprocessing(
            tuple(transform.mean),
            tuple(transform.std),
            resize=tuple(transform.resize_size),
            crop=transform.crop_size[0],
            interpolation=transform.interpolation.value,
            antialias=False,
        )


def name_of(torchvision_name):
    return keras_residual.models.registry.find(torchvision_name)[0].name


def test_hub_entries_are_those_of_the_installed_timm(timm):
    for source in in_hub():
        config = timm.get_pretrained_cfg(source.location.removeprefix("hf://timm/"))
        assert config is not None and f"hf://{config.hf_hub_id}" == source.location
        assert source.classes == hub_sources.CLASSES[config.num_classes]
        size, fraction = hub_sources.geometry(config)
        assert source.preprocessing == Preprocessing(
            config.mean,
            config.std,
            resize=int(size / fraction),
            crop=size,
            interpolation=config.interpolation,
        )
        assert source.licence == (hub_sources.LICENCES[config.license] or None)


def test_nearly_all_weights_that_timm_publishes_are_listed(timm):
    """`tests/weights/hub_sources.py` adds what a newer timm publishes."""
    listed = {source.location.removeprefix("hf://timm/") for source in in_hub()}
    published = hub_sources.published()
    missing = sorted(set(published) - listed)
    print(f"{len(published) - len(missing)} of {len(published)} listed; missing: {missing}")
    assert len(missing) <= 0.05 * len(published)


def test_keras_entries_have_the_addresses_and_hashes_of_the_installed_keras():
    for source in by_layout("keras.applications"):
        name = source.model.removesuffix("V1")
        module = getattr(keras.applications, name).__globals__
        base, md5 = (
            source.location.removesuffix(source.file_name),
            source.digest.removeprefix("md5:"),
        )
        if name.startswith("DenseNet"):
            assert module[f"{name.upper()}_WEIGHT_PATH"] == source.location
            assert md5 in module["DenseNet"].__code__.co_consts
        else:
            common = keras.applications.ResNet50.__globals__
            assert common["BASE_WEIGHTS_PATH"] == base
            assert common["WEIGHTS_HASHES"][name.lower()][0] == md5


@pytest.mark.slow
@pytest.mark.parametrize("source", by_layout("keras.applications"), ids=lambda source: source.name)
def test_keras_asks_for_the_same_file_and_hash(source, monkeypatch):
    """Building the whole network is what keras.applications does before it asks."""
    asked = {}

    class Asked(Exception):
        pass

    def get_file(fname, origin, cache_subdir, file_hash):
        asked.update(location=origin, digest=f"md5:{file_hash}")
        raise Asked

    monkeypatch.setattr(
        keras.applications.DenseNet121.__globals__["file_utils"], "get_file", get_file
    )
    with pytest.raises(Asked):
        getattr(keras.applications, source.model.removesuffix("V1"))(weights="imagenet")
    assert asked == {"location": source.location, "digest": source.digest}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("ResNet18", "ResNet18.IMAGENET1K_V1"),
        ("resnet50", "ResNet50.IMAGENET1K_V1"),
        ("ResNeXt101_64x4d", "ResNeXt101_64x4d.IMAGENET1K_V1"),
        ("WideResNet50_2", "WideResNet50_2.IMAGENET1K_V1"),
        ("DenseNet121", "DenseNet121.IMAGENET1K_V1"),
        ("ResNet50V1", "ResNet50V1.keras"),
        ("ResNet50V2", "ResNet50V2.a1h_in1k"),
        ("ResNet50D", "ResNet50D.ra2_in1k"),
        ("SEResNeXt50_32x4d", "SEResNeXt50_32x4d.racm_in1k"),
    ],
)
def test_imagenet_means_the_best_known_weights(model, name):
    assert find(model).name == name
    assert find(model, "imagenet") is find_named(name)


def test_imagenet_never_means_weights_with_a_licence_against_use():
    for source in list_sources():
        if source.classes != "imagenet":
            continue
        free = [item for item in list_sources(source.model) if not item.forbids_commerce]
        if any(item.classes == "imagenet" for item in free):
            assert find(source.model) in free
        else:
            with pytest.raises(ValueError, match=f"'imagenet'. Known: .*{source.tag}"):
                find(source.model)


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-NC-4.0", True),
        ("cc-by-nc-sa-4.0", True),
        ("SEER license", True),
        ("research-only", True),
        ("Apache-2.0", False),
        ("MIT", False),
        ("ncsa", False),
        (None, False),
    ],
)
def test_licences_that_forbid_commerce_are_known(licence, expected):
    assert forbids_commerce(licence) is expected
    source = dataclasses.replace(find("ResNet18"), licence=licence)
    assert source.forbids_commerce is expected


def test_tags_are_found_in_any_case():
    assert find("resnet50", "imagenet1k_v2").top1 == 80.858
    assert find("ResNet50V2", "keras").options["strided_block"] == "last"
    assert find("DenseNet121", "Keras").preprocessing == Preprocessing.from_mode("torch")


@pytest.mark.parametrize(
    ("model", "tag", "message"),
    [
        ("ResNet51", "imagenet", "Unknown model with published weights: 'ResNet51'. Did you mean"),
        (None.__class__, "imagenet", "Unknown model with published weights"),
        ("ResNet152V2", "a1", "Unknown weights of ResNet152V2: 'a1'. Known: imagenet, keras"),
        ("ResNet32", "imagenet", "Known: cifar10, cifar100, chenyaofo_cifar10, chenyaofo_cifar100"),
        ("ResNet18", 5, "Unknown weights of ResNet18: 5. Known: imagenet, IMAGENET1K_V1, a1"),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(model, tag, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        find(model, tag)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ResNet50", "ResNet50.IMAGENET1K_V1"),
        ("ResNet20", "ResNet20.keras_residual_cifar10"),
        ("resnet50.a1_in1k", "ResNet50.a1_in1k"),
        ("hf://timm/resnet50.a1_in1k", "ResNet50.a1_in1k"),
        ("hf://timm/resnet50.a1_in1k/model.safetensors", "ResNet50.a1_in1k"),
        ("https://download.pytorch.org/models/resnet18-f37072fd.pth", "ResNet18.IMAGENET1K_V1"),
        ("hf://me/other", None),
        ("https://host/x.pth", None),
        ("weights.pth", None),
    ],
)
def test_names_and_addresses_are_found(name, expected):
    source = find_named(name)
    assert (source and source.name) == expected


def test_the_source_of_a_model_is_remembered_while_it_lives():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert source_of(model) is None
    remember(model, find("ResNet18"))
    assert source_of(model) is find("ResNet18")
    assert source_of(keras.Sequential()) is None


def test_constants():
    assert find("ResNet18").preprocessing.mean == IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert find("ResNet18").preprocessing.std == IMAGENET_STD == (0.229, 0.224, 0.225)
    half = find("ResNet50V2").preprocessing
    assert half.mean == half.std == (0.5, 0.5, 0.5)
    assert find_named("ResNet32").preprocessing.mean == (0.4914, 0.4822, 0.4465)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""),
        ("tag", None),
        ("location", 5),
        ("classes", ""),
        ("layout", "caffe2"),
        ("preprocessing", "torch"),
        ("digest", "f37072fd"),
        ("top1", 101),
        ("options", 3),
    ],
)
def test_wrong_attributes_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        dataclasses.replace(find("ResNet18"), **{name: value})
