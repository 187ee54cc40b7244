"""What a checkpoint's pickle would do, found out without doing any of it.

`torch.load(weights_only=True)` runs no code of a stranger's, but it builds what the pickle says: a bytearray of any
size, or a key of tuples within tuples whose hash takes years. A state needs neither: a file that asks is refused.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

_MOST_WEIGHT = 10_000_000  # values, counted each time they occur: a state of 1000 parameters has about 30,000
_NEEDED = re.compile(
    r"collections OrderedDict"
    r"|torch(\.\w+)* \w+Storage"
    r"|torch (Size|Tensor|device|bfloat16|(float|int|uint|complex)\d+|bool|double|float|half|long|int|short)"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter|sparse_tensor|meta_tensor_no_storage|qtensor)"
    r"|torch\.serialization _get_layout"
)  # a tensor of a kind that no model here has is named later
_REFUSED = "it asks for {name}, which is more than tensors; nothing of it was run"


def more_than_tensors(pickle: bytes | BinaryIO) -> str:
    """Say what one pickle holds that no state of tensors needs; empty where there is nothing.

    A stream is left after the pickle's end. Raises ValueError, or what `pickletools` does, for what is no pickle.
    """
    for name in _asked(pickle):
        if not _NEEDED.fullmatch(name):
            shown = name.replace(" ", ".").encode("unicode_escape").decode()[:80]
            return _REFUSED.format(name=shown)
    return ""


def check_pickle(pickle: bytes | BinaryIO) -> None:
    """ValueError for a pickle that is cut off, or whose values are nested without end, whatever it asks for."""
    for _ in _asked(pickle):
        pass


def _asked(pickle: bytes | BinaryIO) -> Iterator[str]:
    """Go through a pickle; yield the classes and functions that it asks for, as `module name`."""
    weights = _Weights()
    for opcode, argument, _ in pickletools.genops(pickle):
        if name := weights.step(opcode, argument):
            yield name
        if weights.heaviest > _MOST_WEIGHT:
            raise ValueError("its values are nested without end")


class _Weights:
    """The stack and the memo of a pickle, each value as a number: how many values are in it.

    A value that a memo gives back twice counts twice, which is what makes a short program of doublings heavy. Names of
    classes and functions are kept as texts.
    """

    def __init__(self) -> None:
        self.heaviest = 0
        self._stack: list[int | str | None] = []
        self._memo: dict[int, int | str | None] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> str:
        """Do what the opcode does; return the name of a class or function, `module name`, where it asks for one."""
        kind = opcode.name
        if kind in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if kind == "MEMOIZE" else argument] = self._stack[-1]
        elif kind in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif kind == "MARK":
            self._stack.append(None)
        elif kind in ("GLOBAL", "INST"):
            self._stack.append(argument)
            return str(argument)
        elif kind == "STACK_GLOBAL":
            return self._named()
        elif kind == "DUP":
            self._stack.append(self._stack[-1])
        elif isinstance(argument, str):
            self._stack.append(argument)
        else:
            self._replace(opcode)
        return ""

    def _named(self) -> str:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(1)
        return f"{module} {name}"

    def _replace(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take from the stack what the opcode takes, and put what it gives, with the weight of all that was taken."""
        taken: list[int | str | None] = []
        before = opcode.stack_before
        if pickletools.markobject in before:
            while (value := self._stack.pop()) is not None:
                taken.append(value)
            before = before[: before.index(pickletools.markobject)]
        taken += [self._stack.pop() for _ in before]
        weight = 1 + sum(value if isinstance(value, int) else 1 for value in taken)
        self.heaviest = max(self.heaviest, weight)
        self._stack += [weight] * len(opcode.stack_after)
