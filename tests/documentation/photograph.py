"""Pictures of pages of a built site, as wide as a desktop screen and as a phone.

mkdocs build --site-dir SITE && python tests/documentation/photograph.py SITE FOLDER
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import browser

PAGES = (
    "",
    "models/",
    "gallery/",
    "benchmarks/",
    "guide/phone/",
    "guide/speech/",
    "guide/video/",
    "reference/layers/ResidualLSTM/",
    "reference/models/ResNet18/",
)
WIDTHS = {1280: 1400, browser.PHONE: 1800}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("pages", nargs="*", default=PAGES, help="such as guide/speech/")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for page in options.pages:
        for width, height in WIDTHS.items():
            name = f"{page.strip('/').replace('/', '-') or 'start'}-{width}.png"
            browser.photograph(options.site, f"/{page}", options.folder / name, width, height)
            print(options.folder / name)


if __name__ == "__main__":
    main()
