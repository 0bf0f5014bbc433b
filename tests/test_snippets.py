"""Every Python snippet of README and documentation runs in a fresh interpreter."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import tables

FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Pictures that snippets name and a reader has.
PICTURES = {"photo.jpg": (96, 64), "photos/ants/1.jpg": (64, 64), "photos/bees/1.jpg": (64, 48)}


def snippets():
    """Yields the snippets of README first, then those of the documentation, as slow tests."""
    for page in [tables.ROOT / "README.md", *sorted((tables.ROOT / "docs").rglob("*.md"))]:
        marks = () if page.name == "README.md" else pytest.mark.slow
        for number, code in enumerate(FENCE.findall(page.read_text(encoding="utf-8")), start=1):
            yield pytest.param(code, id=f"{page.stem}-{number}", marks=marks)


@pytest.fixture
def pictures(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    for name, size in PICTURES.items():
        for copy in range(8 if "/" in name else 1):
            path = tmp_path / name.replace("1.jpg", f"{copy}.jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            image_module.effect_noise(size, 40 + copy).convert("RGB").save(path)
    return tmp_path


def test_no_snippet_needs_the_names_of_another(tmp_path):
    """Without running them, which takes minutes."""
    ruff = shutil.which("ruff") or pytest.skip("ruff is not installed")
    for number, snippet in enumerate(snippets()):
        (tmp_path / f"{number:03}-{snippet.id}.py").write_text(snippet.values[0], encoding="utf-8")
    command = [ruff, "check", "--isolated", "--select", "F821", "--output-format", "concise"]
    result = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((tables.ROOT / "docs" / "notebooks").glob("*.py")), ids=lambda path: path.stem
)
def test_notebook_runs(path, tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("code", list(snippets()))
def test_snippet_runs_in_a_fresh_interpreter(code, pictures):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=pictures,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
