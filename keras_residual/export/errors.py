import re


class ExportError(ValueError):
    """A model that a format cannot express, or an artefact that is damaged or computes wrongly."""


def first_line(error: Exception) -> str:
    """Returns what is worth showing of a foreign error."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # TensorFlow puts the message of what failed while tracing behind the trace.
    return lines[-1].strip() if lines[0] == "in user code:" else lines[0]


def conversion_error(error: Exception) -> str:
    """Returns the operations that a converter's error names, or its first line."""
    names = re.findall(r"'(tf\.\w+)' op", str(error)) + re.findall(r"\b(Flex\w+)\b", str(error))
    return f"it has no {', '.join(sorted(set(names)))}" if names else first_line(error)
