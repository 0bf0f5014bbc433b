"""The folder of a search: which search it holds, and whether another may go on there."""

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
# Settings that earlier searches did not name, with what they did.
_LATER = {"inherit": False, "early_stopping": None}


def identity(settings: dict[str, Any]) -> str:
    """Returns an identifier of the search with these settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare(output: Path, settings: dict[str, Any], resume: bool) -> list[str]:
    """Removes the search in a folder, or makes sure that it is the one with these settings.

    A damaged or absent `search.json` is written again if the search beside it is known to be this.

    Args:
        output: The folder.
        settings: What identifies the search.
        resume: Whether to go on with what is there.

    Returns:
        What the user should know, in lines.

    Raises:
        ValueError: If another search is there, or nobody can tell which.
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
                f"{path} {damage}, so that nobody can tell whether {output} holds this search. "
                "Choose another output, or start anew with resume=False."
            )
        lines.append(f"{path} {damage}; it is written again, as the search beside it is this one")
    write_text(path, json.dumps(settings, indent=2) + "\n")
    return lines


def _check_same(output, before, settings):
    before = {**_LATER, **before}
    other = [name for name in settings if before.get(name) != _plain(settings[name])]
    if other:
        differences = ", ".join(other)
        raise ValueError(
            f"{output} holds another search: {differences} differ. Choose another output, or start "
            "anew with resume=False."
        )


def _plain(value):
    """Returns a value as JSON gives it back, with lists in place of tuples."""
    return json.loads(json.dumps(value))


def _kept_identity(search):
    """Returns what the oracle's file says that the search is, if it can be read."""
    try:
        return json.loads((search / "oracle.json").read_text(encoding="utf-8"))["keras_residual"][
            "search"
        ]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
