"""Published weights: by name, by address, by file name."""

import pytest
from model_weights import assert_same_weights, randomize
from weights.small_network import network, write

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import WeightsError, _digests, cache, loading


class TestSources:
    @pytest.fixture
    def published(self, tmp_path, monkeypatch):
        """ResNet-18 as a hub would have it, already downloaded; records what was asked for."""
        model = randomize(kr.ResNet18(input_shape=(32, 32, 3)))
        path = write(model, tmp_path / "model.safetensors")
        asked = []

        def fetch(source):
            asked.append(getattr(source, "location", source))
            return path

        monkeypatch.setattr(cache, "fetch", fetch)
        return model, asked

    def test_factories_load_by_tag(self, published):
        donor, asked = published
        model = kr.ResNet18(input_shape=(32, 32, 3), weights="tv_in1k")
        assert asked == ["hf://timm/resnet18.tv_in1k"]
        assert_same_weights(donor, model)
        assert weights.source_of(model).name == "ResNet18.tv_in1k"

    @pytest.mark.parametrize(
        ("source", "location"),
        [
            ("imagenet", "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
            ("ResNet18.a1_in1k", "hf://timm/resnet18.a1_in1k"),
            ("hf://timm/resnet18.a1_in1k", "hf://timm/resnet18.a1_in1k"),
            ("hf://someone/else", "hf://someone/else"),
            ("https://example.org/x.pth", "https://example.org/x.pth"),
        ],
    )
    def test_load_takes_names_and_addresses(self, published, source, location):
        donor, asked = published
        model = kr.ResNet18(input_shape=(32, 32, 3))
        weights.load(model, source)
        assert asked == [location]
        assert_same_weights(donor, model)

    def test_a_published_file_is_known_by_its_name(self, published, tmp_path, monkeypatch):
        donor, asked = published
        path = write(donor, tmp_path / "resnet18-f37072fd.pth")
        model = kr.ResNet18(input_shape=(32, 32, 3))
        with pytest.raises(WeightsError, match="but not their hash sha256:f37072fd"):
            weights.load(model, path)
        monkeypatch.setattr(_digests, "matches", lambda *_: True)
        weights.load(model, path)
        assert weights.source_of(model).name == "ResNet18.IMAGENET1K_V1"
        assert not asked
        weights.from_torch(model, weights.to_torch(model))
        assert weights.source_of(model) is None

    def test_tags_of_models_without_a_name_are_refused(self):
        with pytest.raises(ValueError, match=r"`weights` must be a path, .*weights='imagenet'"):
            kr.ResNet("basic", (1, 1), (8, 16), input_shape=(32, 32, 3), weights="imagenet")

    def test_unknown_tags_name_the_known_ones(self):
        with pytest.raises(ValueError, match=r"Unknown weights of ResNet18: 'best'.*IMAGENET1K_V1"):
            kr.ResNet18(input_shape=(32, 32, 3), weights="best")

    def test_missing_files_are_named(self, tmp_path):
        with pytest.raises(WeightsError, match="no such file"):
            weights.load(network(), tmp_path / "absent.pth")
        with pytest.raises(WeightsError, match=r"absent\.safetensors: no such file"):
            kr.ResNet18(input_shape=(32, 32, 3), weights="absent.safetensors")

    @pytest.mark.parametrize("source", [None, 3, ["a"], ""])
    def test_other_types_are_refused(self, source):
        with pytest.raises(ValueError, match="`source` must be a path, a URL"):
            loading.load(network(), source)

    @pytest.mark.parametrize("given", [3, ["a"], "", {}])
    def test_factories_name_their_argument(self, given):
        with pytest.raises(ValueError, match=r"`weights` must be None, .* Received: weights="):
            kr.ResNet18(input_shape=(32, 32, 3), weights=given)
        with pytest.raises(ValueError, match=r"`weights` must be None, .* Received: weights="):
            kr.ResidualLSTMTagger((5, 2), units=2, weights=given)
