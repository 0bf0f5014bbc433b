"""Faulty servers and caches: nothing wrong is kept, and every failure is a DownloadError."""

import errno
import hashlib
import io
import pathlib

import numpy as np
import pytest

from keras_residual.weights import DownloadError, WeightsError, cached_path, fetch
from keras_residual.weights.download import download

KIND = "application/octet-stream"


def npz(fill=0.0):
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.full(60_000, fill, "float32"))
    return buffer.getvalue()


CONTENT = npz()
TOTAL = len(CONTENT)
HALF = TOTAL // 2


@pytest.fixture
def server(serve, monkeypatch):
    monkeypatch.setattr("keras_residual.weights.download._PAUSE", 0.001)
    return serve(CONTENT)


def part_of(target, content=CONTENT[:HALF], validator='"one"'):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_name(target.name + ".part").write_bytes(content)
    if validator is not None:
        target.with_name(target.name + ".part.validator").write_bytes(validator.encode())


def partial(start, end, total=TOTAL, content=CONTENT, etag='"one"', **headers):
    body = content[start:end]
    return (
        206,
        {
            "Content-Type": KIND,
            "ETag": etag,
            "Content-Range": f"bytes {start}-{end - 1}/{total}",
            "Content-Length": str(len(body)),
            **headers,
        },
        body,
    )


def whole(content=CONTENT, etag='"one"'):
    return 200, {"Content-Type": KIND, "ETag": etag, "Content-Length": str(len(content))}, content


def start_of(handler) -> int:
    return int(handler.headers.get("Range", "bytes=0-")[6:].rstrip("-"))


# What a server answers to the rest that was asked for; a whole file follows if it is asked again.
WRONG_PARTS = {
    "another version": lambda n: partial(n, TOTAL, content=npz(1.0), etag='"two"'),
    "another date": lambda n: partial(n, TOTAL, content=npz(1.0), ETag='"two"'),
    "another start": lambda n: partial(n - 5, TOTAL),
    "a later start": lambda n: partial(n + 5, TOTAL),
    "no total": lambda n: partial(n, TOTAL, total="*"),
    "an end beyond": lambda n: partial(n, TOTAL, total=TOTAL - 10),
    "another unit": lambda n: partial(n, TOTAL, **{"Content-Range": f"items {n}-{TOTAL}/{TOTAL}"}),
    "no range": lambda n: partial(n, TOTAL, **{"Content-Range": ""}),
    "another length": lambda n: partial(
        n, TOTAL, **{"Content-Range": f"bytes {n}-{n + 9}/{TOTAL}"}
    ),
}


@pytest.mark.parametrize("kind", WRONG_PARTS)
def test_a_wrong_rest_is_thrown_away(server, tmp_path, kind):
    part_of(tmp_path / "x")

    def reply(handler):
        start = start_of(handler)
        return WRONG_PARTS[kind](start) if start else whole()

    server.reply = reply
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert "Range" in server.gets[0] and "Range" not in server.gets[-1]


def test_a_rest_in_small_pieces_is_collected(server, tmp_path):
    part_of(tmp_path / "x")

    def reply(handler):
        start = start_of(handler)
        return partial(start, min(start + 50_000, TOTAL))

    server.reply = reply
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert len(server.gets) == -(-(TOTAL - HALF) // 50_000)


def test_a_part_that_nobody_asked_for_is_never_kept(server, tmp_path):
    server.reply = lambda handler: partial(0, HALF)
    with pytest.raises(DownloadError, match="a part of the file that it was not asked for"):
        download(f"{server.url}/x", tmp_path / "x")
    server.reply = lambda handler: partial(HALF, TOTAL)
    with pytest.raises(DownloadError, match="a part of the file that it was not asked for"):
        download(f"{server.url}/x", tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [{"Content-Length": "0"}, {}])
def test_an_empty_file_is_not_kept(server, tmp_path, length):
    server.reply = lambda handler: (200, {"Content-Type": KIND, **length}, b"")
    with pytest.raises(DownloadError, match="the server sent an empty file"):
        download(f"{server.url}/x", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["x.npz", "x"])
def test_a_body_cut_short_without_a_length_is_not_kept(server, cache, name):
    server.reply = lambda handler: (200, {"Content-Type": KIND}, CONTENT[:-1000])
    with pytest.raises(DownloadError, match="truncated or damaged zip archive"):
        fetch(f"{server.url}/{name}")
    assert not cached_path(f"{server.url}/{name}").exists()
    server.reply = lambda handler: (200, {"Content-Type": KIND}, CONTENT)
    assert fetch(f"{server.url}/{name}").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Please log in", "damaged, or not a npz file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "not a npz file|content is hdf5"),
    ],
)
def test_what_is_no_weight_file_is_not_kept(server, cache, content, reason):
    server.reply = lambda handler: whole(content)
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(f"{server.url}/x.npz")
    assert "\n" not in str(caught.value) and ".part" not in str(caught.value)
    assert not cached_path(f"{server.url}/x.npz").exists()


