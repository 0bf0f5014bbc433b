"""Imported first: says whether the command `keras-residual` runs, whose start must be quick."""

import pathlib
import sys

IS_COMMAND = pathlib.Path(sys.argv[0]).stem == "keras-residual"
