"""What the public names of the package lack in annotations, read from the source by `ast`.

    python tests/public_annotations.py

prints each public function, method and constructor that is not annotated in full.
"""

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "keras_residual"
ROOMS = ("analysis", "data", "export", "inference", "layers", "models", "training", "tuning",
         "weights")  # fmt: skip


@functools.cache
def tree_of(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def definition(module: str, name: str) -> tuple[str, ast.AST] | None:
    """Returns where a name is defined and its node, `None` if it is no function or class here."""
    tree = tree_of(module)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return module, node
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_residual"):
            for alias in node.names:
                if name == (alias.asname or alias.name) and node.module != module:
                    return definition(node.module, alias.name)
    return None


def bases_of(module: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yields a class of this package and those that it inherits from."""
    yield module, node
    for base in node.bases:
        if isinstance(base, ast.Name):
            found = definition(module, base.id)
            if found and isinstance(found[1], ast.ClassDef):
                yield from bases_of(*found)


def functions_of(module: str, node: ast.AST) -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """Yields the module, the title and the node of each public function of a public object."""
    if isinstance(node, ast.FunctionDef):
        yield module, node.name, node
        return
    for where, owner in bases_of(module, node):
        for part in owner.body:
            is_public = isinstance(part, ast.FunctionDef) and (
                not part.name.startswith("_") or part.name in ("__init__", "__call__")
            )
            if is_public:
                yield where, f"{owner.name}.{part.name}", part


def missing_of(function: ast.FunctionDef, is_method: bool) -> list[str]:
    """Returns the arguments without an annotation, and `return`."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod"
                 for d in function.decorator_list)  # fmt: skip
    given = given[is_method and not static :]
    given += [*arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    lacking = [item.arg for item in given if item is not None and item.annotation is None]
    # A constructor with an annotated argument returns None, as type checkers know.
    if function.returns is None and not (function.name == "__init__" and any(given)):
        lacking.append("return")
    return lacking


def public_names(room: str) -> list[tuple[str, str]]:
    """Returns the public names of a room with the modules that give them."""
    module = f"keras_residual.{room}"
    if room == "models":
        paths = sorted((PACKAGE / "models").glob("*.py"))
        return [
            (f"{module}.{path.stem}", node.name)
            for path in paths
            for node in tree_of(f"{module}.{path.stem}").body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_builder(node)
        ] + [(module, name) for name in _imported(module)]
    for node in tree_of(module).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [(module, name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"{module} has no `__all__`")


def _is_builder(node) -> bool:
    return any(
        getattr(d.func if isinstance(d, ast.Call) else d, "id", "") == "builder"
        for d in node.decorator_list
    )


def _imported(module: str) -> list[str]:
    return [
        alias.asname
        for node in tree_of(module).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    ]


def functions() -> dict[tuple[str, str], ast.FunctionDef]:
    """Returns every public function, method and constructor by module and title."""
    found = {}
    for room in ROOMS:
        for module, name in public_names(room):
            where = definition(module, name)
            if where is not None:
                for inner, title, node in functions_of(*where):
                    found[inner, title] = node
    return found


def incomplete() -> dict[str, list[str]]:
    """Returns what each function lacks, by `module:title`; complete ones are left out."""
    found = {
        f"{module}:{title}": missing_of(node, "." in title)
        for (module, title), node in functions().items()
    }
    return {title: lacking for title, lacking in found.items() if lacking}


if __name__ == "__main__":
    lacking = incomplete()
    for title, names in lacking.items():
        print(title, *names)
    print(f"{len(functions()) - len(lacking)} of {len(functions())}", file=sys.stderr)
