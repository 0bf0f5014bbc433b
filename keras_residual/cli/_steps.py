"""What a command is doing, how far it is, and how long it may yet take."""

import contextlib
from collections.abc import Iterator, Sequence

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from keras_residual import _notices
from keras_residual.cli._terminal import console
from keras_residual.cli._units import human_minutes


class _Remaining(ProgressColumn):
    """The remaining time, as long as the finished steps took for their share of the work."""

    def render(self, task: Task) -> Text:
        finished = task.completed - task.fields["base"]
        if not task.total or not finished:
            return Text("")
        rest = task.total - task.completed
        at_last = (task.fields["reached"] - task.fields["begun"]) * rest / finished
        # A step that takes longer than the others does not end the whole.
        left = max(at_last - (task.get_time() - task.fields["reached"]), at_last / 4)
        return Text(f"{human_minutes(left)} left" if left >= 1 else "almost done")


class Steps:
    """A line on the terminal: the current step, a bar and the remaining time.

    Until the steps are planned it is a spinner. Where there is no terminal nothing is shown.

    Args:
        text: The first step, such as `"Starting Keras"`.
    """

    def __init__(self, text: str):
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(16),
            _Remaining(table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task(text, total=None, begun=0.0, reached=0.0, base=0.0)
        self._stack = contextlib.ExitStack()
        self._shares: list[float] = []
        self._begun = 0

    def __enter__(self) -> "Steps":
        self._bar.start()
        self._stack.enter_context(_notices.pausing(self._paused))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
        self._bar.stop()

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """Leaves the terminal to a download."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def plan(self, shares: Sequence[float]) -> None:
        """Says how many steps there will be at most.

        Args:
            shares: A number for each step, in proportion to the time that it usually takes.
        """
        now = self._bar.get_time()
        self._shares = list(shares)
        self._bar.update(self._task, total=sum(shares), completed=0, begun=now, reached=now)

    def __call__(self, text: str) -> None:
        """Shows that the next step begins, and that the one before it has ended."""
        done = sum(self._shares[: self._begun])
        now = self._bar.get_time()
        self._bar.update(self._task, description=text, completed=done, reached=now)
        self._begun += 1

    def reach(self, done: int, total: int) -> None:
        """Shows how many of `total` equal steps have ended.

        The first call starts the clock: before it, the steps may have waited for something else.
        """
        if not self._shares:
            self.plan([1] * total)
            self._bar.update(self._task, base=done)
        self._bar.update(self._task, completed=done, reached=self._bar.get_time())
