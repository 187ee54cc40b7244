"""Print `docs/accepted.md`, the forms of input that are taken and those that are refused, from the tests that show it.

    python scripts/accepted.py > docs/accepted.md

A test says so by `@pytest.mark.accepts(kind, form)` or `@pytest.mark.refuses(kind, form)`.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("tests/unit/inputs", "tests/unit/pipeline", "tests/unit/upgrade", "tests/meta/test_gallery.py")
KINDS = ("model", "checkpoint", "saved file (`--field`)", "requirements", "pin of torch")
HEAD = """# What is accepted

Each line is shown by a test; `scripts/accepted.py` makes this page from them. What is refused ends in one line that
says what, where and what to do, with exit status 4, before anything is built.
[Kinds of models](models.md#kinds-of-models) says what each needs.
"""


class Marked:
    """The marks of the tests that are collected: (kind, form) with the mark's name, each once."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: dict[tuple[str, str], str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the marks of every test."""
        for item in session.items:
            for name in ("accepts", "refuses"):
                for mark in item.iter_markers(name):
                    self.found[mark.args] = name


def marked() -> dict[tuple[str, str], str]:
    """Collect the tests and return their marks; SystemExit where they cannot be collected."""
    plugin = Marked()
    said = io.StringIO()
    arguments = ["--collect-only", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    with contextlib.redirect_stdout(said):
        status = pytest.main([*arguments, *(str(ROOT / place) for place in PLACES)], plugins=[plugin])
    if status:
        sys.exit(f"the tests cannot be collected (pytest's exit status {status}):\n{said.getvalue()}")
    return plugin.found


def page(found: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield the lines of the page; KeyError for a kind that has no place on it."""
    yield HEAD
    if unknown := {kind for kind, _ in found} - set(KINDS):
        raise KeyError(f"no place for {sorted(unknown)} in KINDS")
    for kind in KINDS:
        yield f"## {kind[0].upper()}{kind[1:]}\n\n| form | |\n|---|---|"
        for name, word in (("accepts", "accepted"), ("refuses", "refused")):
            for form in (form for (of, form), mark in found.items() if (of, mark) == (kind, name)):
                yield f"| {form.replace('|', '&#124;')} | {word} |"
        yield ""


if __name__ == "__main__":
    print("\n".join(page(marked())).rstrip())
