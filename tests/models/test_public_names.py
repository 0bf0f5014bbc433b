"""Names of models: in the package, in the stubs, in pickles, and after adding one by the guide."""

import ast
import copy
import inspect
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from models import public_names

import keras_residual
from keras_residual import models
from keras_residual.models import registry
from keras_residual.models.registry import BUILDERS, VARIANTS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide" / "extending.md"


@pytest.mark.parametrize("path", public_names.stubs(), ids=lambda path: path.parent.name)
def test_stub_is_current(path):
    """`python tests/write_tables.py` writes it."""
    assert path.read_text(encoding="utf-8") == public_names.stubs()[path]


@pytest.mark.parametrize("namespace", [keras_residual, models], ids=lambda module: module.__name__)
def test_stub_declares_what_the_package_has(namespace):
    """A type checker reads the stub alone."""
    tree = ast.parse(Path(namespace.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    declared = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), "not exported"
            declared |= {alias.name for alias in node.names}
        elif isinstance(node, ast.AnnAssign):
            declared.add(node.target.id)
        elif isinstance(node, ast.FunctionDef):
            declared.add(node.name)
    types = {"Factory", "UpscalerFactory"}
    assert declared - types == {*namespace.__all__, *({"__version__"} & declared)}
    assert all(hasattr(namespace, name) for name in declared - types)


def test_a_builder_has_its_own_arguments_and_those_of_keras_applications():
    parameters = inspect.signature(models.DenseNet).parameters
    assert list(parameters)[:4] == ["depths", "growth_rate", "include_top", "weights"]
    assert all(item.annotation is not item.empty for item in parameters.values())
    assert models.DenseNet.__annotations__["classes"] is int
    network = models.DenseNet((1,), 2, True, None, None, (8, 8, 1), None, 3, stem="conv3")
    assert (network.output_shape, network.name) == ((None, 3), "densenet")
    with pytest.raises(TypeError, match="too many positional"):
        models.DenseNet((1,), 2, True, None, None, (8, 8, 1), None, 3, "relu", "name", "more")
    with pytest.raises(TypeError, match="multiple values for argument 'depths'"):
        models.DenseNet((1,), depths=(2,))


@pytest.mark.parametrize("name", models.__all__)
def test_a_factory_is_pickled_by_its_name(name):
    function = getattr(keras_residual, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function


def test_names_of_families_stay_in_their_modules():
    from keras_residual.models.resnet import ResNet50
    from keras_residual.models.resnet_cifar import ResNet20

    assert (ResNet50, ResNet20) == (models.ResNet50, models.ResNet20)


def test_no_two_names_are_spelled_alike():
    names = [name for variant in VARIANTS.values() for name in (variant.name, *variant.aliases)]
    spelled = [registry._key(name) for name in (*names, *BUILDERS)]
    assert len(set(spelled)) == len(spelled)


def instructions():
    """Yields file, name of the table and line of each step of the guide that changes a file."""
    network, _ = GUIDE.read_text(encoding="utf-8").split("\n## ", 1)
    for block in re.findall(r"```python\n(.*?)```", network, re.S):
        text = textwrap.dedent(block)
        yield re.fullmatch(r"# (\S+)\n(\w+) = [({]\n    # …\n(.*\n)[)}]\n", text, re.S).groups()


@pytest.mark.slow
def test_a_network_added_by_the_guide_is_there(tmp_path):
    for name in ("keras_residual", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, table, line in instructions():
        text = (tmp_path / path).read_text(encoding="utf-8")
        start = re.search(rf"^{table} = [({{]\n", text, re.M).end()
        end = start + re.search(r"^[)}]\n", text[start:], re.M).start()
        (tmp_path / path).write_text(text[:end] + line + text[end:], encoding="utf-8")
    check = (
        "import keras_residual as kr, inspect\n"
        "assert kr.get_model('resnet_62').name == 'resnet62'\n"
        "assert 'ResNet62' in kr.__all__ and 'ResNet-62.' in inspect.getdoc(kr.ResNet62)\n"
    )
    command = "import runpy; runpy.run_path('tests/write_tables.py', run_name='__main__')\n" + check
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], cwd=tmp_path, check=True)
    for path in (
        "keras_residual/__init__.pyi",
        "keras_residual/models/__init__.pyi",
        "keras_residual/cli/models.json",
        "docs/models.md",
    ):
        assert "ResNet62" in (tmp_path / path).read_text(encoding="utf-8"), path
    counts = (tmp_path / "tests/models/golden_counts.csv").read_text(encoding="utf-8")
    # A further block in each stage: 2·9·(16² + 32² + 64²) weights and their normalizations.
    assert "\nResNet62,950234,954746,139641472,He et al. 2015\n" in counts
