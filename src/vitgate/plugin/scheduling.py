"""Which worker runs what, so that nothing is loaded twice: one scope holds all tests of one case under one engine.

Each worker takes a scope and keeps its modules while it lasts. The two float variants are a scope of their own,
shared by all engines, so that two workers can start on one engine at once; reading weights back needs the files alone,
and is one too, and so are the successors that are compiled. Scopes start in collection order, which `ordered` sets:
first of all the C++ program is compiled, which takes a worker a quarter of a minute once, and what runs that program
comes late in its scope.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from vitgate.spec.cells import CellId
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.rows import RowName

FLOAT = ("original", "scripted")
COMPILED = ("inductor", "inductor_int8")  # successors that take as long to build as all others together
_NATIVE = "conformance/test_native.py"


def cell_of(item: pytest.Item) -> CellId | None:
    """Return the cell that a test is about; one about a case and an engine stands at its first variant."""
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec else None
    return cell if isinstance(cell, CellId) else None


def scope_of(nodeid: str) -> str:
    """Return the scope of a test by its id: case and engine for conformance tests, otherwise its file."""
    path, _, rest = nodeid.partition("::")
    parts = RowName.parse(rest).subject.split("-")
    if path.endswith("test_field.py"):
        if len(parts) != 4:
            return f"{path}:own"
        return f"{path}:{parts[2]}{':float' if parts[3] in FLOAT else ''}"  # a float file costs as much as three others
    if len(parts) < 2 or parts[1] not in EVERY_ENGINE:
        return path
    if path.endswith("test_weights.py"):
        return f"{parts[0]}-weights"
    of_variant = len(parts) == 3 and "latency" not in path
    if of_variant and parts[2] in COMPILED:
        return f"{parts[0]}-compiled"
    return f"{parts[0]}-{'float' if of_variant and parts[2] in FLOAT else parts[1]}"


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


def _rank(item: pytest.Item) -> tuple[int, str, int]:
    path, scope = item.nodeid.partition("::")[0], scope_of(item.nodeid)
    if scope == path and path.endswith(_NATIVE):
        return (0, "", 0)
    conformance = cell_of(item) is not None and scope != path
    last = 2 if item.get_closest_marker("alone") is not None else int(path.endswith(_NATIVE))
    return (0 if conformance else 1, _weight(scope) if conformance else "", last)


def _weight(scope: str) -> str:
    """Float scopes first, since every engine compares with them; then the engines, the slowest first; then the files.

    What takes longest must not be what one worker is left with while the others have nothing to do.
    """
    case, _, part = scope.rpartition("-")
    return f"{case}:{('float', 'compiled', *reversed(EVERY_ENGINE), 'weights').index(part)}"
