import re

from keras_residual._words import first_line


class ExportError(ValueError):
    """Raised when a format cannot express a model, or an artefact is damaged or wrong."""


def conversion_error(error: Exception) -> str:
    """Returns the unsupported operations that a converter's error names, or its first line."""
    names = re.findall(r"'(tf\.\w+)' op", str(error)) + re.findall(r"\b(Flex\w+)\b", str(error))
    return f"it has no {', '.join(sorted(set(names)))}" if names else first_line(error)
