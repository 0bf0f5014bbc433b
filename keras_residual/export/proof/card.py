"""The model card beside exported files: `card.json` for programs, `README.md` for people."""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_residual._files import write_text
from keras_residual._words import counted
from keras_residual.export.proof.artefact import entries_of_card
from keras_residual.export.proof.delegates import DELEGATES
from keras_residual.export.proof.report import ExportReport, ExportRow

CARD, README = "card.json", "README.md"


def write(
    staging: Path, directory: Path, model: keras.Model, report: ExportReport, facts: dict[str, Any]
) -> None:
    """Writes both files; rows of earlier exports of the same weights stay if their files do.

    Args:
        staging: The folder to write to.
        directory: The final folder of the files, with the card of earlier exports.
        model: The exported model.
        report: The report of this export.
        facts: More entries of the card: `input`, `output`, `labels`, `preprocessing`, …
    """
    described = _model(model, report)
    kept = _kept(directory, described["weights_sha256"])
    artefacts = kept | {row.path.name: _entry(row) for row in report.rows}
    card = {
        "model": described,
        **facts,
        "artefacts": dict(sorted(artefacts.items())),
        "notes": list(report.notes),
        "made": _circumstances(),
    }
    write_text(staging / CARD, json.dumps(card, indent=2) + "\n")
    write_text(staging / README, as_text(card))


def _kept(directory, weights):
    """Returns the intact entries of an earlier card whose files are still there."""
    kept = {}
    for name, entry in entries_of_card(directory / CARD, weights).items():
        with contextlib.suppress(KeyError, IndexError, TypeError, ValueError, AttributeError):
            if _lines_about(name, entry) and (directory / name).exists():
                kept[name] = entry
    return kept


def _lines_about(name, entry):
    """Returns everything that the text of a card says about a file."""
    return [_row(name, entry), *_use(name, entry), _operations(entry), *_phones({name: entry})]


def _model(model, report):
    return {
        "name": report.model,
        "parameters": model.count_params(),
        "weights_sha256": weights_hash(model),
        "folding": None if report.folding is None else str(report.folding),
    }


