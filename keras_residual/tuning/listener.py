from keras_tuner.engine.trial import Trial


class Listener:
    """Base class of listeners to a search; its methods do nothing, for subclasses to override."""

    def search_began(self, ended: list[Trial]) -> None:
        """Called when the search begins or resumes, with the trials that have ended."""

    def trial_began(self, trial: Trial) -> None:
        """Called before a trial is trained."""

    def epoch_ended(self, trial: Trial, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch of a trial."""

    def trial_ended(self, trial: Trial) -> None:
        """Called after a trial; see its status and message."""

    def message(self, line: str) -> None:
        """Called with a message for the user, such as one about a damaged file."""
