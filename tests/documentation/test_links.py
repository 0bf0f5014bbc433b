"""No link within the documentation is broken."""

import re

import pytest
import tables
from documentation import links

PAGE = """<h1 id="top-1">A page</h1>
<a href="https://example.org/missing">elsewhere</a> <a href="mailto:a@example.org">mail</a>
<a href="#">top</a> <a href="#top-1">here</a> <a href="other/#caf%C3%A9">there</a>
<a href="/other/">from the root</a> <a href="other/index.html?q=1#caf%C3%A9">with a query</a>
<img src="a%20picture.png"> <link href="style.css">
"""
FAULTS = {
    '<a href="#nowhere">': "#nowhere leads to no anchor",
    '<a href="other/#nowhere">': "other/#nowhere leads to no anchor",
    '<a href="missing/">': "missing/ leads to no file",
    '<a href="/missing">': "/missing leads to no file",
    '<a href="empty/">': "empty/ leads to no file",
    '<a href="../beyond.html">': "../beyond.html leads out of the site",
    '<img src="missing.png">': "missing.png leads to no file",
    '<script src="missing.js"></script>': "missing.js leads to no file",
}


@pytest.fixture
def small_site(tmp_path):
    root = tmp_path / "site"
    (root / "other").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "other" / "index.html").write_text('<a name="café">', encoding="utf-8")
    (root / "index.html").write_text(PAGE, encoding="utf-8")
    for name in ("a picture.png", "style.css", "../beyond.html"):
        (root / name).write_text("")
    return root


def test_what_leads_somewhere_is_no_fault(small_site):
    assert links.broken(small_site) == []


@pytest.mark.parametrize(("element", "fault"), FAULTS.items(), ids=FAULTS.values())
def test_what_leads_nowhere_is_found(small_site, element, fault):
    (small_site / "index.html").write_text(PAGE + element, encoding="utf-8")
    assert links.broken(small_site) == [f"index.html: {fault}"]


ADDRESS = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# MkDocs checks those of the site when it builds it.
PAGES = sorted([*tables.ROOT.glob("*.md"), *(tables.ROOT / "saved_models").rglob("*.md")])


def anchors_of(page):
    """Returns the anchors that GitHub gives to the headings of a page."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(tables.ROOT)))
def test_pages_outside_the_site_lead_somewhere(page):
    faults = []
    for address in ADDRESS.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = address.partition("#")
        if "://" in path:
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            faults.append(address)
    assert not faults
