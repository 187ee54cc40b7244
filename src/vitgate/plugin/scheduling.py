"""Which worker runs what, so that nothing is loaded twice: one scope holds all tests of one case under one engine.

Each worker takes a scope and keeps its modules while it lasts. The two float variants are a scope of their own,
shared by all engines, so that two workers can start on one engine at once; what reads the files and what runs them by
the C++ program need the files alone, and are scopes too, and so are the successors that are compiled. Scopes start in
collection order, which `ordered` sets: first of all the C++ program is compiled, which takes a worker a quarter of a
minute once, and last comes what runs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from vitgate.spec.cells import CellId, FieldFileId, RowName
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.run_config import case_and_engine
from vitgate.spec.variants import FORMS, SUCCESSORS

FLOAT = ("original", "scripted")
# Successors that take as long to build as all others together.
COMPILED = tuple(name for name, form in SUCCESSORS.items() if form.runtime == "inductor")


def cell_of(item: pytest.Item) -> CellId | None:
    """Return the cell that a test is about; one about a case and an engine stands at its first variant."""
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec else None
    return cell if isinstance(cell, CellId) else None


def claim_of_test(nodeid: str) -> Claim | None:
    """Return the claim that a conformance test checks, by its id; None for any other test."""
    path, _, rest = nodeid.partition("::")
    inside = "conformance" in Path(path).parts
    return read_claims().get(RowName.parse(rest).claim.removeprefix("test_")) if inside else None


def scope_of(nodeid: str) -> str:
    """Return the scope of a test by its id: case and engine for conformance tests, otherwise its file."""
    path, subject = nodeid.partition("::")[0], RowName.of_test(nodeid).subject
    claim = claim_of_test(nodeid)
    if claim is None:
        return path
    if claim.scope == "files":
        return f"{path}:{_scope_of_file(subject)}"
    group = case_and_engine(nodeid)
    if group is None:
        return path
    if claim.scope == "weights":
        return f"{group.case}-weights"
    if claim.scope == "programs":
        return f"{subject}-programs"  # a process of its own for each
    if claim.scope == "processors":
        return f"{group.case}-processors"  # one worker starts the processes that are held to them
    variant = "" if claim.scope == "engine" else subject.removeprefix(str(group)).lstrip("-")
    if variant in COMPILED:
        return f"{group.case}-compiled"
    return f"{group.case}-float" if variant in FLOAT else str(group)


def _scope_of_file(subject: str) -> str:
    """Return engine and form of a file by its id; a float file costs as much as three others."""
    group = case_and_engine(str(RowName("", subject)))
    if group is None:
        return "user"
    float_ = FieldFileId.parse(subject).variant in FLOAT
    return f"{group.engine}{':float' if float_ else ''}"


class CellScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """xdist's scheduling by scope, with vitgate's scopes."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Put back what a crashed worker left, without the test that crashed it; return that test, if any.

        xdist's own puts back all its scopes, finished ones too, and the test itself: the worker that comes instead
        crashes likewise, or gets a scope of nothing to do and waits for ever.
        """
        units = self.assigned_work.pop(node)
        left = [(scope, nodeid) for scope, unit in units.items() for nodeid, done in unit.items() if not done]
        for scope, nodeid in left[1:]:
            self.workqueue.setdefault(scope, {})[nodeid] = False
        for other in self.assigned_work if left else ():
            self._reschedule(other)
        return left[0][1] if left else None

    def _reschedule(self, node: Any) -> None:
        """Give a worker more, if it is short of tests: at least two, since it runs one only once it knows the next."""
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)
        if not self.workqueue and not node.shutting_down:
            node.shutdown()  # once it has done what it has


def ordered(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Sort so that each scope is one run of tests, latency last in it, and conformance comes before all else."""
    return sorted(items, key=_rank)


def _rank(item: pytest.Item) -> tuple[int, str, int, tuple[int, ...]]:
    path, scope = item.nodeid.partition("::")[0], scope_of(item.nodeid)
    claim = claim_of_test(item.nodeid)
    if claim is not None and claim.runs == "first":
        return (0, "", 0, ())
    conformance = cell_of(item) is not None and scope != path
    last = int(claim is not None and claim.runs == "alone")
    return (0 if conformance else 1, _weight(scope) if conformance else "", last, _file(item, claim))


def _file(item: pytest.Item, claim: Claim | None) -> tuple[int, ...]:
    """Keep together what is read from one file."""
    cell = cell_of(item)
    if cell is None or claim is None or claim.scope != "weights":
        return ()
    return (EVERY_ENGINE.index(cell.engine), [*FORMS].index(cell.variant))


def _weight(scope: str) -> str:
    """Float scopes first, since every engine compares with them; then the engines, the slowest first; then the files.

    What takes longest must not be what one worker is left with while the others have nothing to do.
    """
    case, part = scope.partition("-")[0], scope.rpartition("-")[2]
    return f"{case}:{('float', 'compiled', *reversed(EVERY_ENGINE), 'weights', 'programs', 'processors').index(part)}"
