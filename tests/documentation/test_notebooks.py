"""The pages of the notebooks show what their code prints, and jupytext reads the same cells."""

import pytest
import tables
from record_notebooks import notebooks

NOTEBOOKS = notebooks()
each = pytest.mark.parametrize("path", NOTEBOOKS.paths(), ids=lambda path: path.stem)


@each
def test_page_shows_what_the_present_code_printed(path):
    """If it fails: `python tests/record_notebooks.py`."""
    run = NOTEBOOKS.kept_outputs()[path.stem]
    assert run["code"] == NOTEBOOKS.code_hash(path)
    assert len(run["outputs"]) == len(NOTEBOOKS.code_of(path))
    page = NOTEBOOKS.page_of(path)
    for output in run["outputs"]:
        assert all(line in page for line in output["printed"])
        if output["picture"]:
            name = f"notebook_{path.stem}.png"
            assert f"../images/{name}" in page
            assert 1000 < (tables.ROOT / "docs" / "images" / name).stat().st_size < 400_000


def test_hash_of_code_ignores_its_formatting(tmp_path):
    texts = ("x = [1,\n2]", "x = [1, 2]", "x = [1, 3]")
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.py").write_text(f"# %% [markdown]\n# A.\n\n# %%\n{text}\n")
    hashes = [NOTEBOOKS.code_hash(tmp_path / f"{number}.py") for number in range(3)]
    assert hashes[0] == hashes[1] != hashes[2]


@each
def test_jupytext_reads_the_same_cells(path):
    jupytext = pytest.importorskip("jupytext")
    read = [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
    assert read == NOTEBOOKS.cells(path)
