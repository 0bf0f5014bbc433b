import re

from keras_residual._words import first_line


class ExportError(ValueError):
    """A model that a format cannot express, or an artefact that is damaged or computes wrongly."""


def conversion_error(error: Exception) -> str:
    """Returns the operations that a converter's error names, or its first line."""
    names = re.findall(r"'(tf\.\w+)' op", str(error)) + re.findall(r"\b(Flex\w+)\b", str(error))
    return f"it has no {', '.join(sorted(set(names)))}" if names else first_line(error)
