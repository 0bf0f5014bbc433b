"""Checks which objects the pickle of a PyTorch checkpoint would create, without unpickling."""

import pathlib
import pickletools
import re
from collections.abc import Iterable
from typing import Any

from keras_residual.weights.errors import WeightsError

# Names in the pickle of a state dict. PyTorch's own list also allows `bytearray`, `torch.Tensor`
# and others, which allocate any size that they are called with.
_GLOBALS = re.compile(
    r"collections OrderedDict|builtins set|__builtin__ set|_codecs encode|torch Size|torch device"
    r"|torch\._utils _rebuild_(tensor(_v2|_v3)?|parameter(_with_state)?)"
    r"|torch\.nn\.parameter Parameter|torch\.serialization _get_layout"
    r"|torch(\.storage|\.cuda)? \w+Storage"
    r"|torch (b?float|u?int|bool|complex|half|double|long|short)\w*"
)
# Nesting of tuples; a tensor takes three. Hashing a deep one with shared parts never ends.
_DEEPEST = 16
_MARK = object()


def check(path: pathlib.Path, pickle: Iterable[tuple[Any, ...]]) -> None:
    """Raises for every Python object that does not belong to a state dict.

    Args:
        path: The file, for messages.
        pickle: The operations of a pickle, as from `pickletools.genops`.
    """
    machine = _Tuples()
    for operation, argument, _ in pickle:
        if operation.name in ("STACK_GLOBAL", "INST", "OBJ") or operation.name.startswith("EXT"):
            raise WeightsError(f"{path}: refused: not a checkpoint of tensors only")
        if operation.name == "GLOBAL" and _GLOBALS.fullmatch(argument) is None:
            raise WeightsError(f"{path}: refused: {holds(argument.replace(' ', '.'))}")
        if machine.run(operation, argument) > _DEEPEST:
            raise WeightsError(f"{path}: refused: it holds tuples inside one another without end")


def holds(name: str) -> str:
    """Returns the reason to refuse a file that names a Python object."""
    return f"it holds the Python object {name}, which could run code; save model.state_dict() alone"


class _Tuples:
    """A pickle's stack and memo, which hold the depth of each object instead of the object."""

    def __init__(self):
        self.stack, self.memo = [], {}

    def run(self, operation: pickletools.OpcodeInfo, argument) -> int:
        """Runs one operation and returns the depth of its result."""
        name = operation.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
            return 0
        if name == "MARK":
            self.stack.append(_MARK)
            return 0
        if name == "DUP":
            self.stack.append(self.stack[-1])
            return 0
        taken = self._take(operation.stack_before)
        depth = 0
        if name.startswith("TUPLE"):
            depth = 1 + max(taken, default=0)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            depth = self.memo[argument]
        self.stack.extend([depth] * len(operation.stack_after))
        return depth

    def _take(self, before: list[Any]) -> list[int]:
        taken = []
        if pickletools.markobject in before:
            while (item := self.stack.pop()) is not _MARK:
                taken.append(item)
            before = before[: before.index(pickletools.markobject)]
        return taken + [self.stack.pop() for _ in before]
