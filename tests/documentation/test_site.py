"""The built site in a browser as wide as a phone."""

import json
import pathlib

import browser
import pytest
from documentation import links

pytestmark = pytest.mark.slow
# What a reader types, and the page that must be among the first results.
QUERIES = {
    "ResNet18": "/reference/models/ResNet18/",
    "resnet50": "/reference/models/ResNet50/",
    "ResidualLSTM": "/reference/layers/ResidualLSTM/",
    "EDSR": "/reference/models/EDSR/",
    "training.fit": "/guide/training/",
    "int8": "/guide/export/",
    "torchvision": "/guide/migrating/",
    "fine-tuning": "/guide/fine-tuning/",
}


def test_no_address_leads_nowhere(site):
    assert links.broken(site) == []


def test_every_public_object_is_in_the_search_index(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {document["location"].partition("#")[0] for document in index["docs"]}
    pages = {
        f"{path.parent.relative_to(site).as_posix()}/" for path in site.glob("reference/*/*/*.html")
    }
    assert "reference/models/ResNet18/" in pages
    assert not pages - places


@pytest.fixture(scope="module")
def looked(site):
    """Returns what Chromium found on every page, and by every search."""
    if browser.CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    paths = [f"/{path.relative_to(site).as_posix()}" for path in sorted(site.rglob("*.html"))]
    head = f"const PATHS = {json.dumps(paths)}, QUERIES = {json.dumps(list(QUERIES))};\n"
    program = pathlib.Path(__file__).with_name("look.js").read_text(encoding="utf-8")
    found = browser.look(site, head + program, browser.PHONE, timeout=900)
    assert [page["path"] for page in found["pages"]] == paths
    return found


def test_nothing_is_wider_than_a_phone(looked):
    wide = {
        page["path"]: (page["width"], page["cut"][:3])
        for page in looked["pages"]
        if page["width"] > browser.PHONE or page["cut"]
    }
    assert not wide


def test_every_picture_is_shown(looked):
    assert not [page for page in looked["pages"] if page["missing"]]


def test_code_can_be_copied(looked):
    assert sum(page["blocks"] for page in looked["pages"]) > 500
    assert not {page["path"]: page["uncopied"] for page in looked["pages"] if page["uncopied"]}


@pytest.mark.parametrize(("query", "expected"), QUERIES.items(), ids=QUERIES)
def test_search_finds(looked, query, expected):
    results = looked["results"][query]
    # The name of an object leads to its page first, other words at least among others.
    assert expected == results[0] if "/reference/" in expected else expected in results, results
