"""Docstrings that take the description of shared arguments from another docstring.

An argument that many classes share is described once, where it is checked. The docstring of a class
that passes it on ends its list of arguments with a line such as

    **kwargs: Those of `BlockLayer`.

which `completed` replaces by the arguments of `BlockLayer` that the class does not describe itself.
So `help`, and the reference made from it, list all arguments of every public class.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

# Sections in the order of a docstring.
_SECTIONS = ("Args", "Call arguments", "Returns", "Raises", "Example", "Reference")
_HEADING = re.compile(rf"^({'|'.join(_SECTIONS)}):$", re.MULTILINE)
_REFERENCE = re.compile(r"^    \*\*\w+: Those of (.+)\.$", re.MULTILINE)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_ARGUMENT = re.compile(r"^    (?=\S)", re.MULTILINE)


def completed(text: str | None, others: Mapping[str, str | None]) -> str | None:
    """Returns a docstring with the arguments and sections that it takes from others.

    Args:
        text: The docstring. Without a line `**kwargs: Those of …` it is returned unchanged.
        others: Complete docstrings by the names that such a line may give. Sections on call
            arguments, results and errors that `text` lacks are taken from them too.

    Raises:
        KeyError: If the line names a docstring that `others` lacks.
    """
    sections = _sections(text or "")
    reference = _REFERENCE.search(sections.get("Args", ""))
    if reference is None:
        return text
    sections["Args"] = sections["Args"].replace(reference[0], "")
    shared = [_sections(others[name] or "") for name in re.findall(r"`(\w+)`", reference[1])]
    arguments = {}
    for place in (sections, *shared):
        for argument in _ARGUMENT.split(place.get("Args", ""))[1:]:
            arguments.setdefault(argument.partition(":")[0], argument.rstrip())
    sections["Args"] = "\n".join(f"    {argument}" for argument in arguments.values())
    for place in shared:
        for name in ("Call arguments", "Returns", "Raises"):
            if name in place:
                sections.setdefault(name, place[name])
    return _joined(sections)


def documented_like(other: Callable[..., Any]) -> Callable[[_Function], _Function]:
    """Decorator that completes a docstring from that of a function with the same arguments.

    Args:
        other: The function whose sections on arguments, results and errors stand in for those that
            the docstring lacks.
    """

    def complete(function):
        sections, shared = _sections(function.__doc__ or ""), _sections(other.__doc__ or "")
        for name in ("Args", "Returns", "Raises"):
            if name in shared:
                sections.setdefault(name, shared[name])
        function.__doc__ = _joined(sections)
        return function

    return complete


def _joined(sections: Mapping[str, str]) -> str:
    """Returns the docstring made of these sections."""
    described = [f"{name}:\n{sections[name]}" for name in _SECTIONS if name in sections]
    return "\n\n".join([sections[""], *described])


def _sections(text: str) -> dict[str, str]:
    """Returns a docstring's sections by heading; the text before them has the key `""`."""
    start, *parts = _HEADING.split(inspect.cleandoc(text))
    pairs = zip(("", *parts[::2]), (start, *parts[1::2]), strict=True)
    return {name: body.strip("\n") for name, body in pairs}
