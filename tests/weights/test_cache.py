"""Downloads from a server on this machine: whole, resumed, damaged, missing, slow, shared."""

import dataclasses
import hashlib
import io
import multiprocessing
import socket
import sys

import numpy as np
import pytest

from keras_residual.weights import (
    DownloadError,
    WeightsError,
    WeightSource,
    cached_path,
    fetch,
    find,
)
from keras_residual.weights.download import download


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.arange(256_000, dtype="float32"))
    return buffer.getvalue()


CONTENT = _npz()
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
OTHER = b"another file" * 1000


@pytest.fixture
def server(serve, monkeypatch):
    monkeypatch.setattr("keras_residual.weights.download._PAUSE", 0.01)
    return serve(CONTENT)


def source_at(server, digest=DIGEST):
    return dataclasses.replace(
        find("ResNet18"), location=f"{server.url}/resnet18-x.pth", digest=digest
    )


def with_part(target, content, validator=None):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_name(target.name + ".part").write_bytes(content)
    if validator:
        target.with_name(target.name + ".part.validator").write_text(validator)


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_source_is_downloaded_once_and_then_read_from_the_cache(server, cache):
    path = fetch(source_at(server))
    assert path == cache / "resnet18-x.pth"
    assert path.read_bytes() == CONTENT
    assert fetch(source_at(server)) == path
    assert len(server.gets) == 1
    assert not list(cache.glob("*.part*"))


@pytest.mark.parametrize("digest", [DIGEST[:15], "md5:" + hashlib.md5(CONTENT).hexdigest()])
def test_hash_prefixes_and_md5_are_compared(server, cache, digest):
    assert fetch(source_at(server, digest)).read_bytes() == CONTENT


def test_a_file_with_another_hash_is_refused_and_not_kept(server, cache):
    with pytest.raises(DownloadError, match="expected sha256:00000000, found sha256:") as caught:
        fetch(source_at(server, "sha256:00000000"))
    assert str(caught.value).count("\n") == 0
    assert not (cache / "resnet18-x.pth").exists()
    assert not list(cache.glob("*.part*"))


def test_a_damaged_copy_in_the_cache_is_downloaded_again(server, cache):
    path = fetch(source_at(server))
    path.write_bytes(CONTENT[:-1] + b"!")
    assert fetch(source_at(server)).read_bytes() == CONTENT
    assert len(server.gets) == 2


def test_a_file_put_into_the_cache_by_hand_needs_no_network(cache):
    source = WeightSource(
        **{
            **{f.name: getattr(find("ResNet18"), f.name) for f in dataclasses.fields(WeightSource)},
            "location": f"http://127.0.0.1:{closed_port()}/by-hand.pth",
            "digest": DIGEST,
        }
    )
    path = cached_path(source)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch(source) == path


def test_the_hash_of_an_unknown_url_is_noted_and_compared_afterwards(server, cache):
    path = fetch(f"{server.url}/folder/weights.npz?download=1")
    assert path.name == "weights.npz" and path.parent.parent == cache
    note = path.with_name("weights.npz.sha256")
    assert note.read_text() == f"{DIGEST.removeprefix('sha256:')}  weights.npz\n"
    assert fetch(f"{server.url}/folder/weights.npz?download=1") == path
    path.write_bytes(OTHER)
    with pytest.raises(WeightsError, match="changed since it was downloaded"):
        fetch(f"{server.url}/folder/weights.npz?download=1")
    note.unlink()
    assert fetch(f"{server.url}/folder/weights.npz?download=1").read_bytes() == OTHER


def test_urls_with_the_same_file_name_do_not_share_a_file(server, cache):
    assert cached_path(f"{server.url}/a/x.pth") != cached_path(f"{server.url}/b/x.pth")


def test_a_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.truncate_to = 400_000
    download(f"{server.url}/x", tmp_path / "x", DIGEST)
    assert (tmp_path / "x").read_bytes() == CONTENT
    starts = [headers.get("Range") for headers in server.gets]
    assert starts[0] is None and len(starts) == 3
    assert all(start.startswith("bytes=") and start != "bytes=0-" for start in starts[1:])


def test_a_later_call_resumes_if_the_server_has_the_same_file(server, tmp_path):
    with_part(tmp_path / "x", CONTENT[:300_000], validator=server.etag)
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert server.gets[0]["Range"] == "bytes=300000-"
    assert server.gets[0]["If-Range"] == server.etag


def test_a_later_call_starts_again_if_the_server_has_another_file(server, tmp_path):
    with_part(tmp_path / "x", OTHER, validator='"older"')
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_part_of_unknown_origin_is_kept_only_if_a_hash_can_prove_it(server, tmp_path):
    with_part(tmp_path / "x", CONTENT[:1000])
    download(f"{server.url}/x", tmp_path / "x")
    assert "Range" not in server.gets[-1]
    with_part(tmp_path / "y", CONTENT[:1000])
    download(f"{server.url}/y", tmp_path / "y", DIGEST)
    assert server.gets[-1]["Range"] == "bytes=1000-"
    assert (tmp_path / "y").read_bytes() == CONTENT


