"""Every family in every format and quantization; one of each by default."""

import json

import keras
import pytest
from cases import EXPORTED_TOO, MORE_FAMILIES
from export.matrix import (
    BEGIN,
    BEGIN_PHONES,
    BOUNDS,
    COLUMNS,
    END,
    END_PHONES,
    GUIDE,
    IMPOSSIBLE,
    KEPT,
    MAKERS,
    MORE,
    OPTIONS,
    make,
    name_of,
    phones_table,
    run,
    table,
)

from keras_residual import export

if keras.backend.backend() != "tensorflow":
    pytest.skip("LiteRT and ONNX files are written on TensorFlow", allow_module_level=True)

FAMILIES = list(MAKERS)
# Every family once and every column at least once.
DIAGONAL = {
    (family, *COLUMNS[(3 * index + 4) % len(COLUMNS)]) for index, family in enumerate(FAMILIES)
}
ALL = [(family, *column) for family in FAMILIES for column in COLUMNS]


def _parameter(key):
    marks = () if key in DIAGONAL or key in IMPOSSIBLE else (pytest.mark.slow,)
    return pytest.param(*key, id="-".join(map(str, key)), marks=marks)


@pytest.mark.parametrize(("family", "format", "quantization"), [_parameter(key) for key in ALL])
def test_family_in_format(family, format, quantization, tmp_path):
    model = make(family)
    reason = IMPOSSIBLE.get((family, format, quantization))
    if reason is not None:
        with pytest.raises(export.ExportError, match=reason):
            run(model, format, quantization, tmp_path)
        return
    row = run(model, format, quantization, tmp_path)
    assert row.verification.relative <= BOUNDS[quantization]
    foreign = [name for name in row.operations if name.startswith(("Flex", "CUSTOM"))]
    assert not foreign


FURTHER_COLUMNS = (("litert", None), ("litert", "int8"), ("onnx", None))


def _further():
    for case in (*MORE_FAMILIES, *EXPORTED_TOO):
        for column in FURTHER_COLUMNS:
            name = "-".join(map(str, (case.name, *column)))
            yield pytest.param(case, *column, id=name, marks=pytest.mark.slow)


@pytest.mark.parametrize(("case", "format", "quantization"), list(_further()))
def test_further_family_in_format(case, format, quantization, tmp_path):
    keras.utils.set_random_seed(1)
    row = run(case.make(**OPTIONS.get(case.name, {})), format, quantization, tmp_path)
    assert row.verification.relative <= BOUNDS[quantization]
    assert not [name for name in row.operations if name.startswith(("Flex", "CUSTOM"))]


def test_diagonal_reaches_every_column():
    assert {key[1:] for key in DIAGONAL} == set(COLUMNS)


def cells():
    return json.loads(KEPT.read_text(encoding="utf-8"))


def test_guide_has_every_family_and_no_difference_beyond_its_bound():
    found = cells()
    assert set(FAMILIES) <= set(found) <= {*FAMILIES, *MORE}
    for family in FAMILIES:
        entry = found[family]
        for column in COLUMNS:
            if (family, *column) not in IMPOSSIBLE:
                assert float(entry["formats"][name_of(column)]) <= BOUNDS[column[1]]
    text = GUIDE.read_text(encoding="utf-8")
    assert table(found) == text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    start = text.index(BEGIN_PHONES) + len(BEGIN_PHONES)
    assert phones_table(found) == text[start : text.index(END_PHONES)]


def phones():
    return {family: entry["phones"] for family, entry in cells().items() if "phones" in entry}


def test_no_family_is_refused_by_mediapipe():
    """On photographs of many sizes, turned as their EXIF data say, and on sounds."""
    assert set(phones()) == {*FAMILIES, *MORE}
    tried = [
        (family, kind, side)
        for family, sides in phones().items()
        for kind, side in sides.items()
        if "agreement" in side
    ]
    assert len(tried) == 62
    for family, kind, side in tried:
        assert side["compared"] >= 200, family
        # The client's preprocessing changes nothing.
        least, most, off = (1.0, 1e-3, 1e-5) if kind == "float32" else (0.9, 0.4, 1e-5)
        if family in BY_STATISTICS:
            # LiteRT agrees with Keras to 4e-6; MediaPipe's older runtime is less precise there.
            most, off = (0.02, 0.1) if kind == "float32" else (0.4, 0.5)
        assert side["agreement"] >= least and side["relative"] < most, (family, kind)
        assert side["off_file"] < off, (family, kind)
        # Another first class ties with Keras' within the noise of 8 bits.
        assert side["beyond_noise"] <= 0.03 * side["compared"], (family, kind)


BY_STATISTICS = ("BiTResNet50x1", "ResNet50V2DEvoS")


def operations_refused(side, delegate):
    lines = (line.split() for line in side["refusals"] if line.startswith(f"{delegate}: "))
    return {words[1].rstrip(":") for words in lines}


def test_lint_says_what_xnnpack_leaves():
    """XNNPACK leaves what it is said to leave."""
    for family, sides in phones().items():
        for kind, side in sides.items():
            if "error" in side:
                continue
            left = {*side["left_by_xnnpack"]}
            assert left == operations_refused(side, "xnnpack"), (family, kind)
