"""File hashes, written `algorithm:hexadecimal`; a prefix of the hexadecimal part is enough."""

import hashlib
import pathlib
import re

from keras_residual.weights.errors import WeightsError

# torchvision's file names carry eight digits, the shortest prefix that is published.
_PATTERN = re.compile(r"(sha256|md5):([0-9a-f]{8,64})")


def digest_of(path: str | pathlib.Path, algorithm: str = "sha256") -> str:
    """Returns the hash of a whole file as `algorithm:hexadecimal`."""
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def check_form(digest: object) -> re.Match:
    """Returns the parts of a digest, or raises a ValueError if it is malformed."""
    match = _PATTERN.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise ValueError(
            "`digest` must be 'sha256:' or 'md5:' and at least 8 lowercase hexadecimal digits. "
            f"Received: digest={digest!r}"
        )
    return match


def matches(path: str | pathlib.Path, digest: str) -> bool:
    """Returns whether the file's hash begins with `digest`."""
    return digest_of(path, check_form(digest)[1]).startswith(digest)


def check(path: str | pathlib.Path, digest: str) -> None:
    """Raises a WeightsError unless the file's hash begins with `digest`."""
    if not matches(path, digest):
        actual = digest_of(path, digest.partition(":")[0])
        raise WeightsError(f"{path}: damaged or another file; expected {digest}, found {actual}")
