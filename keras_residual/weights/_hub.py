"""Files of Hugging Face repositories, through huggingface_hub and its own cache."""

import contextlib
import dataclasses
import functools
import pathlib
import re
from collections.abc import Callable

import requests

from keras_residual import _notices
from keras_residual.weights import _digests
from keras_residual.weights.download import DownloadError
from keras_residual.weights.errors import WeightsError, first_line

_ADDRESS = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w./-]+))?(?:@(?P<revision>[\w./-]+))?"
)
# Common names of weight files in repositories of image models, the safe format first.
DEFAULT_FILES = ("model.safetensors", "pytorch_model.bin", "model.weights.h5")
CONFIGURATION = "config.json"


@dataclasses.dataclass(frozen=True)
class Address:
    """The parts of `hf://owner/name[/file][@revision]`."""

    repository: str
    file: str | None
    revision: str | None

    @property
    def files(self) -> tuple[str, ...]:
        """The files to try, in order."""
        return (self.file,) if self.file else DEFAULT_FILES

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


def fetch(
    location: str,
    by_hand: pathlib.Path,
    timeout: float = 10.0,
    announce: Callable[[str | None], None] = lambda licence: None,
) -> pathlib.Path:
    """Returns the path of a repository's weight file in huggingface_hub's cache.

    A cached file stays in use even if the repository has a newer one.

    Args:
        location: `hf://owner/name[/file][@revision]`; without a file, `model.safetensors` or else
            `pytorch_model.bin` or `model.weights.h5`.
        by_hand: Path at which a user without a network may put the file, for the error message; the
            hub's hash is stored beside it.
        timeout: Seconds to wait for the server's response. Defaults to `10`.
        announce: Called before a download with the licence that the repository's card states.

    Raises:
        DownloadError: If the file cannot be downloaded, in one line.
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
            return _checked(get(file, local_files_only=True), location, by_hand)
    try:
        # Without a network hf_hub_download alone retries for half a minute.
        requests.head(constants.ENDPOINT, timeout=timeout)
        announce(_licence(address, timeout))
        for file in address.files:
            with contextlib.suppress(errors.RemoteEntryNotFoundError):
                digest = _published_digest(address, file, timeout)
                # The hub's library draws its progress on standard error.
                with _notices.undisturbed() as stream, contextlib.redirect_stderr(stream):
                    path = get(file)
                _note(by_hand, digest)
                # It holds the preprocessing of the weights; not every repository has one.
                with contextlib.suppress(errors.EntryNotFoundError):
                    get(CONFIGURATION)
                return _checked(path, location, by_hand)
        raise FileNotFoundError(f"it has no {' or '.join(address.files)}")
    except WeightsError:
        raise
    # The HTTP library, and so the exceptions, depend on the version of huggingface_hub.
    except Exception as error:
        offline = isinstance(error, requests.RequestException | errors.LocalEntryNotFoundError)
        reason = "no connection" if offline else first_line(error)
        branch = address.revision or "main"
        url = f"{constants.ENDPOINT}/{address.repository}/resolve/{branch}/{address.files[0]}"
        raise DownloadError(
            f"cannot download {url} ({reason}); get it by other means and put it at {by_hand}"
        ) from error


def _licence(address: Address, timeout: float) -> str | None:
    """Returns the licence that a repository's card states, or `None`."""
    import huggingface_hub as hub

    try:
        api = hub.HfApi(endpoint=hub.constants.ENDPOINT)
        card = api.model_info(address.repository, timeout=timeout).card_data
    # The licence is optional: if the card cannot be read, the download continues without it.
    except Exception:
        return None
    return None if card is None else card.get("license")


def _published_digest(address: Address, file: str, timeout: float) -> str | None:
    """Returns the SHA-256 by which the hub stores a large file, `None` for small ones."""
    import huggingface_hub as hub

    url = hub.hf_hub_url(address.repository, file, revision=address.revision)
    etag = hub.get_hf_file_metadata(url, timeout=timeout).etag or ""
    return f"sha256:{etag}" if re.fullmatch(r"[0-9a-f]{64}", etag) else None


def _note(by_hand: pathlib.Path, digest: str | None) -> None:
    """Stores the hub's hash, because its cache names files after it only on some file systems."""
    if digest is not None:
        by_hand.parent.mkdir(parents=True, exist_ok=True)
        text = f"{digest.partition(':')[2]}  {by_hand.name}\n"
        _note_of(by_hand).write_text(text, encoding="utf-8")


def _note_of(by_hand: pathlib.Path) -> pathlib.Path:
    return by_hand.with_name(by_hand.name + ".hub.sha256")


def _checked(path: str, location: str, by_hand: pathlib.Path) -> pathlib.Path:
    """Compares a file with the hub's SHA-256, which is its name in the cache or was stored."""
    stored, note = pathlib.Path(path).resolve(), _note_of(by_hand)
    found = re.fullmatch(r"[0-9a-f]{64}", stored.name)
    if found is None and note.is_file():
        found = re.match(r"[0-9a-f]{64}", note.read_text(encoding="utf-8", errors="replace"))
    if found is not None and not _digests.matches(stored, f"sha256:{found[0]}"):
        raise WeightsError(f"{location}: damaged in the cache; delete {stored}")
    return pathlib.Path(path)
