"""What is said of damaged files."""

import warnings

from keras_residual.data.errors import DatasetError

_NAMED = 100


def tell_of_damaged(errors: dict[str, str], count: int, damaged: str, noun: str) -> None:
    """Raises, or warns that damaged files are left out, and names them.

    Args:
        errors: What is wrong with each of them.
        count: Number of all files.
        damaged: `"raise"` or `"leave_out"`.
        noun: What the files are, such as `"pictures"`.
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
