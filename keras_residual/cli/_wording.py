"""Rewords errors of the library for the command line: options in place of arguments."""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import typer

# Arguments of the library whose option has another name.
_ALIASES = {
    "benchmark": {"batch_sizes": "--batch-size"},
    "export": {
        "evaluation_data": "--data",
        "formats": "--format",
        "include_preprocessing": "--preprocessing",
        "representative_data": "--data",
    },
    "predict": {"paths": "pictures"},
    "train": {"fraction": "--hold-out", "patch_size": "--image-size"},
    "tune": {"base": "--model", "role": "--distributed", "secret": "--secret-file"},
}
# Accepted values that only Python code can pass, and their replacement in messages.
_NO_RESUME = ((r"with resume=False", "with --no-resume"),)
_PHRASES = {
    "quickstart": ((r"start over with resume=False", "leave out --resume"),),
    "train": (
        *_NO_RESUME,
        (
            r"`name` (must be .* for transcripts\. Received: )name='(.*)'",
            r"`--model` \1--model \2",
        ),
    ),
    "tune": (
        *_NO_RESUME,
        (r"exceed max_(parameters|macs)=", r"exceed --max-\1 "),
        (r"exceed max_file_size=", "exceed --max-file-size "),
        (r"exceed max_latency_ms=", "exceed --max-latency-ms "),
    ),
    "export": (
        (r", such as `(keras\.)?layers\..*?`weights\.Preprocessing[^`]*`", ": caffe, tf or torch"),
        (r", some inputs as the model will see them", ""),
        (r"one of None, ", "one of "),
    ),
}
# Options whose values are NAME=VALUE, with names typed by the user.
_NAMING = ("changes", "knob")
_current: ContextVar[tuple[str, Mapping[str, str]]] = ContextVar("verb", default=("", {}))


@contextlib.contextmanager
def running(name: str, verb: Callable[..., None], values: Mapping[str, Any]) -> Iterator[None]:
    """Records the running command, so that `as_typed` knows its options."""
    typed = [text for option in _NAMING for text in values.get(option) or ()]
    own = {text.partition("=")[0] for text in typed}
    options = {**options_of(verb), **_ALIASES.get(name, {})}
    before = _current.set((name, {k: v for k, v in options.items() if k not in own}))
    try:
        yield
    finally:
        _current.reset(before)


def options_of(verb: Callable[..., None]) -> dict[str, str]:
    """Returns the options of a command by parameter name."""
    found = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        option = parameter.annotation.__metadata__[0]
        if isinstance(option, typer.models.OptionInfo):
            # Typer stores the first name as the default value.
            names = [text for text in (option.default, *option.param_decls) if text is not ...]
            found[name] = names[0] if names else "--" + name.replace("_", "-")
    return found


def as_typed(message: str) -> str:
    """Returns an error message with options in place of argument names, and the next command."""
    verb, options = _current.get()
    for pattern, phrase in _PHRASES.get(verb, ()):
        message = re.sub(pattern, phrase, message)
    names = "|".join(options) or "$^"
    is_of_arguments = re.search(rf"`({names})[`=]", message)
    for name, option in options.items():
        value = rf"(?<![\w.-]){name}="
        # A flag has no value to quote.
        message = re.sub(rf"{value}True\b", option, message)
        if is_of_arguments:
            message = re.sub(rf"Received: {name}=None\b", f"Received: no {option}", message)
            message = re.sub(rf"{value}(['\"])(.*?)\1", rf"{option} \2", message)
            message = re.sub(value, f"{option} ", message)
        message = message.replace(f"`{name}`", f"`{option}`")
    if message.startswith("Unknown model: "):
        message += " `keras-residual list` shows all names."
    return message