def test_a_wrong_part_is_found_by_the_hash_and_downloaded_whole(server, tmp_path):
    with_part(tmp_path / "x", OTHER)
    download(f"{server.url}/x", tmp_path / "x", DIGEST)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    with_part(tmp_path / "x", CONTENT + b"more", validator=server.etag)
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_without_ranges_is_asked_for_the_whole_file(server, tmp_path):
    server.ranges = False
    with_part(tmp_path / "x", CONTENT[:1000], validator=server.etag)
    download(f"{server.url}/x", tmp_path / "x", DIGEST)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(server, tmp_path):
    server.ranges, server.truncate_to = False, 100_000
    with pytest.raises(DownloadError, match=r"broke off|connection closed"):
        download(f"{server.url}/x", tmp_path / "x")
    assert len(server.gets) == 4
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 3)])
def test_an_error_status_is_told_in_one_line(server, cache, status, requests):
    server.status = status
    with pytest.raises(DownloadError) as caught:
        fetch(source_at(server))
    message = str(caught.value)
    assert message.startswith(f"cannot download {server.url}/resnet18-x.pth (HTTP {status}")
    assert message.endswith(f"put it at {cache / 'resnet18-x.pth'}")
    assert "\n" not in message
    assert len(server.gets) == requests


def test_a_web_page_in_place_of_the_file_is_not_kept(server, cache):
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match=r"\(the server sent a web page\)"):
        fetch(f"{server.url}/x.pth")
    assert not cached_path(f"{server.url}/x.pth").exists()


def test_without_a_network_the_error_names_url_and_place(cache):
    url = f"http://127.0.0.1:{closed_port()}/resnet18.pth"
    with pytest.raises(DownloadError) as caught:
        fetch(url)
    assert str(caught.value) == (
        f"cannot download {url} (no connection); "
        f"get it by other means and put it at {cached_path(url)}"
    )


def test_a_server_that_stalls_times_out_and_leaves_what_came(server, tmp_path):
    server.stall_at = 200_000
    server.ranges = False
    with pytest.raises(DownloadError, match=r"no answer within 0\.2 s"):
        download(f"{server.url}/x", tmp_path / "x", timeout=0.2)
    assert 0 < (tmp_path / "x.part").stat().st_size <= 200_000
    server.stall_at, server.ranges = None, True
    download(f"{server.url}/x", tmp_path / "x", timeout=0.2)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert "Range" in server.gets[-1]


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match=r"cannot download .* put it at"):
        download(f"{server.url}/x", tmp_path / "file" / "x")


def _fetch_in_process(url, home, results):
    import os

    os.environ["KERAS_RESIDUAL_HOME"] = home
    results.put(fetch(url).read_bytes() == CONTENT)


@pytest.mark.skipif(sys.platform == "win32", reason="forking keeps this test short")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # where another test imported JAX
def test_two_processes_share_one_download(server, cache):
    server.delay = 0.3
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    arguments = (f"{server.url}/x.npz", str(cache.parent), results)
    processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    assert [results.get(timeout=30) for _ in processes] == [True, True]
    for process in processes:
        process.join()
    assert len(server.gets) == 1


def test_the_progress_bar_goes_to_standard_error_and_only_if_wanted(server, tmp_path, capsys):
    download(f"{server.url}/x", tmp_path / "x.pth", progress=True)
    shown = capsys.readouterr()
    assert "x.pth" in shown.err and not shown.out
    download(f"{server.url}/y", tmp_path / "y.pth", progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("source", ["ResNet18", "ftp://x/y", None, 3, "https://host/"])
def test_what_is_no_address_is_refused(source, cache):
    with pytest.raises(ValueError, match=r"`source` must be .* Received: source="):
        fetch(source)


@pytest.mark.parametrize(
    ("licence", "progress", "shown"),
    [
        ("CC-BY-NC-4.0", False, "The licence of ResNet18.IMAGENET1K_V1, CC-BY-NC-4.0, forbids "),
        ("Apache-2.0", True, "Downloading ResNet18.IMAGENET1K_V1: licence Apache-2.0"),
        ("Apache-2.0", False, ""),
    ],
)
def test_the_licence_is_shown_before_a_download(server, cache, capsys, licence, progress, shown):
    source = dataclasses.replace(source_at(server), licence=licence)
    fetch(source, progress=progress)
    printed = capsys.readouterr().err
    assert printed.startswith(shown) and bool(printed) == bool(shown)
    fetch(source, progress=progress)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "value"), [("timeout", 0), ("timeout", "long"), ("timeout", None), ("progress", 1)]
)
def test_wrong_arguments_are_named(name, value, cache):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        fetch("https://host/x.pth", **{name: value})
