"""Docstrings as the reference shows them: an extension of Griffe, which mkdocstrings reads them by.

Examples become Python that can be pasted, with imports and with results as comments. Call
arguments, a section of Keras that Griffe does not know, become a list, and what is returned a
paragraph, where mkdocstrings would show a list of one nameless item.
"""

import ast
import builtins
import doctest
import importlib
import re
import textwrap

import griffe

_FLAG = re.compile(r" *# doctest: .*$", re.MULTILINE)
_SECTION = r"^{}:\n((?:    .*\n|\n(?=    ))*(?:    .*\n?)?)"
_CALL_ARGUMENTS = re.compile(_SECTION.format("Call arguments"), re.MULTILINE)
_RETURNS = re.compile(_SECTION.format("(Returns|Yields)"), re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w[\w, *]*):(?=\s)", re.MULTILINE)
_IMPORTS = {"keras": "import keras", "keras_residual": "import keras_residual"}
_IMPORTS |= {name: f"import {name}" for name in ("torch", "torchvision")}
_IMPORTS |= {"np": "import numpy as np", "ops": "from keras import ops"}
_ROOMS = ("layers", "models", "weights", "data", "training", "tuning", "export", "inference")
_ROOMS += ("analysis",)


class Readable(griffe.Extension):
    """Rewrites all docstrings of a package once it is loaded."""

    def on_package(self, *, pkg: griffe.Module, **kwargs) -> None:
        _rewrite(pkg)


def _rewrite(member):
    if member.docstring is not None:
        member.docstring.value = readable(member.docstring.value)
    for inner in member.members.values():
        if not inner.is_alias:
            _rewrite(inner)


def readable(text: str) -> str:
    """Returns a docstring with its examples and its call arguments in Markdown."""
    text = _CALL_ARGUMENTS.sub(_listed, text)
    text = _RETURNS.sub(lambda found: f"{_title(found[1])}\n\n{textwrap.dedent(found[2])}", text)
    text = re.sub(r"^(Examples?):$", lambda found: _title(found[1]), text, flags=re.MULTILINE)
    return _fenced(text)


def _title(words):
    return f'<p><span class="doc-section-title">{words}:</span></p>'


def _listed(found):
    entries = _ENTRY.sub(r"- **`\1`** –", textwrap.dedent(found[1]))
    return f"{_title('Call arguments')}\n\n{entries}"


def _fenced(text):
    """Puts each run of `>>>` lines and their results between fences."""
    lines, result = text.splitlines(), []
    while lines:
        if not lines[0].lstrip().startswith(">>> "):
            result.append(lines.pop(0))
            continue
        margin = re.match(" *", lines[0])[0]
        block = []
        while lines and (lines[0].strip() or _continues(lines)):
            block.append(lines.pop(0))
        code = f"```python\n{pasteable(textwrap.dedent(chr(10).join(block)))}\n```"
        result += textwrap.indent(code, margin).splitlines()
    return "\n".join(result)


def _continues(lines):
    return len(lines) > 1 and lines[1].lstrip().startswith(">>> ")


def pasteable(session: str) -> str:
    """Returns the program of a doctest, its imports first, its results as comments."""
    examples = doctest.DocTestParser().get_examples(_FLAG.sub("", session) + "\n")
    parts = []
    for example in examples:
        parts.append(example.source.rstrip("\n"))
        parts += [f"# {line}".rstrip() for line in example.want.splitlines()]
    imports = _imports("".join(example.source for example in examples))
    return "\n".join([*imports, *([""] if imports else []), *parts])


def _imports(code):
    """Returns lines that import what a program uses and does not make."""
    used = unknown_names(code)
    lines = [_IMPORTS[name] for name in sorted(used) if name in _IMPORTS]
    rooms = sorted(name for name in used if name in _ROOMS)
    if rooms:
        lines.append(f"from keras_residual import {', '.join(rooms)}")
    used -= set(_ROOMS) | set(_IMPORTS)
    for room in _ROOMS:
        public = set(importlib.import_module(f"keras_residual.{room}").__all__)
        if found := sorted(used & public):
            lines.append(f"from keras_residual.{room} import {', '.join(found)}")
            used -= public
    return sorted(lines, key=lambda line: (line.startswith("from"), line))


def unknown_names(code: str) -> set[str]:
    """Returns the names that a program uses and neither makes nor imports."""
    used, made = set(), set(dir(builtins))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.alias):
            made.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
    return used - made
