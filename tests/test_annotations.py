"""Every public function, method and constructor says its types."""

import ast

import public_annotations


def test_the_public_names_are_annotated_in_full():
    lacking = public_annotations.incomplete()
    assert not lacking, "\n".join(f"{name}: {', '.join(what)}" for name, what in lacking.items())


def test_it_sees_every_room_and_what_classes_inherit():
    found = public_annotations.functions()
    assert len(found) > 400
    titles = {title for _, title in found}
    # A function, a method, one of a base, a builder, and a name given on by another file.
    assert {"load", "ResidualLSTM.advance", "SpatialLayer.get_config", "ResNet", "fit"} <= titles


def lacking(source):
    return public_annotations.missing_of(ast.parse(source).body[0], "self" in source)


def test_what_is_missing_is_named():
    assert lacking("def f(a, *b: int, c=1, **d): ...") == ["a", "c", "d", "return"]
    assert lacking("def f(a: int, *b: int, c: int = 1, **d: int) -> None: ...") == []
    assert lacking("def __init__(self, a: int): ...") == []
    assert lacking("def __init__(self): ...") == ["return"]
    assert lacking("@staticmethod\ndef f(self): ...") == ["self", "return"]
