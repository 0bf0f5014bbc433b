import json
from pathlib import Path
from typing import Any


class DescriptionKeeper:
    """A layer that stores the description of its model in `.keras` files.

    A functional model has no place of its own for what its inputs and outputs mean; the assets of a
    layer are saved and loaded with it, whoever calls `model.save` and `keras.saving.load_model`.
    """

    def keep_description(self, model: dict[str, Any], description: dict[str, Any] | None) -> None:
        """Stores the description of a model that has this layer, or removes it.

        Args:
            model: What distinguishes the model from others that share the layer.
            description: The fields of its description, `None` to remove it.
        """
        kept = [entry for entry in self.kept_descriptions() if entry["model"] != model]
        if description is not None:
            kept.append({"model": model, "description": description})
        self._kept_descriptions = json.dumps(kept)
        # An attribute of the layer that keeps something: Keras makes a folder for each that has it.
        self.save_assets = self._write_descriptions

    def kept_descriptions(self) -> list[dict[str, Any]]:
        """Returns the stored entries, one per model, with `"model"` and `"description"`."""
        return json.loads(getattr(self, "_kept_descriptions", "[]"))

    def load_assets(self, path: str | None) -> None:
        """Reads the stored entries from a file; called by Keras."""
        file = None if path is None else Path(path) / _FILE
        if file is not None and file.is_file() and file.stat().st_size <= _MOST_BYTES:
            for entry in _entries(file.read_bytes()):
                self.keep_description(entry["model"], entry["description"])

    def _write_descriptions(self, path):
        (Path(path) / _FILE).write_text(self._kept_descriptions, encoding="utf-8")


_FILE = "description.json"
# A description is a few names and numbers.
_MOST_BYTES = 2**22


def _entries(text):
    """The descriptions in a file, or an error if it holds something else."""
    try:
        entries = json.loads(text)
        fits = all(isinstance(entry["model"], dict) for entry in entries)
        if fits and all(isinstance(entry["description"], dict) for entry in entries):
            return entries
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise ValueError(f"{_FILE} of the layer is damaged: {text[:80]!r}")
