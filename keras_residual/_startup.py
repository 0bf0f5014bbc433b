"""Imported first: detects the command `keras-residual`, which must start quickly."""

import pathlib
import sys

_MODULES = ("keras_residual", "keras_residual.cli")


def _is_command() -> bool:
    """Returns whether this process is `keras-residual`, or `python -m keras_residual`."""
    if pathlib.Path(sys.argv[0]).stem == "keras-residual":
        return True
    # Python sets the first argument to "-m" until it has found the module.
    if sys.argv[0] != "-m" or "-m" not in sys.orig_argv:
        return False
    return sys.orig_argv[sys.orig_argv.index("-m") + 1] in _MODULES


IS_COMMAND = _is_command()
