"""Two ways to an int8 LiteRT file: TensorFlow's converter and ai-edge-quantizer.

    pip install ai-edge-quantizer
    python tests/benchmarks/quantizers.py runs/quickstart/model.keras

Accuracy, difference and size on the embedded digits, both calibrated on the same 200 images.
"""

import contextlib
import pathlib
import sys
import tempfile

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from keras_residual import data, export


def images_of(split):
    return (split.x / np.float32(split.scale)).astype("float32")


def by_edge_quantizer(source: pathlib.Path, samples, path: pathlib.Path):
    """Quantizes a float file statically to 8-bit weights and activations."""
    content = source.read_bytes()
    work = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
    interpreter = Interpreter(model_content=content)
    name = next(iter(interpreter.get_signature_runner().get_input_details()))
    calibration = work.calibrate({"serving_default": [{name: image[None]} for image in samples]})
    path.write_bytes(work.quantize(calibration).quantized_model)


def main(path):
    model = keras.saving.load_model(path, compile=False)
    digits = data.load("digits")
    samples, held_out = images_of(digits.train)[:200], (images_of(digits.test), digits.test.y)
    print("| | accuracy | difference | bytes |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        folder = pathlib.Path(folder)
        options = {"representative_data": samples, "measure": False}
        export.export(model, folder, "litert", **options)
        export.export(model, folder, "litert", "int8", **options)
        by_edge_quantizer(folder / "model.tflite", samples, folder / "model_edge.tflite")
        names = {"float32": "model", "TensorFlow": "model_int8", "ai-edge-quantizer": "model_edge"}
        rows = []
        for name, file in names.items():
            artefact = export.load(folder / f"{file}.tflite")
            checked = export.verify(artefact, model, held_out)
            difference = f"{checked.relative:.1e}"
            rows.append(f"| {name} | {checked.accuracy:.2%} | {difference} | {artefact.bytes:,} |")
    print("\n".join(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
