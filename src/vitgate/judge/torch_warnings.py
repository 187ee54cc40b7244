"""Which warnings PyTorch is known to give for the tutorial's calls, and what is new, more severe or gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from vitgate.files.schemas import fixtures_folder, read_model, Strict
from vitgate.spec.versions import VersionRange, within

# From mild to severe; what stands further right is hidden from fewer users, and nearer to removal.
SEVERITY = ("PendingDeprecationWarning", "DeprecationWarning", "C++", "UserWarning", "FutureWarning")
Observed = Mapping[str, Sequence[tuple[str, str]]]


class DeclaredWarning(Strict):
    """One known warning of one call (an id of `api.toml`).

    `text` is a part of the normalised text; `torch` a version specifier; `optional` warnings need not show (where an
    earlier import in the process may have used them up).
    """

    call: str
    category: str
    text: str
    torch: VersionRange
    optional: bool = False

    def holds(self, torch_version: str) -> bool:
        """Whether the declaration is about this PyTorch; a local part or development suffix does not matter."""
        return within(self.torch, torch_version)


class WarningFile(Strict):
    """The whole of `warnings.toml`."""

    warning: list[DeclaredWarning]


@cache
def read_warnings(path: Path | None = None) -> tuple[DeclaredWarning, ...]:
    """Return the declared warnings in the file's order."""
    return tuple(read_model(WarningFile, path or fixtures_folder() / "warnings.toml").warning)


def unexpected(observed: Observed, declared: Sequence[DeclaredWarning], torch_version: str) -> list[str]:
    """Return one line for every warning that is not declared for this PyTorch, and say where one has become severer.

    `observed` has (category, normalised text) pairs by the id of the call.
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
    """Return one line for every warning that is declared for this PyTorch and an observed call, and did not show."""
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
    ranks = [SEVERITY.index(name) if name in SEVERITY else len(SEVERITY) for name in (category, *known)]
    word = "escalated" if ranks[0] > max(ranks[1:]) else "changed"
    return f"{word} from {' and '.join(dict.fromkeys(known))} to {category}"