@pytest.mark.parametrize("length", ["abc", "-5", "5, 6", "9" * 40, "1e3"])
def test_a_length_that_is_no_number(server, tmp_path, length):
    headers = {"Content-Type": KIND, "Content-Length": length}
    server.reply = lambda handler: (200, headers, CONTENT)
    with pytest.raises(DownloadError, match="cannot download"):
        download(f"{server.url}/x", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "place",
    [
        "http://[",
        "http://",
        "http://a..b/",
        "ftp://x/y",
        "file:///etc/passwd",
        "http://\u00e9..com/",
    ],
)
def test_redirects_to_no_address(server, tmp_path, place):
    server.reply = lambda handler: (302, {"Location": place, "Content-Length": "0"}, b"")
    with pytest.raises(DownloadError, match="cannot download") as caught:
        download(f"{server.url}/x", tmp_path / "x", timeout=0.5)
    assert "\n" not in str(caught.value)


def test_redirects_in_a_circle(server, tmp_path):
    server.reply = lambda handler: (302, {"Location": "/x", "Content-Length": "0"}, b"")
    with pytest.raises(DownloadError, match="redirects"):
        download(f"{server.url}/x", tmp_path / "x")


def test_a_body_in_another_encoding(server, tmp_path):
    headers = {"Content-Type": KIND, "Content-Encoding": "gzip"}
    server.reply = lambda handler: (200, headers, CONTENT)
    with pytest.raises(DownloadError, match="encoded as gzip"):
        download(f"{server.url}/x", tmp_path / "x")


@pytest.mark.parametrize("note", ["", "\x00\xff", '"a"\r\nInjected: yes', "\n"])
def test_a_damaged_validator_starts_the_download_again(server, tmp_path, note):
    part_of(tmp_path / "x", npz(1.0)[:HALF], None)
    (tmp_path / "x.part.validator").write_bytes(note.encode("latin-1"))
    download(f"{server.url}/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert "Range" not in server.gets[0] and "Injected" not in server.gets[0]


class TestNotes:
    @pytest.fixture
    def kept(self, server, cache):
        return fetch(f"{server.url}/x.npz")

    @pytest.mark.parametrize("note", [b"", b"\n", b"junk", b"\xff\xfe\x00", b"0" * 63, b"g" * 64])
    def test_notes_that_say_nothing(self, server, kept, note):
        path = kept.with_name("x.npz.sha256")
        path.write_bytes(note)
        with pytest.raises(WeightsError, match="delete it to accept the file") as caught:
            fetch(f"{server.url}/x.npz")
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
        path.unlink()
        assert fetch(f"{server.url}/x.npz") == kept
        assert path.read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  x.npz\n"

    @pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
    def test_a_read_only_disk(self, server, kept, monkeypatch, code):
        kept.with_name("x.npz.sha256").unlink()
        self.fail(monkeypatch, code)
        assert fetch(f"{server.url}/x.npz") == kept

    @pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
    def test_a_cache_that_cannot_be_written(self, server, cache, monkeypatch, code):
        def fail(*arguments, **options):
            raise OSError(code, "cannot be written")

        monkeypatch.setattr(pathlib.Path, "mkdir", fail)
        with pytest.raises(DownloadError, match="set KERAS_RESIDUAL_HOME") as caught:
            fetch(f"{server.url}/y.npz")
        assert "\n" not in str(caught.value)

    def fail(self, monkeypatch, code):
        def fail(*arguments, **options):
            raise OSError(code, "read-only")

        monkeypatch.setattr(pathlib.Path, "write_text", fail)
