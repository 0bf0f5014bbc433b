"""Downloading one file over HTTP: resumed after interruptions, hashed, renamed atomically."""

import contextlib
import os
import pathlib
import re
import time
from collections.abc import Callable

import requests
from rich import progress as rich_progress
from rich.console import Console

from keras_residual import _notices
from keras_residual.weights import _digests
from keras_residual.weights.errors import WeightsError, first_line

# pooch and keras.utils.get_file neither resume a download nor lock out other processes;
# huggingface_hub does both, but is optional and supports only its own servers.
_ATTEMPTS_WITHOUT_PROGRESS = 3
_PAUSE = 1.0
_CHUNK = 1 << 16
_BUSY = (408, 429, 500, 502, 503, 504)


class DownloadError(WeightsError):
    """A file could not be downloaded. The message names the URL and where to put the file."""


class _Interrupted(Exception):
    """The transfer was interrupted and may be resumed."""


class _Failed(Exception):
    """The transfer cannot succeed by trying again."""


def download(
    url: str,
    target: pathlib.Path,
    digest: str | None = None,
    timeout: float = 10.0,
    progress: bool | None = None,
    check: Callable[[pathlib.Path, bool], None] | None = None,
) -> None:
    """Downloads `url` to `target`, which appears complete or not at all.

    Data is collected in `target` + `.part`. An interrupted transfer is resumed, in this call or the
    next, if the server confirms that its file is the same (ETag or Last-Modified, and the length)
    or if `digest` is given to verify it; otherwise it restarts.

    Args:
        url: The address, `http` or `https`.
        target: The file to write.
        digest: Expected hash or its prefix, e.g. `"sha256:f37072fd"`. Defaults to `None`.
        timeout: Seconds to wait for a connection and for each piece of data. Defaults to `10`.
        progress: Whether to show a progress bar. Defaults to `None`: if standard error is a
            terminal.
        check: Called with the complete file, and whether the server stated its length, before it is
            renamed; raises a WeightsError if the file must not be kept.

    Raises:
        DownloadError: If the file cannot be downloaded; one line that names the URL, the reason and
            where to put the file by hand.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = _resumable(part, digest) > 0
        measured = _collect(url, part, digest, timeout, progress)
        if digest is not None and resumed and not _digests.matches(part, digest):
            # The earlier part may belong to another file; only a complete transfer can tell.
            _discard(part)
            measured = _collect(url, part, digest, timeout, progress)
        if digest is not None and not _digests.matches(part, digest):
            actual = _digests.digest_of(part, digest.partition(":")[0])
            _discard(part)
            raise _Failed(f"expected {digest}, found {actual}")
        if check is not None:
            _check_content(check, part, measured)
        os.replace(part, target)
        _discard(part)
    except (_Failed, OSError) as error:
        raise DownloadError(
            f"cannot download {url} ({first_line(error)}); "
            f"get it by other means and put it at {target}"
        ) from error


def _check_content(check, part, measured) -> None:
    try:
        check(part, measured)
    except WeightsError as error:
        _discard(part)
        raise _Failed(str(error).removeprefix(f"{part}: ")) from error


def _collect(url, part, digest, timeout, progress) -> bool:
    """Fills `part`, resuming after interruptions as long as new data arrives.

    Returns whether the server stated the length of the file.
    """
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


def _transfer(session, url, part, digest, timeout, advance) -> bool:
    offset, known = _resumable(part, digest), _validator(part)
    # Content encodings would make lengths and ranges count other bytes than the file's.
    headers = {"Accept-Encoding": "identity", "User-Agent": "keras-residual"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if known:
            headers["If-Range"] = known
    try:
        response = session.get(url, headers=headers, stream=True, timeout=timeout)
    # An invalid redirect raises the exceptions of the URL parser.
    except (requests.RequestException, ValueError) as error:
        raise _Failed(_reason(error, timeout)) from error
    with response:
        _check_status(response, part)
        if response.status_code == 200:
            return _write(response, part, 0, None, _length(response), timeout, advance)
        try:
            end, total = _range(response, offset, known)
        except _Interrupted:
            _discard(part)
            raise
        return _write(response, part, offset, end, total, timeout, advance)


def _check_status(response, part) -> None:
    status = f"HTTP {response.status_code} {response.reason}"
    if response.status_code == 416:
        _discard(part)
        raise _Interrupted(status)
    if response.status_code in _BUSY:
        raise _Interrupted(status)
    if response.status_code not in (200, 206):
        raise _Failed(status)
    # Captive portals answer every address like this; the page must not be kept as the file.
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _Failed("the server sent a web page")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise _Failed(f"the server sent it encoded as {encoding}, which it was asked not to")


def _length(response) -> int | None:
    """Returns the length that a response states, or `None`."""
    text = response.headers.get("Content-Length")
    if text is None:
        return None
    if re.fullmatch(r"\d{1,18}", text.strip()) is None:
        raise _Failed(f"the server sent Content-Length: {first_line(ValueError(text), 40)}")
    return int(text)


def _range(response, offset: int, known: str) -> tuple[int, int]:
    """Returns the end of a partial response and the length of the file, if it continues ours."""
    text = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", text.strip())
    if not offset or match is None:
        raise _Interrupted("the server sent a part of the file that it was not asked for")
    start, last, total = map(int, match.groups())
    if start != offset or not start <= last < total:
        raise _Interrupted("the server sent another range than asked for")
    if known and _strong_validator(response) not in ("", known):
        raise _Interrupted("the server has another file than before")
    if _length(response) not in (None, last + 1 - start):
        raise _Interrupted("the server sent another range than it states")
    return last + 1, total


def _write(response, part, offset, end, total, timeout, advance) -> bool:
    """Appends a response to `part`, which has `offset` bytes; `end` is the end of its range."""
    if not offset:
        _discard(part)
        if validator := _strong_validator(response):
            _validator_file(part).write_text(validator, encoding="utf-8")
    advance(offset, total)
    done = offset
    with open(part, "ab" if offset else "wb") as file:
        try:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                advance(done, total)
        except (requests.RequestException, ValueError) as error:
            raise _Interrupted(_reason(error, timeout)) from error
    if end is not None and done > end:
        _discard(part)
        raise _Interrupted("the server sent more than the range that it states")
    if total is not None and done != total:
        raise _Interrupted(f"connection closed after {done} of {total} bytes")
    if not done:
        raise _Failed("the server sent an empty file")
    return total is not None


def _strong_validator(response) -> str:
    """Returns a validator that identifies this version of the file exactly, or `""`."""
    etag = response.headers.get("ETag", "")
    # If-Range needs a strong validator; a weak one promises only similar content.
    return response.headers.get("Last-Modified", "") if etag[:2] in ("", "W/") else etag


def _reason(error: requests.RequestException | ValueError, timeout: float) -> str:
    """Returns a short phrase, because messages of requests contain object representations."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if not isinstance(error, requests.RequestException):
        return f"the server redirects to no address: {first_line(error, 80)}"
    return first_line(error)


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _validator_file(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(part.name + ".validator")


def _validator(part: pathlib.Path) -> str:
    """Returns the validator stored beside `part`; empty if it is missing or damaged."""
    try:
        text = _validator_file(part).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
    return text if text.isprintable() else ""


def _resumable(part: pathlib.Path, digest: str | None) -> int:
    """Returns how many bytes of `part` can be kept."""
    return _size(part) if digest is not None or _validator(part) else 0


def _discard(part: pathlib.Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(name: str, show: bool | None):
    """Yields a function of (bytes so far, bytes in total or None) that draws a progress bar."""
    with _notices.undisturbed() as stream:
        bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(24),
            rich_progress.DownloadColumn(),
            rich_progress.TransferSpeedColumn(),
            rich_progress.TimeRemainingColumn(),
            console=Console(file=stream),
            disable=not (stream.isatty() if show is None else show),
        )
        with bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
