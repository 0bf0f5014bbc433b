"""What `pytest --junit-xml` has written."""

from pathlib import Path

ROOT = Path(__file__).parent.parent


def node(case) -> str:
    """Returns a test as pytest names it: FILE::NAME, or FILE for a module skipped as a whole."""
    parts = [*filter(None, case.get("classname", "").split("."))] or case.get("name").split(".")
    for length in range(len(parts), 0, -1):
        path = Path(*parts[:length]).with_suffix(".py")
        if (ROOT / path).is_file():
            names = [*parts[length:], case.get("name")] if case.get("classname") else []
            return "::".join([path.as_posix(), *names])
    raise SystemExit(f"No file of the test {case.attrib}.")
