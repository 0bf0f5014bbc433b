"""The cache of downloaded weights."""

import contextlib
import errno
import functools
import hashlib
import os
import pathlib
import re
import urllib.parse

import filelock

from keras_residual import _checks, _notices
from keras_residual.weights import _digests, _hub, files
from keras_residual.weights.download import DownloadError, download
from keras_residual.weights.errors import WeightsError, first_line
from keras_residual.weights.sources import WeightSource, asset, forbids_commerce

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def cache_directory() -> pathlib.Path:
    """Returns `$KERAS_RESIDUAL_HOME`, or `~/.cache/keras_residual` if that is not set."""
    home = os.environ.get("KERAS_RESIDUAL_HOME")
    return pathlib.Path(home or "~/.cache/keras_residual").expanduser()


def cached_path(source: WeightSource | str) -> pathlib.Path:
    """Returns the path of a file in the cache, whether it exists or not.

    A published file keeps its name; put it there by hand on a machine without a network. Files
    included in the package stay there. Files of other URLs are in a folder named after the URL's
    hash, because their names may coincide.
    """
    if isinstance(source, WeightSource) and source.is_shipped:
        return pathlib.Path(str(asset(source.file_name)))
    folder = cache_directory() / "weights"
    location = source.location if isinstance(source, WeightSource) else source
    if location.startswith("hf://"):
        return folder / "hub" / _hub.parse(location).relative_path
    name = pathlib.PurePosixPath(urllib.parse.urlsplit(location).path).name
    if not name:
        raise ValueError(f"`source` must be the URL of a file. Received: source={source!r}")
    if isinstance(source, WeightSource):
        return folder / name
    return folder / hashlib.sha256(location.encode()).hexdigest()[:12] / name


def fetch(
    source: WeightSource | str, timeout: float = 10.0, progress: bool | None = None
) -> pathlib.Path:
    """Returns the path of a weight file on this machine, downloading it the first time.

    The file's hash is compared at every call: with the published one, or else with the one stored
    beside the file (`….sha256`) after its download; for a file of the hub with the hub's own.
    Concurrent processes wait for one download. A licence that forbids commercial use is shown on
    standard error before a download.

    Args:
        source: An entry of the table of sources, a URL, or `hf://owner/name[/file][@revision]`.
        timeout: Seconds to wait for a connection and for each piece of data. Defaults to `10`.
        progress: Whether to show a progress bar. Defaults to `None`: if standard error is a
            terminal.

    Returns:
        The path in the cache.

    Raises:
        DownloadError: If the file cannot be downloaded; one line that names the URL, the reason and
            where to put the file by hand.
        WeightsError: If the file in the cache, or in the package, has changed.
        ValueError: If `source` is not an address.

    Example:

    >>> fetch(find("ResNet18"))
    PosixPath('/home/me/.cache/keras_residual/weights/resnet18-f37072fd.pth')
    """
    _checks.real("timeout", timeout, 0.0, float("inf"), open_start=True, open_end=True)
    if progress is not None:
        _checks.boolean("progress", progress)
    location = source.location if isinstance(source, WeightSource) else source
    if isinstance(source, WeightSource) and source.is_shipped:
        return _shipped(source)
    if not isinstance(location, str) or not location.startswith(("https://", "http://", "hf://")):
        raise ValueError(
            "`source` must be a WeightSource, or an address that begins with https://, http:// or "
            f"hf://. Received: source={source!r}"
        )
    digest = source.digest if isinstance(source, WeightSource) else None
    target = cached_path(source)
    if _usable(target, digest):
        return target
    if location.startswith("hf://"):
        return _hub.fetch(location, target, timeout, _announcement(source, progress))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{target}.lock"):
            if not _usable(target, digest):
                _announcement(source, progress)(None)
                # A digest makes other checks unnecessary.
                check = None if digest else functools.partial(_check_content, target.name)
                download(location, target, digest, timeout, progress, check)
                _note_digest(target)
    except OSError as error:
        raise DownloadError(
            f"cannot download {location} to {target.parent} ({first_line(error)}); set "
            "KERAS_RESIDUAL_HOME to a folder that can be written"
        ) from error
    return target


def _announcement(source: WeightSource | str, progress: bool | None):
    """Returns a function that prints the source and the licence of a download.

    A licence that forbids commercial use is always shown, other lines only with the progress bar.
    """

    def tell(line: str) -> None:
        with _notices.undisturbed() as stream:
            print(line, file=stream, flush=True)

    def announce(licence: str | None) -> None:
        """Prints the line; `licence` is what the hub states for an address of no known source."""
        known = isinstance(source, WeightSource)
        licence = source.licence if known else licence
        if forbids_commerce(licence):
            tell(
                f"The licence of {source.name if known else source}, {licence}, forbids "
                "commercial use."
            )
        elif progress or (progress is None and _notices.stream().isatty()):
            what = source.name if known else source
            text = f"licence {licence}" if licence else "its licence is not known"
            tell(f"Downloading {what}: {text}")

    return announce


def _check_content(name: str, path: pathlib.Path, measured: bool) -> None:
    """Raises unless a download is a weight file, and complete if the server stated no length."""
    files.detect(path, name)
    if not measured:
        # Reading a format may need a package that is not installed.
        with contextlib.suppress(ImportError), files.opened(path):
            pass


def _shipped(source: WeightSource) -> pathlib.Path:
    path = cached_path(source)
    if not path.is_file() or not _digests.matches(path, source.digest):
        raise WeightsError(f"{path}: not as it came with the package; install it again")
    return path


def _usable(target: pathlib.Path, digest: str | None) -> bool:
    """Returns whether the cache has the file; a damaged copy with a known hash counts as absent."""
    if not target.is_file():
        return False
    if digest is not None:
        return _digests.matches(target, digest)
    noted = _note(target)
    if not noted.is_file():
        _note_digest(target)
        return True
    found = re.match(rb"[0-9a-f]{64}\b", noted.read_bytes()[:80])
    if found is None:
        raise WeightsError(
            f"{noted}: it should hold the SHA-256 of {target.name} and does not; delete it to "
            "accept the file as it is, or both to download it again"
        )
    if not _digests.matches(target, f"sha256:{found[0].decode()}"):
        raise WeightsError(
            f"{target}: changed since it was downloaded; delete it to download it again, "
            f"or {noted.name} to accept it"
        )
    return True


def _note(target: pathlib.Path) -> pathlib.Path:
    return target.with_name(target.name + ".sha256")


def _note_digest(target: pathlib.Path) -> None:
    """Writes the file's hash beside it, in the format of `sha256sum`."""
    hexadecimal = _digests.digest_of(target).partition(":")[2]
    temporary = target.with_name(f"{target.name}.sha256.{os.getpid()}")
    try:
        temporary.write_text(f"{hexadecimal}  {target.name}\n", encoding="utf-8")
        os.replace(temporary, _note(target))
    except OSError as error:
        # A shared cache may be read-only; it is used without a stored hash.
        if error.errno not in _READ_ONLY:
            raise
