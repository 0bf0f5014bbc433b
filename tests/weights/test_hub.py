"""Hugging Face addresses, and huggingface_hub against a server on this machine."""

import hashlib
import http.server
import re
import threading

import pytest

from keras_residual.weights import DownloadError, WeightsError, _hub, cached_path, fetch

CONTENT = b"weights" * 1000
FILE = "/owner/net/resolve/main/model.safetensors"


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("hf://timm/resnet18.a1_in1k", ("timm/resnet18.a1_in1k", None, None)),
        ("hf://me/net/a/b.pth", ("me/net", "a/b.pth", None)),
        ("hf://me/net@v1", ("me/net", None, "v1")),
        ("hf://me/net/x.h5@refs/pr/1", ("me/net", "x.h5", "refs/pr/1")),
    ],
)
def test_addresses_are_taken_apart(location, parts):
    address = _hub.parse(location)
    assert (address.repository, address.file, address.revision) == parts


@pytest.mark.parametrize("location", ["hf://", "hf://name", "hf://a/../b", "hf://a/b c"])
def test_other_addresses_are_refused(location):
    with pytest.raises(ValueError, match="`source` must have the form 'hf://owner/name'"):
        cached_path(location)


def test_a_file_put_there_by_hand_is_used(cache):
    path = cached_path("hf://timm/resnet18.a1_in1k")
    assert path == cache / "hub" / "timm" / "resnet18.a1_in1k" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch("hf://timm/resnet18.a1_in1k") == path


def test_a_missing_package_is_named(cache, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-residual\[hub\]'"):
        fetch("hf://owner/net")


@pytest.fixture
def repository(monkeypatch, tmp_path):
    """The two requests by which huggingface_hub gets a file, with one file in the repository."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="it is not installed")
    etag = hashlib.sha256(CONTENT).hexdigest()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            found = self.path == FILE
            self.send_response(200 if found else 404)
            if found:
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{etag}"')
            else:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(CONTENT)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_weights_of_a_repository_are_fetched_and_hashed(repository, cache):
    path = fetch("hf://owner/net")
    assert path.read_bytes() == CONTENT
    path.resolve().write_bytes(b"damaged" * 1000)
    with pytest.raises(WeightsError, match="damaged in the cache"):
        fetch("hf://owner/net")


def test_a_repository_without_weights_is_told_in_one_line(repository, cache):
    with pytest.raises(DownloadError) as caught:
        fetch("hf://owner/other")
    assert "it has no model.safetensors or pytorch_model.bin" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_the_cache_needs_no_network(repository, cache):
    path = fetch("hf://owner/net")
    repository.shutdown()
    repository.server_close()
    assert fetch("hf://owner/net") == path


def test_without_a_network_the_error_names_url_and_place(repository, cache):
    repository.shutdown()
    repository.server_close()
    with pytest.raises(DownloadError) as caught:
        fetch("hf://owner/net", timeout=0.2)
    assert re.fullmatch(
        r"cannot download http://127.*/owner/net/resolve/main/model.safetensors "
        rf"\(no connection\); get it by other means and put it at {cached_path('hf://owner/net')}",
        str(caught.value),
    )
