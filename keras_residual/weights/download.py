"""Downloading one file over HTTP: resumed where it broke off, hashed, renamed into place."""

import contextlib
import os
import pathlib
import sys
import time

import requests
from rich import progress as rich_progress
from rich.console import Console

from keras_residual.weights import _digests
from keras_residual.weights.errors import WeightsError, first_line

# pooch and keras.utils.get_file neither resume a download nor keep two processes apart, and
# huggingface_hub, which does both, is optional and reads only its own servers.
_ATTEMPTS_WITHOUT_PROGRESS = 3
_PAUSE = 1.0
_CHUNK = 1 << 16
_BUSY = (408, 429, 500, 502, 503, 504)


class DownloadError(WeightsError):
    """A file could not be downloaded. The message names the URL and where to put the file."""


class _Interrupted(Exception):
    """The transfer broke off; what has arrived may be continued."""


class _Failed(Exception):
    """The transfer cannot succeed by trying again."""


def download(
    url: str,
    target: pathlib.Path,
    digest: str | None = None,
    timeout: float = 10.0,
    progress: bool | None = None,
) -> None:
    """Downloads `url` to `target`, which appears complete or not at all.

    Data is collected in `target` + `.part`. A broken transfer continues there, in this call or the
    next, if the server says that its file is the same (ETag or Last-Modified) or `digest` is given
    to prove it; otherwise it starts anew.

    Args:
        url: The address, `http` or `https`.
        target: The file to write.
        digest: Expected hash or its prefix, e.g. `"sha256:f37072fd"`. Defaults to `None`.
        timeout: Seconds to wait for a connection and for each piece of data. Defaults to `10`.
        progress: Whether to show a progress bar. Defaults to `None`, where standard error is a
            terminal.

    Raises:
        DownloadError: If the file cannot be had; one line that names the URL, the reason and where
            to put the file by hand.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = _resumable(part, digest) > 0
        _collect(url, part, digest, timeout, progress)
        if digest is not None and resumed and not _digests.matches(part, digest):
            # The older part belonged to something else; only a whole transfer can tell.
            _discard(part)
            _collect(url, part, digest, timeout, progress)
        if digest is not None and not _digests.matches(part, digest):
            actual = _digests.digest_of(part, digest.partition(":")[0])
            _discard(part)
            raise _Failed(f"expected {digest}, found {actual}")
        os.replace(part, target)
        _discard(part)
    except (_Failed, OSError) as error:
        raise DownloadError(
            f"cannot download {url} ({first_line(error)}); "
            f"get it by other means and put it at {target}"
        ) from error


def _collect(url, part, digest, timeout, progress) -> None:
    """Fills `part`, going on after interruptions for as long as new data arrives."""
    largest, idle = _size(part), 0
    with requests.Session() as session, _bar(part.stem, progress) as advance:
        while True:
            try:
                return _transfer(session, url, part, digest, timeout, advance)
            except _Interrupted as error:
                idle = 0 if _size(part) > largest else idle + 1
                largest = max(largest, _size(part))
                if idle == _ATTEMPTS_WITHOUT_PROGRESS:
                    raise _Failed(str(error)) from error
                time.sleep(idle * _PAUSE)


def _transfer(session, url, part, digest, timeout, advance) -> None:
    offset = _resumable(part, digest)
    # Content encodings would make lengths and ranges count other bytes than the file's.
    headers = {"Accept-Encoding": "identity", "User-Agent": "keras-residual"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator := _validator(part).read_text() if _validator(part).exists() else "":
            headers["If-Range"] = validator
    try:
        response = session.get(url, headers=headers, stream=True, timeout=timeout)
    except requests.RequestException as error:
        raise _Failed(_reason(error, timeout)) from error
    with response:
        _check_status(response, part)
        continued = response.status_code == 206
        if continued and not _continues(response, offset):
            _discard(part)
            raise _Interrupted("the server sent another range than asked for")
        _write(response, part, offset if continued else 0, timeout, advance)


def _check_status(response, part) -> None:
    status = f"HTTP {response.status_code} {response.reason}"
    if response.status_code == 416:
        _discard(part)
        raise _Interrupted(status)
    if response.status_code in _BUSY:
        raise _Interrupted(status)
    if response.status_code not in (200, 206):
        raise _Failed(status)
    # Login pages of networks answer every address so, and would be kept as the file.
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _Failed("the server sent a web page")


def _write(response, part, offset, timeout, advance) -> None:
    if not offset:
        _discard(part)
        etag = response.headers.get("ETag", "")
        # If-Range needs a strong validator; a weak one promises only similar content.
        validator = response.headers.get("Last-Modified", "") if etag[:2] in ("", "W/") else etag
        if validator:
            _validator(part).write_text(validator)
    length = response.headers.get("Content-Length")
    total = None if length is None else offset + int(length)
    advance(offset, total)
    done = offset
    with open(part, "ab" if offset else "wb") as file:
        try:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                advance(done, total)
        except requests.RequestException as error:
            raise _Interrupted(_reason(error, timeout)) from error
    if total is not None and done != total:
        raise _Interrupted(f"connection closed after {done} of {total} bytes")


def _continues(response, offset: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _reason(error: requests.RequestException, timeout: float) -> str:
    """Returns one short phrase; the messages of requests quote whole object representations."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return first_line(error)


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _validator(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(part.name + ".validator")


def _resumable(part: pathlib.Path, digest: str | None) -> int:
    """Returns how many bytes of `part` can be kept."""
    return _size(part) if digest is not None or _validator(part).exists() else 0


def _discard(part: pathlib.Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(name: str, show: bool | None):
    """Yields a function of (bytes so far, bytes in total or None) that draws a progress bar."""
    show = sys.stderr.isatty() if show is None else show
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.DownloadColumn(),
        rich_progress.TransferSpeedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not show,
    )
    with bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