def weights_hash(model: keras.Model) -> str:
    """Returns a hash of a model's weights, in order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def _entry(row: ExportRow) -> dict[str, Any]:
    return {
        "format": row.format,
        "quantization": row.quantization,
        "bytes": row.bytes,
        "sha256": row.sha256,
        "verification": asdict(row.verification),
        **row.tensors,
        "description": None if row.description is None else asdict(row.description),
        "fits": row.fits,
        "delegates": _delegates(row),
        "operations": row.operations,
        "timing": None if row.timing is None else asdict(row.timing),
    }


def _delegates(row):
    """Returns, per delegate, the operations of a LiteRT file that it does not accept."""
    if row.refusals is None:
        return None
    return {
        name: [str(refusal) for refusal in row.refusals if refusal.delegate == name]
        for name in DELEGATES
    }


def _circumstances() -> dict[str, Any]:
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {
            name: _version(name)
            for name in ("keras-residual", "keras", "tensorflow", "ai-edge-litert", "onnxruntime")
        },
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {counted(os.cpu_count(), 'core')}",
    }


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def as_text(card: dict[str, Any]) -> str:
    """Returns a card as Markdown."""
    model, made = card["model"], card["made"]
    lines = [f"# {model['name']}", ""]
    lines += [f"A Keras model of {model['parameters']:,} parameters, exported by keras_residual."]
    if model["folding"]:
        lines += [f"Before the export: {model['folding']}."]
    lines += ["", "## Files", ""]
    lines += [
        "| file | computes in | bytes | worst difference | same top-1 | accuracy | one input |"
    ]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    lines += [_row(name, entry) for name, entry in card["artefacts"].items()]
    lines += ["", "Differences are to the Keras model's outputs, in the file's own runtime."]
    lines += ["", "## Use", ""]
    lines += [line for item in card["artefacts"].items() for line in _use(*item)]
    lines += [f"- Preprocessing: {card['preprocessing']}"]
    if card["labels"]:
        lines += [f"- Labels: {', '.join(card['labels'][:20])}{' …' * (len(card['labels']) > 20)}"]
    lines += ["", "## Operations", ""]
    lines += [f"- `{name}`: {_operations(entry)}" for name, entry in card["artefacts"].items()]
    lines += _phones(card["artefacts"])
    if card["notes"]:
        lines += ["", "## Notes", "", *[f"- {note}" for note in card["notes"]]]
    versions = ", ".join(f"{name} {value}" for name, value in made["versions"].items() if value)
    lines += [
        "",
        f"Made {made['date']} on {made['machine']}, with {versions}. `{CARD}` has all numbers.",
    ]
    return "\n".join(lines) + "\n"


def _row(name, entry):
    checked, timing = entry["verification"], entry["timing"]
    accuracy = latency = "–"
    same = f"{checked['agreement']:.2%}"
    # Cards of earlier versions have no errors.
    if checked.get("error") is not None:
        # The largest of several numbers says nothing.
        same = "–"
        errors = checked["error"], checked["model_error"]
        accuracy = "mean absolute error {:.4g} ({:.4g} in Keras)".format(*errors)
    if checked.get("error_rate") is not None:
        rates = checked["error_rate"], checked["model_error_rate"]
        accuracy = "label error rate {:.2%} ({:.2%} in Keras)".format(*rates)
    if checked["accuracy"] is not None:
        low, high = checked["accuracy_interval"]
        accuracy = f"{checked['accuracy']:.2%} ({low:.2%} … {high:.2%})"
    if timing is not None:
        latency = f"{1e3 * timing['median_seconds']:.3g} ms, {timing['memory_bytes'] / 1e6:.1f} MB"
    return (
        f"| `{name}` | {entry['quantization'] or 'float32'} | {entry['bytes']:,} "
        f"| {checked['worst']:.1e} | {same} | {accuracy} | {latency} |"
    )


def _phones(artefacts):
    """Returns the lines on the delegates of phones."""
    lines = []
    for name, entry in artefacts.items():
        for delegate, refused in (entry.get("delegates") or {}).items():
            lines += [f"- `{name}`, {line}" for line in refused[:_SHOWN_REFUSALS]]
            if not refused:
                lines.append(f"- `{name}`, {delegate}: takes all of it")
    return ["", "## Delegates of phones", "", *lines] if lines else []


_SHOWN_REFUSALS = 5


def _use(name, entry):
    """Yields a line for each input and output of a file."""
    for tensor in entry.get("inputs", ()):
        yield f"- `{name}` takes {_signature(tensor)}{_picture(tensor)}"
    for tensor in entry.get("outputs", ()):
        yield f"- `{name}` gives {_signature(tensor)}"
    for fit, found in (entry.get("fits") or {}).items():
        yield (
            f"- `{name}` on photographs {_FITS[fit]}: {found['accuracy']:.2%} "
            f"({found['model_accuracy']:.2%} in Keras)"
        )


_FITS = {"stretch": "stretched to its size", "crop": "cropped to their centre"}


def _signature(tensor):
    shape = " × ".join("any" if size is None else str(size) for size in tensor["shape"])
    text = f"`{tensor['name']}`, {shape}, {tensor['type']}"
    if "scale" in tensor:
        text += f", real value = {tensor['scale']:.6g} × (value − {tensor['zero_point']})"
    return text


def _picture(tensor):
    if "range" not in tensor:
        return ""
    low, high = tensor["range"]
    fit = "stretched to this size"
    if tensor["fit"] == "crop":
        fit = f"its centre, {tensor['crop']:.1%} of the shorter side, resized to this size"
    return f": a picture, {tensor['colours']}, {tensor['layout']}, pixels {low}…{high}, {fit}"


def _operations(entry):
    return ", ".join(f"{name} {count}" for name, count in entry["operations"].items())
