"""Every family in every format and quantization: what converts, how close it is.

    python tests/export/matrix.py [--phones] [FAMILY ...]

measures tiny networks with weights by formula, all or some (with `--phones` only their files for
phones), keeps what it found in `matrix.json`, and writes the tables of docs/guide/export.md, in
about twenty minutes. Where MediaPipe is at hand (`KERAS_RESIDUAL_MEDIAPIPE_PYTHON`), files for
phones are run in it on 200 photographs.
"""

import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile

import keras
import numpy as np
from cases import FAMILIES, MORE_FAMILIES
from support import photographs, set_sequential_weights

import keras_residual
from keras_residual import export

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide" / "export.md"
KEPT = pathlib.Path(__file__).with_name("matrix.json")
BEGIN, END = "<!-- exports -->\n", "<!-- /exports -->"
BEGIN_PHONES, END_PHONES = "<!-- phones -->\n", "<!-- /phones -->"
# Length of the difference as a share of the length of the outputs.
BOUNDS = {None: 1e-6, "float16": 1e-3, "dynamic": 0.03, "int8": 0.05, "int16x8": 0.02}
# What a format cannot express, and what the error says.
IMPOSSIBLE = {
    ("ResidualLSTMClassifier", "litert", "int16x8"): "should be recorded during calibration"
}
QUANTIZATIONS = (None, "float16", "dynamic", "int8", "int16x8")
COLUMNS = [("saved_model", None)] + [(f, q) for f in ("litert", "onnx") for q in QUANTIZATIONS]


def tagger():
    return keras_residual.ResidualLSTMTagger((4, 5), units=33, num_layers=2, classes=4)


def classifier_of_tokens():
    return keras_residual.ResidualLSTMClassifier(
        vocabulary_size=9, units=6, num_layers=2, classes=3
    )


MAKERS = {
    **{case.name: case.make for case in FAMILIES},
    "ResidualLSTMTagger": tagger,
    "ResidualLSTMClassifier": classifier_of_tokens,
}


# Files for phones of these are measured, and one format of each is tested.
MORE = {case.name: case.make for case in MORE_FAMILIES}


def keras_model(family):
    keras.utils.set_random_seed(1)
    return MORE[family]()


def inputs_of(model, count=8):
    shape = [5 if size is None else size for size in model.input_shape[1:]]
    generator = np.random.default_rng(0)
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return generator.integers(1, 9, (count, *shape)).astype("int32")
    return generator.random((count, *shape), np.float32)


# With weights by formula some inner layer is zero throughout, which integers have no scale for.
RANDOM = (
    "ResidualLSTMTagger",
    "ResidualLSTMClassifier",
    "ResNet50V2",
    "ResNet1001V2",
    "SEResNet50",
)


def make(family):
    keras.utils.set_random_seed(1)
    model = MAKERS[family](**({"se_ratio": 0.5} if family == "SEResNet50" else {}))
    if family not in RANDOM:
        set_sequential_weights(model)
    return model


def run(model, format, quantization, directory):
    """Exports to one format and returns its row of the report."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = inputs_of(model)
        report = export.export(model, directory, format, quantization, data, measure=False)
    return report.rows[0]


def cell(model, format, quantization) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            row = run(model, format, quantization, pathlib.Path(folder))
        except export.ExportError as error:
            return str(error)
    return f"{row.verification.relative:.0e}"


def is_picture_classifier(model) -> bool:
    """Returns whether MediaPipe's classifier can take a network at all."""
    shape, outputs = model.input_shape, model.outputs
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        return False
    return shape[-1] in (1, 3) and len(outputs) == 1 and len(outputs[0].shape) == 2


