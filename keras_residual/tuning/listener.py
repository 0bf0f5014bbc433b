from keras_tuner.engine.trial import Trial


class Listener:
    """Hears what a search does; subclasses show it. Every method does nothing here."""

    def search_began(self, ended: list[Trial]) -> None:
        """The search begins, or goes on after the trials that have ended."""

    def trial_began(self, trial: Trial) -> None:
        """A trial is about to be trained."""

    def epoch_ended(self, trial: Trial, epoch: int, logs: dict[str, float]) -> None:
        """An epoch of a trial is over."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial is over; its status and message say how."""

    def message(self, line: str) -> None:
        """Something happened that the user should know, such as a damaged file."""
