"""The error that `data` raises."""


class DatasetError(ValueError):
    """Raised in one line if a dataset is missing, damaged or not of an accepted form."""