def phone(model, quantization) -> dict:
    """Exports a network for phones and returns MediaPipe's answers and the delegates that take it.

    Its output is the share of photographs with Keras' top-1, and the difference in length.
    """
    scaling = keras.layers.Rescaling(1 / 255)
    data, photos = np.stack([_small(photo, model) for photo in photographs(60)]), photographs()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        (row,) = export.export(
            model, folder, "litert", quantization, data, preprocessing=scaling, measure=False
        ).rows
        refusing = sorted({refusal.delegate for refusal in row.refusals})
        found = {"delegates": [name for name in DELEGATES if name not in refusing]}
        found["refusals"] = [str(refusal) for refusal in row.refusals]
        if os.environ.get(export.MEDIAPIPE_PYTHON):
            checked = export.verify(row.path, model, list(photos), runtime="mediapipe")
            found |= {"agreement": checked.agreement, "relative": checked.relative}
    return found


DELEGATES = ("xnnpack", "gpu", "nnapi", "edgetpu")


def _small(photo, model):
    from keras_residual.export._pictures import stretched

    pixels = stretched(photo, model.input_shape[1:3]) / np.float32(255)
    return (
        pixels if model.input_shape[-1] == 3 else pixels @ np.float32([[0.299], [0.587], [0.114]])
    )


def table(cells: dict) -> str:
    """Returns the table of all formats from cells by family, format and quantization."""
    titles = {"saved_model": "SavedModel", "litert": "LiteRT", "onnx": "ONNX"}
    heads = [f"{titles[format]} {quantization or 'float32'}" for format, quantization in COLUMNS]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for family, entry in cells.items():
        if "formats" not in entry:
            continue
        found = entry["formats"]
        row = [
            "–" if (family, *column) in IMPOSSIBLE else found[name_of(column)] for column in COLUMNS
        ]
        lines.append(f"| `{family}` | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def name_of(column) -> str:
    """Returns a column's key in `matrix.json`."""
    format, quantization = column
    return f"{format} {quantization or 'float32'}"


def phones_table(cells: dict) -> str:
    """Returns the table of files for phones."""
    lines = ["| | MediaPipe float32 | MediaPipe int8 | float32 whole on | int8 whole on |"]
    lines += ["|---|---:|---:|---|---|"]
    for family, entry in cells.items():
        found = entry.get("phones")
        if found:
            sides = [found["float32"], found["int8"]]
            agreements = [
                f"{side['agreement']:.1%}" if "delegates" in side else "–" for side in sides
            ]
            whole = [", ".join(side.get("delegates", ())) or "–" for side in sides]
            lines.append(f"| `{family}` | " + " | ".join([*agreements, *whole]) + " |")
    return "\n".join(lines) + "\n"


def measured(family) -> dict:
    """Returns what is found of one family."""
    model, cells = make(family), {}
    for column in COLUMNS:
        cells[name_of(column)] = cell(model, *column)
        print(family, *column, cells[name_of(column)], flush=True)
    return {"formats": cells, **measured_phones(family, model)}


def measured_phones(family, model) -> dict:
    """Returns what is found of a family's files for phones, if there are any."""
    if not is_picture_classifier(model):
        return {}
    found = {}
    for kind in (None, "int8"):
        try:
            found[kind or "float32"] = phone(model, kind)
        except export.ExportError as error:
            found[kind or "float32"] = {"error": str(error)}
    print(family, found, flush=True)
    return {"phones": found}


def write_guide(cells) -> None:
    """Writes both tables into the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    places = ((BEGIN, END, table(cells)), (BEGIN_PHONES, END_PHONES, phones_table(cells)))
    for begin, end, rows in places:
        start, stop = text.index(begin) + len(begin), text.index(end)
        text = text[:start] + rows + text[stop:]
    GUIDE.write_text(text, encoding="utf-8")


def main(*families):
    cells = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    only_phones = "--phones" in families
    families = [family for family in families if family != "--phones"] or [*MAKERS, *MORE]
    for family in families:
        if family in MORE:
            cells[family] = measured_phones(family, keras_model(family))
        elif only_phones and family in cells:
            cells[family] |= measured_phones(family, make(family))
        else:
            cells[family] = measured(family)
        kept = {name: cells[name] for name in (*MAKERS, *MORE) if name in cells}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        keras.utils.clear_session()
    if set(cells) >= {*MAKERS, *MORE}:
        write_guide(kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
