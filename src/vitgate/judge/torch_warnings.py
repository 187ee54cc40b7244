"""Which warnings PyTorch is known to give for the tutorial's calls, and what is new, more severe or gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path

from vitgate.files.schemas import fixtures_folder, read_model, Strict
from vitgate.spec.versions import machine, VersionRange, within


class Severity(IntEnum):
    """How severe a category of warnings is: a larger one is hidden from fewer users, and nearer to removal.

    `CPP` is a warning that C++ code printed; `OTHER` any category that is not named here.
    """

    PendingDeprecationWarning = 0
    DeprecationWarning = 1
    CPP = 2
    UserWarning = 3
    FutureWarning = 4
    OTHER = 5

    @classmethod
    def of(cls, category: str) -> Severity:
        """Return the severity of a category by its name."""
        return cls.CPP if category == "C++" else cls.__members__.get(category, cls.OTHER)


Observed = Mapping[str, Sequence[tuple[str, str]]]


class DeclaredWarning(Strict):
    """One known warning of one call (an id of `api.toml`).

    `text` is a part of the normalised text; `torch` a version specifier, `machines` the types of machine, all
    where it is left out; `optional` warnings need not show (where an
    earlier import in the process may have used them up).
    """

    call: str
    category: str
    text: str
    torch: VersionRange
    machines: tuple[str, ...] | None = None
    optional: bool = False

    def holds(self, torch_version: str) -> bool:
        """Whether the declaration is about this PyTorch on this machine; a local part or suffix does not matter."""
        return within(self.torch, torch_version) and (self.machines is None or machine() in self.machines)


class WarningFile(Strict):
    """The whole of `warnings.toml`."""

    warning: list[DeclaredWarning]


@cache
def read_warnings(path: Path | None = None) -> tuple[DeclaredWarning, ...]:
    """Return the declared warnings in the file's order."""
    return tuple(read_model(WarningFile, path or fixtures_folder() / "warnings.toml").warning)


def unexpected(observed: Observed, declared: Sequence[DeclaredWarning], torch_version: str) -> list[str]:
    """Return one line for every warning that is not declared for this PyTorch, and say where one has become severer.

    Args:
        observed: (category, normalised text) pairs by the id of the call.
        declared: The rows of `warnings.toml`.
        torch_version: That runs.
    """
    rows = [row for row in declared if row.holds(torch_version)]
    lines = []
    for call, pairs in observed.items():
        for category, text in dict.fromkeys(pairs):
            near = [row.category for row in rows if row.call == call and row.text in text]
            if category not in near:
                lines.append(f"{call}: {_change(category, near)}: {text}")
    return lines


def stale(observed: Observed, declared: Sequence[DeclaredWarning], torch_version: str) -> list[str]:
    """Return one line for every warning that is declared for this PyTorch and an observed call, and did not show.

    Args:
        observed: (category, normalised text) pairs by the id of the call.
        declared: The rows of `warnings.toml`; optional ones need not show.
        torch_version: That runs.
    """
    return [
        f"{row.call}: declared {row.category} did not show: {row.text}"
        for row in declared
        if row.holds(torch_version) and not row.optional
        if row.call in observed and not _shows(row, observed[row.call])
    ]


def _shows(row: DeclaredWarning, pairs: Sequence[tuple[str, str]]) -> bool:
    return any(category == row.category and row.text in text for category, text in pairs)


def _change(category: str, known: Sequence[str]) -> str:
    if not known:
        return f"new {category}"
    word = "escalated" if Severity.of(category) > max(map(Severity.of, known)) else "changed"
    return f"{word} from {' and '.join(dict.fromkeys(known))} to {category}"
