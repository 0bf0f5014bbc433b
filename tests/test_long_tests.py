"""The list of tests that the default run leaves out."""

import junit
import write_long_tests


def test_every_test_of_the_list_stands_in_a_file_that_exists():
    names = write_long_tests.LIST.read_text(encoding="utf-8").splitlines()
    assert names == sorted(set(names))
    root = write_long_tests.LIST.parent.parent
    missing = []
    for name in names:
        path, *_, function = name.split("[", 1)[0].split("::")
        file = root / path
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        if f"def {function}(" not in text and f"\n{function} = " not in text:
            missing.append(name)
    assert not missing


def test_the_slowest_go_until_the_rest_fits():
    times = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0}
    assert write_long_tests.long_tests(times, budget=3.5) == ["b", "c"]
    assert write_long_tests.long_tests(times, budget=11.0) == []


class Item:
    """A test, as far as marking it goes."""

    def __init__(self, nodeid):
        self.nodeid, self.markers = nodeid, []

    def add_marker(self, marker):
        self.markers.append(marker)


def test_the_marker_is_set_by_the_list(request):
    (named, *_) = write_long_tests.LIST.read_text(encoding="utf-8").splitlines()
    items = [Item(named), Item("tests/test_imports.py::unheard_of")]
    path = str(write_long_tests.LIST.with_name("conftest.py"))
    (plugin,) = (
        p
        for p in request.config.pluginmanager.get_plugins()
        if getattr(p, "__file__", None) == path
    )
    plugin.pytest_collection_modifyitems(items)
    assert [item.markers for item in items] == [["long"], []]


def test_a_test_is_named_as_pytest_names_it():
    case = {"classname": "tests.weights.test_freeze.TestNormalizations", "name": "test_a[b]"}
    assert junit.node(case) == "tests/weights/test_freeze.py::TestNormalizations::test_a[b]"
    module = {"classname": "", "name": "tests.weights.test_freeze"}
    assert junit.node(module) == "tests/weights/test_freeze.py"
