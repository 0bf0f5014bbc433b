"""Reports damaged files."""

import warnings

from keras_residual.data.errors import DatasetError

_NAMED = 100


def tell_of_damaged(errors: dict[str, str], count: int, damaged: str, noun: str) -> None:
    """Raises an error that names damaged files, or warns that they are left out.

    Args:
        errors: The message for each of them.
        count: Number of all files.
        damaged: `"raise"` or `"leave_out"`.
        noun: The kind of files in the plural, such as `"pictures"`.
    """
    names = list(errors)
    several = f"{len(names)} of {count} {noun} cannot be used: {', '.join(names[:_NAMED])}"
    if len(names) > _NAMED:
        several += f" and {len(names) - _NAMED} more"
    first = errors[names[0]]
    if damaged == "raise":
        raise DatasetError(
            (first if len(names) == 1 else f"{several} ({first})")
            + " Mend or remove what is damaged, or leave it out by damaged='leave_out'."
        )
    if len(names) == count:
        raise DatasetError(f"{several} ({first})")
    warnings.warn(f"{several}. They are left out.", stacklevel=5)
