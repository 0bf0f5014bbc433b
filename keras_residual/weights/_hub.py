"""Files of Hugging Face repositories, through huggingface_hub and its own cache."""

import contextlib
import dataclasses
import functools
import pathlib
import re

import requests

from keras_residual.weights import _digests
from keras_residual.weights.download import DownloadError
from keras_residual.weights.errors import WeightsError, first_line

_ADDRESS = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w./-]+))?(?:@(?P<revision>[\w./-]+))?"
)
# What repositories of image models call their weights, the safe format first.
_DEFAULT_FILES = ("model.safetensors", "pytorch_model.bin", "model.weights.h5")


@dataclasses.dataclass(frozen=True)
class Address:
    """The parts of `hf://owner/name[/file][@revision]`."""

    repository: str
    file: str | None
    revision: str | None

    @property
    def files(self) -> tuple[str, ...]:
        """The files to try, in order."""
        return (self.file,) if self.file else _DEFAULT_FILES

    @property
    def relative_path(self) -> pathlib.PurePosixPath:
        revision = f"@{self.revision.replace('/', '-')}" if self.revision else ""
        return pathlib.PurePosixPath(self.repository + revision, self.files[0])


def parse(location: str) -> Address:
    """Returns the parts of an `hf://` address."""
    match = _ADDRESS.fullmatch(location)
    if match is None or ".." in location:
        raise ValueError(
            "`source` must have the form 'hf://owner/name', 'hf://owner/name/file' or either with "
            f"'@revision'. Received: source={location!r}"
        )
    return Address(match["repository"], match["file"], match["revision"])


def fetch(location: str, by_hand: pathlib.Path, timeout: float = 10.0) -> pathlib.Path:
    """Returns the path of a repository's weight file in huggingface_hub's cache.

    A file that is in the cache stays in use, also when the repository has a newer one.

    Args:
        location: `hf://owner/name[/file][@revision]`; without a file, `model.safetensors` or else
            `pytorch_model.bin` or `model.weights.h5`.
        by_hand: Where a user without a network may put the file, for the error message.
        timeout: Seconds to wait for the server's answer. Defaults to `10`.

    Raises:
        DownloadError: If the file cannot be had, in one line.
        ImportError: If huggingface_hub is not installed.
    """
    try:
        import huggingface_hub as hub
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise ImportError(
            f"Downloading {location} needs huggingface_hub: pip install 'keras-residual[hub]'"
        ) from error
    address = parse(location)
    get = functools.partial(
        hub.hf_hub_download, address.repository, revision=address.revision, etag_timeout=timeout
    )
    for file in address.files:
        with contextlib.suppress(errors.LocalEntryNotFoundError):
            return _checked(get(file, local_files_only=True), location)
    try:
        # hf_hub_download alone tries for half a minute before it gives up without a network.
        requests.head(constants.ENDPOINT, timeout=timeout)
        for file in address.files:
            with contextlib.suppress(errors.RemoteEntryNotFoundError):
                return _checked(get(file), location)
        raise FileNotFoundError(f"it has no {' or '.join(address.files)}")
    # Which HTTP library raises, and what, changes with huggingface_hub's versions.
    except Exception as error:
        offline = isinstance(error, requests.RequestException | errors.LocalEntryNotFoundError)
        reason = "no connection" if offline else first_line(error)
        branch = address.revision or "main"
        url = f"{constants.ENDPOINT}/{address.repository}/resolve/{branch}/{address.files[0]}"
        raise DownloadError(
            f"cannot download {url} ({reason}); get it by other means and put it at {by_hand}"
        ) from error


def _checked(path: str, location: str) -> pathlib.Path:
    """Compares a large file with its SHA-256, under which huggingface_hub stores it."""
    stored = pathlib.Path(path).resolve()
    digest = f"sha256:{stored.name}"
    if re.fullmatch(r"sha256:[0-9a-f]{64}", digest) and not _digests.matches(stored, digest):
        raise WeightsError(f"{location}: damaged in the cache; delete {stored}")
    return pathlib.Path(path)
