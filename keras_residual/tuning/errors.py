"""What can go wrong with a search."""


class EmptySpaceError(ValueError):
    """A space without a network that fits into its budget."""


class SearchError(RuntimeError):
    """A search that cannot go on; one line says why."""
