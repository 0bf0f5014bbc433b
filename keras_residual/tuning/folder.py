"""The folder of a search, and the check that a resumed search is the same one."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from keras_residual._files import write_text
from keras_residual.tuning import recovery
from keras_residual.tuning.lineage import RETRAINED
from keras_residual.tuning.result import BEST, TRIALS

SEARCH, _SETTINGS = "search", "search.json"
# Settings that earlier versions did not write, with the values that they implied.
_LATER = {"inherit": False, "early_stopping": None}


def identity(settings: dict[str, Any]) -> str:
    """Returns an identifier of the search with these settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(output: Path, settings: dict[str, Any], resume: bool) -> list[str]:
    """Deletes the search in a folder, or checks that it has these settings.

    A damaged or missing `search.json` is rewritten if the oracle's file identifies this search.

    Args:
        output: The folder.
        settings: The settings that identify the search.
        resume: Whether to resume the search in the folder.

    Returns:
        Messages for the user.

    Raises:
        ValueError: If the folder holds another search, or one that cannot be identified.
    """
    path, lines = output / _SETTINGS, []
    if not resume:
        shutil.rmtree(output / SEARCH, ignore_errors=True)
        for name in (_SETTINGS, BEST, TRIALS, RETRAINED):
            (output / name).unlink(missing_ok=True)
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError(f"it holds a {type(before).__name__}")
    except FileNotFoundError:
        before, damage = None, "is missing"
    except (OSError, ValueError, RecursionError) as error:
        before, damage = None, f"is damaged ({error})"
    if before is not None:
        _check_same(output, before, settings)
    elif recovery.is_begun(output / SEARCH):
        if _kept_identity(output / SEARCH) != identity(settings):
            raise ValueError(
                f"{path} {damage}, so the search in {output} cannot be identified. Choose another "
                "output, or start over with resume=False."
            )
        lines.append(f"{path} {damage} and was rewritten; the folder holds this search")
    write_text(path, json.dumps(settings, indent=2) + "\n")
    return lines


def _check_same(output, before, settings):
    before = {**_LATER, **before}
    other = [name for name in settings if before.get(name) != _plain(settings[name])]
    if other:
        differences = ", ".join(other)
        raise ValueError(
            f"{output} holds another search: {differences} differ. Choose another output, or start "
            "over with resume=False."
        )


def _plain(value):
    """Returns a value after a round trip through JSON, which turns tuples into lists."""
    return json.loads(json.dumps(value))


def _kept_identity(search):
    """Returns the identifier of the search in the oracle's file, `None` if it is unreadable."""
    try:
        return json.loads((search / "oracle.json").read_text(encoding="utf-8"))["keras_residual"][
            "search"
        ]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
