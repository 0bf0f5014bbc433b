"""Terminal output that commands share: one-line errors, and native libraries silenced."""

import contextlib
import os
import pathlib
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from keras_residual import _needs, _notices
from keras_residual.cli._wording import as_typed

REFUSED, INTERRUPTED = 2, 130
# The largest seed that `keras.utils.set_random_seed` accepts.
LARGEST_SEED = 2**32 - 1
console = Console(highlight=False, emoji=False)
_PACKAGE = pathlib.Path(__file__).parents[1]
_errors = Console(stderr=True, highlight=False, emoji=False)


def in_one_line() -> bool:
    """Returns whether a sentence is printed without line breaks, where no terminal shows it.

    On a terminal, lines end between words; commands to be copied always stay in one line.
    """
    return not console.is_terminal


def fail(message: object, code: int = REFUSED) -> NoReturn:
    """Prints one line on standard error and ends the command."""
    line = " ".join(str(message).split())
    _errors.print(f"[bold red]Error:[/] {escape(line)}", soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Turns an error in the user's arguments or files into one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("KERAS_RESIDUAL_TRACEBACK"):
            raise
        if isinstance(error, FileExistsError | NotADirectoryError) and error.filename:
            fail(f"{error.filename} must be a folder, and is a file.")
        message = _needs.explained(error) if isinstance(error, ImportError) else str(error)
        fail(as_typed(message))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Handles an interruption of a command that writes its files only at the end."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nInterrupted; nothing was written.")
        raise SystemExit(INTERRUPTED) from None


@contextlib.contextmanager
def quiet(*expected: type[BaseException]) -> Iterator[None]:
    """Suppresses what native libraries write to standard error, unless the block crashes.

    Warnings of this package are still shown, one line each.

    Args:
        *expected: Exceptions that do not count as a crash, besides invalid arguments and
            interruptions.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            with _own_warnings_shown(stderr), _notices_shown(stderr):
                yield
        except (ValueError, OSError, ImportError, KeyboardInterrupt, typer.Exit, *expected):
            raise
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _notices_shown(stderr: int) -> Iterator[None]:
    """Lets downloads show their licence and progress on a file descriptor."""
    with (
        os.fdopen(os.dup(stderr), "w", encoding="utf-8") as terminal,
        _notices.shown_on(terminal),
    ):
        yield


@contextlib.contextmanager
def _own_warnings_shown(stderr: int) -> Iterator[None]:
    """Prints this package's warnings to a file descriptor, or through a running progress bar."""

    def show(message, category, filename, lineno, file=None, line=None):
        if not pathlib.Path(filename).is_relative_to(_PACKAGE):
            return others(message, category, filename, lineno, file, line)
        text = f"[bold yellow]Warning:[/] {escape(' '.join(str(message).split()))}"
        if sys.stderr is not sys.__stderr__:
            return _errors.print(text, soft_wrap=True)
        with os.fdopen(os.dup(stderr), "w", encoding="utf-8") as terminal:
            return Console(file=terminal, highlight=False, emoji=False).print(text, soft_wrap=True)

    with warnings.catch_warnings():
        others, warnings.showwarning = warnings.showwarning, show
        yield


def command(*words: object) -> str:
    """Returns a command line of this program, quoted for a shell."""
    return shlex.join(["keras-residual", *map(str, words)])


def bold(text: object) -> str:
    """Returns a text, such as a path, in bold, with rich markup escaped."""
    return f"[bold]{escape(str(text))}[/]"


def print_next(*words: object) -> None:
    """Prints the usual next command."""
    console.print(f"Next: {command(*words)}", style="dim", markup=False, soft_wrap=True)


def same_command(*, drop: str = "", add: str = "") -> str:
    """Returns the current command line, without one option and with another."""
    words = [word for word in sys.argv[1:] if word not in (drop, add)]
    return command(*words, *([add] if add else []))
