"""What `data` raises."""


class DatasetError(ValueError):
    """A dataset that is missing, damaged or not of the accepted form; one line says which."""
