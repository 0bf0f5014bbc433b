"""The version is defined in one place, and everything else that states it agrees."""

import re
import tomllib

import tables

import keras_residual

ROOT = tables.ROOT


def test_version_of_citation_and_changelog():
    version = keras_residual.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" in project["dynamic"] and "version" not in project
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, (latest, date) = (
        changes.index("## [Unreleased]"),
        re.search(r"^## \[(\d+\.\d+\.\d+)] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE).groups(),
    )
    assert unreleased < changes.index(f"## [{latest}]")
    assert latest == version
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == version
    assert re.search(r'^date-released: "(.*)"$', citation, re.MULTILINE)[1] == date


def test_every_release_of_the_changelog_has_its_address():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^]]+)]", changes, re.MULTILINE)
    assert headings == re.findall(r"^\[([^]]+)]: http", changes, re.MULTILINE)
