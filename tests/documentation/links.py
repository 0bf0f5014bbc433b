"""Broken links, anchors and pictures of a built site."""

import functools
import html.parser
import pathlib
import urllib.parse

# Where each kind of element names another file.
_ADDRESSES = {
    "a": "href",
    "area": "href",
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}


class _Page(html.parser.HTMLParser):
    """The links of a page, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.update(values[name] for name in ("id", "name") if values.get(name))
        address = values.get(_ADDRESSES.get(tag))
        if address is not None:
            self.addresses.append(address)


def broken(root):
    """Returns a line for each broken address within a site.

    Args:
        root: Folder of the site. Addresses with a scheme or a host are those of other sites, and
            are not followed.
    """
    root = pathlib.Path(root).resolve()
    read = functools.cache(lambda path: _Page(path.read_text(encoding="utf-8")))
    lines = []
    for path in sorted(root.rglob("*.html")):
        for address in dict.fromkeys(read(path).addresses):
            if reason := _fault(root, path, address, read):
                lines.append(f"{path.relative_to(root)}: {address} {reason}")
    return lines


def _fault(root, page, address, read):
    parts = urllib.parse.urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    path = urllib.parse.unquote(parts.path)
    start = root if path.startswith("/") else page.parent
    target = (start / path.lstrip("/")).resolve() if path else page
    if not target.is_relative_to(root):
        return "leads out of the site"
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "leads to no file"
    anchor = urllib.parse.unquote(parts.fragment)
    # "#" alone and "#top" mean the top of a page.
    if anchor in ("", "top") or target.suffix != ".html" or anchor in read(target).anchors:
        return None
    return "leads to no anchor"
