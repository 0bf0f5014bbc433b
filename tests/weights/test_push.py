"""Weights pushed to a hub on this machine come back bit for bit, with a card that the hub reads."""

import base64
import hashlib
import http.server
import json
import re
import threading

import keras
import numpy as np
import pytest
from model_weights import assert_same_weights, randomize
from weights.small_network import network

import keras_residual as kr
from keras_residual import weights
from keras_residual.weights import Preprocessing, WeightsError

COMMIT = "5f3e" * 10


class Hub:
    """The requests by which huggingface_hub makes a repository, commits to it and reads it."""

    def __init__(self):
        self.files, self.commits, self.created, self.tokens = {}, [], [], []
        self.refuse = False
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hub.tokens.append(self.headers.get("Authorization"))
                self.answer(hub.post(self.path, body))

            def do_HEAD(self):
                self.resolve(False)

            def do_GET(self):
                if self.path.startswith("/api/"):
                    text = hub.files.get("README.md", b"").decode()
                    license = re.search(r"^license: (.+)$", text, re.M)
                    card = {"license": license[1]} if license else {}
                    self.answer({"id": "me/net", "sha": COMMIT, "cardData": card})
                    return
                self.resolve(True)

            def resolve(self, body):
                found = re.fullmatch(r"/me/net/resolve/[\w.]+/(.+)", self.path.partition("?")[0])
                content = hub.files.get(found[1]) if found else None
                self.send_response(404 if content is None else 200)
                if content is None:
                    self.send_header("X-Error-Code", "EntryNotFound")
                    content = b""
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def answer(self, content):
                text = json.dumps(content).encode()
                self.send_response(403 if hub.refuse else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def post(self, path, body):
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            return {"url": f"{self.endpoint}/me/net"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return {"files": [{"path": name, **modes} for name in names]}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.files[entry["value"]["path"]] = content
            else:
                self.commits.append((path, entry["value"]["summary"]))
        return {
            "success": True,
            "commitUrl": f"{self.endpoint}/me/net/commit/{COMMIT}",
            "commitOid": COMMIT,
        }

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def hub(monkeypatch, tmp_path, cache):
    constants = pytest.importorskip("huggingface_hub.constants", reason="it is not installed")
    pytest.importorskip("safetensors", reason="it is not installed")
    server = Hub()
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield server
    server.close()


def front_matter(hub):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(hub.files["README.md"].decode().split("---\n")[1])


@pytest.mark.parametrize("execution", ["unrolled", "scanned"])
def test_pulled_back_bit_for_bit(hub, execution):
    model = randomize(network(execution=execution))
    place = weights.push(model, "hf://me/net", license="MIT", private=True, token="hf_secret")
    assert place == f"hf://me/net@{COMMIT}"
    assert sorted(hub.files) == ["README.md", "config.json", "model.safetensors"]
    assert hub.commits == [("/api/models/me/net/commit/main", "Weights of keras_residual")]
    assert "private" in (*hub.created[0], *hub.created[0].values())
    assert set(hub.tokens) == {"Bearer hf_secret"}
    loaded = network(execution=execution)
    weights.load(loaded, "hf://me/net")
    assert_same_weights(loaded, model)
    built = network(execution=execution, weights="hf://me/net")
    assert_same_weights(built, model)


def test_the_scaling_comes_back(hub):
    steps = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), resize=40, crop=32)
    model = network(include_preprocessing=steps)
    weights.push(model, "hf://me/net", license="mit")
    built = network(weights="hf://me/net", include_preprocessing=True)
    assert steps.scales_like(built.get_layer("preprocessing"))
    assert weights.preprocessing_of(network(weights="hf://me/net")).scales_like(steps)


def test_the_card_says_what_the_hub_reads(hub):
    weights.push(
        network(),
        "hf://me/net",
        license="Apache-2.0",
        datasets=["cifar10"],
        metrics={"accuracy": 0.921},
        base_model="timm/resnet18.a1_in1k",
        tags=["phone"],
    )
    card = front_matter(hub)
    assert card["license"] == "apache-2.0" and card["library_name"] == "keras"
    assert card["datasets"] == ["cifar10"] and card["metrics"] == ["accuracy"]
    assert card["base_model"] == "timm/resnet18.a1_in1k"
    assert set(card["tags"]) >= {"keras", "keras-residual", "phone"}
    assert card["pipeline_tag"] == "image-classification"
    result = card["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == 0.921 and result["dataset"]["type"] == "cifar10"
    assert 'weights.load(model, "hf://me/net")' in hub.files["README.md"].decode()
    assert json.loads(hub.files["config.json"])["library"] == "keras_residual"


def test_what_published_weights_say_is_taken_over(hub):
    model = network()
    weights.remember(model, weights.find("ResNeXt50_32x4d", "fb_swsl_ig1b_ft_in1k"))
    weights.push(model, "hf://me/net")
    card = front_matter(hub)
    assert card["license"] == "cc-by-nc-4.0"
    assert card["base_model"] == "timm/resnext50_32x4d.fb_swsl_ig1b_ft_in1k"
    assert "forbids commercial use" in hub.files["README.md"].decode()


def test_the_licence_of_a_repository_is_shown_before_a_download(hub, capsys):
    weights.push(network(), "hf://me/net", license="cc-by-nc-4.0")
    capsys.readouterr()
    weights.fetch("hf://me/net")
    assert capsys.readouterr().err == (
        "The licence of hf://me/net, cc-by-nc-4.0, forbids commercial use.\n"
    )


def test_other_models_are_pushed_as_keras_writes_them(hub):
    def build():
        return kr.ResidualLSTMClassifier(classes=2, input_shape=(5, 3), units=4, num_layers=2)

    model, other = build(), build()
    weights.push(model, "hf://me/net", license="mit")
    assert "model.weights.h5" in hub.files
    weights.load(other, "hf://me/net")
    for ours, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_damaged_download_is_found_where_the_cache_does_not_name_files_by_hash(hub, tmp_path):
    weights.push(network(), "hf://me/net", license="mit")
    path = weights.fetch("hf://me/net")
    content = path.read_bytes()
    # As on a file system without links.
    path.unlink()
    path.write_bytes(content)
    assert weights.fetch("hf://me/net") == path
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(WeightsError, match="damaged in the cache"):
        weights.fetch("hf://me/net")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"location": "me/net"}, "source"),
        ({"location": "hf://me/net/x.h5"}, "location"),
        ({"location": 3}, "location"),
        ({"license": None}, "license"),
        ({"license": 5}, "license"),
        ({"datasets": "cifar10"}, "datasets"),
        ({"tags": [3]}, "tags"),
        ({"metrics": {"accuracy": "high"}}, "metrics"),
        ({"metrics": [0.9]}, "metrics"),
        ({"private": "yes"}, "private"),
        ({"model": keras.layers.Dense(1)}, "model"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    given = {"model": network(), "location": "hf://me/net", "license": "mit", **arguments}
    with pytest.raises(ValueError, match=f"`{name}` must .* Received"):
        weights.push(**given)


def test_a_hub_that_refuses_is_told_in_one_line(hub):
    hub.refuse = True
    with pytest.raises(WeightsError, match="cannot push to hf://me/net: ") as caught:
        weights.push(network(), "hf://me/net", license="mit")
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-residual\[hub\]'"):
        weights.push(network(), "hf://me/net", license="mit")
