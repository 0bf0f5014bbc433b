"""Imported first: keeps the `keras-residual` command's terminal free of TensorFlow's greetings.

TensorFlow's libraries write to standard error while they load, before any setting of theirs is
read. As a library the package leaves that alone.
"""

import os
import pathlib
import sys


def _import_keras_silently():
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


if pathlib.Path(sys.argv[0]).stem == "keras-residual":
    _import_keras_silently()
