"""Every family in every format and quantization: what converts, how close it is.

    python tests/export/matrix.py

writes the table of the README, from tiny networks with weights by formula, in about ten minutes.
"""

import contextlib
import io
import pathlib
import tempfile

import keras
import numpy as np
from cases import FAMILIES
from support import set_sequential_weights

import keras_residual
from keras_residual import export

README = pathlib.Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- exports -->\n", "<!-- /exports -->"
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


def table(cells: dict[tuple, str]) -> str:
    """Returns the rows of the README from cells by family, format and quantization."""
    titles = {"saved_model": "SavedModel", "litert": "LiteRT", "onnx": "ONNX"}
    heads = [f"{titles[format]} {quantization or 'float32'}" for format, quantization in COLUMNS]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for family in MAKERS:
        row = ["–" if key in IMPOSSIBLE else cells[key] for key in _keys(family)]
        lines.append(f"| `{family}` | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _keys(family):
    return [(family, *column) for column in COLUMNS]


def main():
    cells = {}
    for family in MAKERS:
        model = make(family)
        for key in _keys(family):
            cells[key] = cell(model, *key[1:])
            print(*key, cells[key], flush=True)
        keras.utils.clear_session()
    text = README.read_text(encoding="utf-8")
    start, stop = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(text[:start] + table(cells) + text[stop:], encoding="utf-8")


if __name__ == "__main__":
    main()
