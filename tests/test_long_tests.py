"""The list of tests that the default run leaves out."""

import write_long_tests


def test_every_test_of_the_list_stands_in_a_file_that_exists():
    names = write_long_tests.LIST.read_text(encoding="utf-8").splitlines()
    assert names == sorted(set(names))
    root = write_long_tests.LIST.parent.parent
    missing = []
    for name in names:
        path, *_, function = name.split("[", 1)[0].split("::")
        file = root / path
        if not file.exists() or f"def {function}(" not in file.read_text(encoding="utf-8"):
            missing.append(name)
    assert not missing


def test_the_slowest_go_until_the_rest_fits():
    times = {"a": 1.0, "b": 5.0, "c": 3.0, "d": 2.0}
    assert write_long_tests.long_tests(times, budget=3.5) == ["b", "c"]
    assert write_long_tests.long_tests(times, budget=11.0) == []


def test_the_marker_is_set_by_the_list(request):
    names = set(write_long_tests.LIST.read_text(encoding="utf-8").splitlines())
    for item in request.session.items:
        assert (item.nodeid in names) == (item.get_closest_marker("long") is not None), item.nodeid
