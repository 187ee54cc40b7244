"""The operators that a lite file may need: `fixtures/operators.toml`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from vitgate.files.schemas import fixtures_folder, read_model, Strict


class OperatorGroup(Strict):
    """Operators, with overload names as PyTorch writes them, that are allowed for one reason."""

    id: str
    reason: str
    operators: tuple[str, ...]


class OperatorFile(Strict):
    """The whole of `operators.toml`."""

    group: list[OperatorGroup]


@cache
def read_operators() -> frozenset[str]:
    """Return every allowed operator."""
    groups = read_model(OperatorFile, fixtures_folder() / "operators.toml").group
    return frozenset(name for group in groups for name in group.operators)


def outside(operators: Iterable[str], allowed: frozenset[str]) -> list[str]:
    """Return the operators that are not allowed, sorted."""
    return sorted(set(operators) - allowed)
