"""Allowed imports between rooms, the cost of an import, and packages it must not load."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import pytest

import keras_residual
from keras_residual import analysis, training

PACKAGE = Path(keras_residual.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# Users like any other: the command line and the examples.
USERS = [
    *(PACKAGE / "cli").glob("*.py"),
    *(Path(__file__).parents[1] / "examples").rglob("*.py"),
]
UPPER = {"models", "layers"}
# What each room may import of the others; `models` loads weights lazily, inside a
# factory, and what `model_for` asks of a dataset.
ALLOWED = {
    "layers": set(),
    "_checks": set(),
    "_files": set(),
    "_description": set(),
    "_docstrings": set(),
    "_locks": set(),
    "_needs": set(),
    "_notices": set(),
    "_page": set(),
    "_randomness": set(),
    "_transcripts": set(),
    "_types": set(),
    "_words": set(),
    "models": {"layers"},
    "data": set(),
    "weights": {"layers"},
    "training": {"layers"},
    "analysis": UPPER,
    "export": {"layers", "models", "weights"},
    "inference": {"analysis", "data", "export", "models", "weights"},
    # A search runs the whole line, from data to files.
    "tuning": UPPER | {"analysis", "data", "export", "training"},
}
LAZY = {"models": {"data", "weights"}}
# Open to every room, and built on the standard library, NumPy and filelock alone.
COMMON = {
    "_checks",
    "_description",
    "_docstrings",
    "_files",
    "_locks",
    "_needs",
    "_notices",
    "_page",
    "_randomness",
    "_transcripts",
    "_types",
    "_words",
}
LIGHT = {*sys.stdlib_module_names, "filelock", "numpy"}
OPTIONAL = {
    "tensorflow_datasets",
    "keras_tuner",
    "ai_edge_litert",
    "onnx",
    "onnxruntime",
    "torch",
    "jax",
    "matplotlib",
    "huggingface_hub",
    "safetensors",
    "PIL",
    "skimage",
}
# Rooms that are of no use without a package, and loaded on first use only.
OWN = {"tuning": {"keras_tuner"}}
# Rooms that run on every backend name none of them at the top.
EVERY_BACKEND = ("layers", "models")


def room_of(path):
    """Returns the room of a file, the module's name at the top, or "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports_of(path):
    """Returns (module, line, whether at the top level) of every import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, node.lineno, id(node) not in inside


def is_module(name):
    parts = name.split(".")[1:]
    return (PACKAGE.joinpath(*parts)).with_suffix(".py").is_file() or (
        PACKAGE.joinpath(*parts) / "__init__.py"
    ).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_plan(path):
    room = room_of(path)
    for name, line, at_top in imports_of(path):
        where = f"{path.name}:{line} imports {name}"
        assert not name.startswith("keras.src"), where
        if name.split(".")[0] != "keras_residual":
            assert room not in COMMON or name.split(".")[0] in LIGHT, where
            continue
        if room in (
            "",
            "__main__",
            "cli",
        ):  # `test_users_see_the_public_api_only` is for the latter
            continue
        target = name.split(".")[1]
        # A name that is no module is an attribute of the package, which only outsiders may use.
        assert is_module(f"keras_residual.{target}"), f"{where}, the package's __init__"
        allowed = ALLOWED[room] | (set() if at_top else LAZY.get(room, set()))
        assert target in allowed | COMMON | {room}, where


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_underscore_is_private_to_its_folder_inside_the_plan(path):
    for name, line, _ in imports_of(path):
        package, *parts = name.split(".")
        if package != "keras_residual":
            continue
        for position, part in enumerate(parts):
            home = PACKAGE.joinpath(*parts[:position])
            folder = home if home.is_dir() else home.parent
            if part.startswith("_"):
                inside = path.is_relative_to(folder)
                assert inside, f"{path.name}:{line} imports {name}, private to {folder.name}/"


def test_the_guide_states_the_plan_inside_the_package():
    guide = Path(__file__).parents[1] / "docs" / "guide" / "architecture.md"
    text = guide.read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE)
    stated = {room: imports for room, imports in table if room != "cli"}
    assert stated.keys() == ALLOWED.keys() - COMMON
    for room, imports in stated.items():
        at_top, _, lazy = imports.partition("; inside functions")
        assert set(re.findall(r"`(\w+)`", at_top)) == ALLOWED[room], room
        assert set(re.findall(r"`(\w+)`", lazy)) == LAZY.get(room, set()), room


def import_graph():
    """Returns which files each file imports, those inside functions included."""
    known = {}
    for path in FILES:
        parts = ("keras_residual", *path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] != "__init__":
            known[".".join(parts)] = path
    graph = {}
    for name, path in known.items():
        found = {target for target, _, _ in imports_of(path)}
        found |= {target.rpartition(".")[0] for target in found}
        graph[name] = (found & known.keys()) - {name}
    return graph


def circles(graph):
    """Returns the modules that remain after repeatedly removing those that import nothing."""
    graph = {name: set(targets) for name, targets in graph.items()}
    while free := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - free for name, targets in graph.items() if name not in free}
    importers = {name: {other for other in graph if name in graph[other]} for name in graph}
    while top := {name for name, others in importers.items() if not others}:
        importers = {name: others - top for name, others in importers.items() if name not in top}
    return sorted(importers)


def test_no_files_import_each_other_in_a_circle():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert not circles(import_graph())


def test_every_arrow_of_the_plan_inside_the_package_is_used():
    used = {room: set() for room in ALLOWED}
    lazy = {room: set() for room in LAZY}
    for path in FILES:
        room = room_of(path)
        for name, _, at_top in imports_of(path):
            if room in used and name.startswith("keras_residual.") and name.split(".")[1] != room:
                target = name.split(".")[1]
                (used if at_top or target in ALLOWED[room] else lazy)[room].add(target)
    for room, allowed in ALLOWED.items():
        unused = allowed - used[room]
        assert not unused, f"{room} may import {sorted(unused)} and does not: take it off the plan"
    for room, allowed in LAZY.items():
        assert not allowed - lazy[room], f"{room} imports {sorted(allowed - lazy[room])} no longer"


def is_public(name, own_rooms=()):
    """Returns whether an imported name is the package, its own room, or public all the way."""
    package, *parts = name.split(".")
    if package != "keras_residual" or (parts and parts[0] in own_rooms):
        return True
    namespace = keras_residual
    for part in parts:
        if part not in namespace.__all__:
            return False
        namespace = getattr(namespace, part)
    return True


@pytest.mark.parametrize("path", USERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_users_see_the_public_api_only(path):
    own_rooms = {"cli", *COMMON} if path.is_relative_to(PACKAGE) else ()
    for name, line, _ in imports_of(path):
        assert is_public(name, own_rooms), f"{path.name}:{line} imports {name}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            private = node.attr.startswith("_") and node.value.id in keras_residual.__all__
            assert not private, f"{path.name}:{node.lineno} uses {node.value.id}.{node.attr}"


def test_a_private_import_would_be_seen():
    assert is_public("keras_residual") and is_public("keras_residual.layers.ResidualBlock")
    assert is_public("keras_residual._files.replacing", {"_files"})
    assert not is_public("keras_residual._files.replacing")
    assert not is_public("keras_residual.training.steps.compile_steps", {"cli"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_packages_are_imported_inside_functions(path):
    kept_inside = OPTIONAL | ({"tensorflow"} if room_of(path) in EVERY_BACKEND else set())
    for name, line, at_top in imports_of(path):
        where = f"{path.name}:{line} imports {name} at the top"
        allowed = OWN.get(room_of(path), set())
        assert not (at_top and name.split(".")[0] in kept_inside - allowed), where


def run_python(code):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout


def test_import_adds_little_to_that_of_keras():
    """A share, as a busy machine takes longer for both: 0.25 of 2.6 s on an idle one."""
    code = (
        "import time\nstart = time.process_time()\nimport keras\nfirst = time.process_time()\n"
        "import keras_residual\nprint((time.process_time() - first) / (first - start))"
    )
    assert min(float(run_python(code)) for _ in range(2)) < 0.14


def test_import_loads_nothing_heavy():
    code = (
        "import sys, keras\nbefore = set(sys.modules)\nimport keras_residual\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    assert not set(run_python(code).split()) & (OPTIONAL | {"tensorflow", "rich", "typer"})


def test_a_file_is_loaded_and_saved_again_by_the_import_alone(tmp_path):
    path = tmp_path / "model.keras"
    model = keras_residual.ResidualLSTMTranscriber((8, 3), classes=2, units=4, num_layers=1)
    rates = training.OneCycle(1e-3, 8, 2)
    metrics = [training.CharacterErrorRate(), analysis.batch_psnr]
    model.compile(keras.optimizers.Adam(rates), training.CTC(), metrics=metrics)
    model.save(path)
    config = zipfile.ZipFile(path).read("config.json")
    code = (
        "import keras, keras_residual\n"
        f"model = keras.saving.load_model({str(path)!r})\nmodel.save({str(path)!r})\n"
        "print(type(model.loss).__name__)"
    )
    assert run_python(code).strip() == "CTC"
    again = zipfile.ZipFile(path).read("config.json")
    for name in (b"CTC", b"CharacterErrorRate", b"OneCycle", b"psnr"):
        assert again.count(b"keras_residual>" + name) == config.count(b"keras_residual>" + name) > 0


def test_everything_in_files_is_registered_by_the_import_alone():
    code = "import keras, keras_residual\nprint(*keras.saving.get_custom_objects())"
    registered = re.compile(r'^@registered\nclass (\w+)|package=PACKAGE, name="(\w+)"', re.M)
    found = {name for file in FILES for name in registered.findall(file.read_text("utf-8"))}
    names = {f"keras_residual>{name or named}" for name, named in found}
    assert len(names) > 60 and names <= set(run_python(code).split())


def test_submodules_are_attributes_loaded_on_first_use():
    for room in ("layers", "models", "weights", "data", "training", "tuning", "export", "analysis"):
        assert getattr(keras_residual, room).__name__ == f"keras_residual.{room}"
    with pytest.raises(AttributeError, match="unheard_of"):
        keras_residual.unheard_of  # noqa: B018
    assert set(keras_residual.__all__) <= set(dir(keras_residual))
