"""The documentation as it is published, built once."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest
import tables


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Returns the folder of the built site; `KERAS_RESIDUAL_SITE` names one that is built."""
    if built := os.environ.get("KERAS_RESIDUAL_SITE"):
        return pathlib.Path(built)
    for package in ("mkdocs", "mkdocstrings", "mkdocs_gen_files", "mkdocs_literate_nav"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'{package} is not installed: pip install "keras-residual[docs]"')
    folder = tmp_path_factory.mktemp("built") / "site"
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=tables.ROOT,
        env={**os.environ, "DISABLE_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
    )
    # A warning ends a strict build.
    assert result.returncode == 0, result.stderr[-3000:]
    return folder
