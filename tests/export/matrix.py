"""Every family in every format and quantization: whether it converts, and the difference.

    python tests/export/matrix.py [--phones] [FAMILY ...]

measures tiny networks with weights by formula, all or some (with `--phones` only their files for
phones), keeps what it found in `matrix.json`, and writes the tables of docs/guide/export.md, in
about half an hour. Where MediaPipe is at hand (`KERAS_RESIDUAL_MEDIAPIPE_PYTHON`), files for
phones are run in it on 320 JPEG files of many sizes, turned as their EXIF data say: on those whose
first class leads the second by 0.6 in Keras.
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
from cases import EXPORTED_TOO, FAMILIES, MORE_FAMILIES
from export import photographs, runtime_tables
from support import set_sequential_weights

import keras_residual
from keras_residual import export
from keras_residual.export._pictures import decoded, stretched
from keras_residual.export.proof.clients import run_mediapipe

GUIDE = pathlib.Path(__file__).parents[2] / "docs" / "guide" / "export.md"
KEPT = pathlib.Path(__file__).with_name("matrix.json")
BEGIN, END = "<!-- exports -->\n", "<!-- /exports -->"
BEGIN_PHONES, END_PHONES = "<!-- phones -->\n", "<!-- /phones -->"
# Length of the difference as a share of the length of the outputs.
BOUNDS = {None: 1e-6, "float16": 1e-3, "dynamic": 0.03, "int8": 0.05, "int16x8": 0.02}
# Models that a format cannot express, and the error message.
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


# Groups of several channels: with one channel each, eight bits are too few for flat pictures.
_GROUPS = {"input_shape": (128, 128, 3), "widths": (32, 32, 64, 64), "stem_width": 64}
OPTIONS = {"BiTResNet50x1": _GROUPS, "ResNet50V2DEvoS": _GROUPS}
# With fewer of them some gate has no unit that is alive, and integers no scale for it.
OPTIONS |= {name: {"se_ratio": 0.5} for name in ("SEResNet50", "RegNetY004")}
# Files for phones of these are measured, and one format of each is tested.
MORE = {case.name: case.make for case in (*MORE_FAMILIES, *EXPORTED_TOO)}


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
    model = MAKERS[family](**OPTIONS.get(family, {}))
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


def in_mediapipe(row, family, photos) -> dict:
    """Compares MediaPipe's answers with Keras' and with those of the file itself."""
    model, file = family.model, export.load(row.path)
    if family.kind == "picture":
        pictures = [decoded(path) for path in photos]
        levels = np.stack([stretched(picture, model.input_shape[1:3]) for picture in pictures])
        inputs, task = file.pixels.apply(levels), "classifier"
    else:
        pictures = levels = inputs = family.tried
        task = f"audio@{file.description.sampling_rate}"
    expected = model.predict(inputs, verbose=0)
    chosen = np.flatnonzero(photographs.lead(expected) >= photographs.LEAD)
    answers = np.stack(run_mediapipe(row.path, task, [pictures[i] for i in chosen]))
    expected, own = expected[chosen], file.predict(levels[chosen])
    noise, beyond = photographs.disagreement(expected, answers)
    return {
        "agreement": float((answers.argmax(-1) == expected.argmax(-1)).mean()),
        "noise": noise,
        "beyond_noise": beyond,
        "relative": float(np.linalg.norm(answers - expected) / np.linalg.norm(expected)),
        "off_file": float(np.abs(answers - own).max()),
        "compared": len(chosen),
    }


def phone(family, quantization, photos) -> dict:
    """Exports a network for phones and returns MediaPipe's answers and the delegates that take it.

    Its output is the share of photographs with Keras' top-1, and the difference in length.
    """
    model, data = family.model, family.data
    options = {"measure": False, "target": "phone" if family.kind != "other" else None}
    if family.kind == "picture":
        options["preprocessing"] = keras.layers.Rescaling(1 / 255)
    if family.kind == "other":
        options["batch_size"] = 1
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        (row,) = export.export(model, folder, "litert", quantization, data, **options).rows
        refusing = sorted({refusal.delegate for refusal in row.refusals})
        found = {"delegates": [name for name in DELEGATES if name not in refusing]}
        found["refusals"] = [str(refusal) for refusal in row.refusals]
        content = row.path.read_bytes()
        found["left_by_xnnpack"] = sorted(runtime_tables.left_by_xnnpack(content))
        if family.kind in ("picture", "sound") and os.environ.get(export.MEDIAPIPE_PYTHON):
            found |= in_mediapipe(row, family, photos)
    return found


DELEGATES = ("xnnpack", "gpu", "nnapi", "edgetpu")


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
    heads = ("", "MediaPipe float32", "MediaPipe int8", "noise", "beyond it")
    lines = ["| " + " | ".join((*heads, "float32 whole on", "int8 whole on")) + " |"]
    lines += ["|---|---:|---:|---:|---:|---|---|"]
    for family, entry in cells.items():
        found = entry.get("phones")
        if found:
            sides = [found["float32"], found["int8"]]
            agreements = [*map(_share, sides), *_noise(sides[1])]
            whole = [", ".join(side.get("delegates", ())) or "–" for side in sides]
            lines.append(f"| `{family}` | " + " | ".join([*agreements, *whole]) + " |")
    return "\n".join(lines) + "\n"


def _noise(side):
    if "noise" not in side:
        # It takes no pictures and no sound.
        return ["–", "–"]
    return [f"{side['noise']:.2f}", f"{side['beyond_noise']} of {side['compared']}"]


def _share(side):
    return f"{side['agreement']:.1%}" if "agreement" in side else "–"


def measured(family) -> dict:
    """Returns the measurements of one family."""
    model, cells = make(family), {}
    for column in COLUMNS:
        cells[name_of(column)] = cell(model, *column)
        print(family, *column, cells[name_of(column)], flush=True)
    return {"formats": cells, **measured_phones(family)}


def measured_phones(family) -> dict:
    """Returns the measurements of a family's files for phones."""
    maker, found = MORE.get(family) or MAKERS[family], {}
    with tempfile.TemporaryDirectory() as folder:
        photos = photographs.written(pathlib.Path(folder), 320, seed=0)
        network = photographs.trained(maker, **OPTIONS.get(family, {}))
        for kind in (None, "int8"):
            try:
                found[kind or "float32"] = phone(network, kind, photos)
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
            cells[family] = measured_phones(family)
        elif only_phones and family in cells:
            cells[family] |= measured_phones(family)
        else:
            cells[family] = measured(family)
        kept = {name: cells[name] for name in (*MAKERS, *MORE) if name in cells}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        keras.utils.clear_session()
    if set(cells) >= {*MAKERS, *MORE}:
        write_guide(kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
