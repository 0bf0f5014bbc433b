class ExportError(ValueError):
    """A model that a format cannot express, or an artefact that is damaged or computes wrongly."""


def first_line(error: Exception) -> str:
    """Returns what is worth showing of a foreign error."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
