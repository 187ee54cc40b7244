"""Text for people: names that have room, and the line of an error that says what is wrong."""

from __future__ import annotations

import pytest

from vitgate.files.text import reason, some

INTERPRETER = """The following operation failed in the TorchScript interpreter.
Traceback of TorchScript (most recent call last):
  File "model.py", line 3, in forward
        return self.head(x)
               ~~~~~~~~~ <--- HERE
RuntimeError: shape '[1, 4]' is invalid for input of size 3
"""


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["one"], "one"),
        (["one", "two", "one"], "one, two"),
        (["one", "two", "three"], "one, two and 1 more"),
        (["much too long a name", "two"], "much too l… and 1 more"),
    ],
)
def test_excess_names_are_counted(names: list[str], text: str) -> None:
    assert some(names, 10) == text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError(INTERPRETER), "RuntimeError: shape '[1, 4]' is invalid for input of size 3"),
        (
            RuntimeError("\n\nUnknown builtin op: aten::enable_grad.\nHere are some suggestions:"),
            "Unknown builtin op: aten::enable_grad.",
        ),
        (KeyError(), "KeyError"),
    ],
)
def test_reason_picks_informative_line(error: Exception, line: str) -> None:
    assert reason(error) == line
