"""The fixtures of conformance tests: what a test gets is its claim, its cell, the observer, and what asserts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

import pytest

from vitgate.files.locks import MachineLock
from vitgate.inputs.field_files import FieldItem
from vitgate.judge.latency_ratios import Bound
from vitgate.judge.tolerances import read_tolerances, Tolerances
from vitgate.observe.environment import lacking, lacking_runtime
from vitgate.observe.inputs import weights
from vitgate.observe.observer import Observer
from vitgate.observe.remote import RemoteObserver
from vitgate.spec.cells import CellId
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.outcome import ClaimFailed, Finding, Outcome
from vitgate.spec.run_config import RunConfig
from vitgate.spec.versions import emulated, machine

PLAN = pytest.StashKey[RunConfig]()
MACHINE_LOCK = pytest.StashKey[MachineLock]()


@dataclass
class Check:
    """One claim about one cell. `findings` collects what was judged, for the record, passed or not."""

    claim: Claim
    place: CellId | None
    observer: Observer
    tolerances: Tolerances
    machine: str
    findings: list[Finding] = field(default_factory=list)

    def assert_within(self, *, findings: Iterable[Finding], diagnose: Callable[[], str] | None = None) -> None:
        """Assert that every finding lies within its tolerance and that there is at least one.

        `diagnose` is called only on failure; its text joins the message.
        """
        __tracebackhide__ = True
        self.findings += [self._bounded(finding) for finding in findings]
        out = [finding for finding in self.findings if not finding.ok]
        if out or not any(finding.judged for finding in self.findings):
            text = "; ".join(finding.line() for finding in out) or "nothing was compared"
            text += f". {diagnose()}" if diagnose and out else ""
            raise ClaimFailed(Outcome("failed", message=text, findings=tuple(self.findings)))

    def assert_that(self, *, holds: bool, message: str, error: str = "") -> None:
        """Assert a plain fact.

        Args:
            holds: Whether it is one.
            message: What was got, and what expected.
            error: The exception's type, if one was raised.

        Raises:
            ClaimFailed: It does not hold.
        """
        __tracebackhide__ = True
        if not holds:
            raise ClaimFailed(Outcome("failed", error=error, message=message))
        self.findings.append(Finding("holds", 1.0, "1", lower=1.0, tolerance="exact"))

    def latency_bounds(self) -> dict[str, Bound]:
        """Return the bounds that decide when the sampling of this engine's latencies may stop."""
        found = {}
        group = (self.cell.case, self.cell.engine)
        for cell in [cell for cell in read_claims()["latency"].cells() if (cell.case, cell.engine) == group]:
            finding = Finding("ratio", 1.0, "1", against="original")
            row = self.tolerances.find("latency", finding, cell, self._weights(), self.machine)
            found[str(cell.variant)] = Bound(row.lower, row.upper)
        return found

    def _bounded(self, finding: Finding) -> Finding:
        return self.tolerances.bounded(self.claim.id, finding, self.place, self._weights(), self.machine)

    def _weights(self) -> str:
        if self.claim.per == "file":
            return ""
        return str(self.observer.get(weights, self.place.case).values["kind"]) if self.place else ""

    @property
    def cell(self) -> CellId:
        """The cell; a claim about something else has none."""
        assert self.place is not None
        return self.place


@dataclass
class FieldCheck(Check):
    """A check of one file that was made elsewhere; `place` is the cell that it was made as, where that is known."""

    file: FieldItem | None = None

    @property
    def item(self) -> FieldItem:
        """The file."""
        assert self.file is not None
        return self.file


CHECK = pytest.StashKey[Check]()
"""Under which a test keeps its check, whose findings its row will hold."""


def claim_of(marker: pytest.Mark) -> Claim:
    """Return the claim that a marker names."""
    claims, named = read_claims(), ", ".join(map(repr, marker.args))
    if len(marker.args) != 1 or marker.args[0] not in claims:
        raise pytest.UsageError(f"@pytest.mark.claim({named}): no such claim in fixtures/claims.toml")
    return claims[marker.args[0]]


@pytest.fixture(scope="session")
def observer(request: pytest.FixtureRequest) -> Generator[Observer, None, None]:
    """Return what this worker observes the pipeline through."""
    remote = RemoteObserver(request.config.stash[PLAN], request.config.stash[MACHINE_LOCK])
    yield remote
    remote.close()


@pytest.fixture
def check(request: pytest.FixtureRequest, cell: CellId, observer: Observer) -> Check:
    """Return the claim, the cell and the helpers that judge.

    Args:
        request: pytest's, with the test's marker `claim`.
        cell: What the test is about.
        observer: Makes the observations.

    Raises:
        ClaimFailed: The engine is not supported here, or latency is not judged in this run.
    """
    made = Check(claim_of(request.node.get_closest_marker("claim")), cell, observer, read_tolerances(), machine())
    request.node.stash[CHECK] = made
    lacks = lacking(observer, cell) if made.claim.per != "case" else None  # whose engine is no matter
    if outcome := lacks or _untimed(made.claim):
        raise ClaimFailed(outcome)
    return made


def _untimed(claim: Claim) -> Outcome | None:
    """Return the `unsupported` outcome of a claim that measures time if this machine is emulated."""
    if claim.runs != "alone" or not emulated():
        return None
    return Outcome("unsupported", message=f"an emulated {machine()} says nothing of the time that a real one takes")


@pytest.fixture
def field_check(request: pytest.FixtureRequest, item: FieldItem, observer: Observer) -> FieldCheck:
    """Return the helpers for one file that was made elsewhere.

    Args:
        request: pytest's, with the test's marker `claim`.
        item: The file.
        observer: Makes the observations.

    Raises:
        ClaimFailed: This build lacks the engine or the runtime.
    """
    claim = claim_of(request.node.get_closest_marker("claim"))
    made = FieldCheck(claim, item.cell, observer, read_tolerances(), machine(), file=item)
    request.node.stash[CHECK] = made
    if outcome := lacking_runtime(observer, item.row):
        raise ClaimFailed(outcome)
    return made


@pytest.fixture
def session_check(request: pytest.FixtureRequest, observer: Observer) -> Check:
    """Return the helpers for a claim that is not about a cell."""
    made = Check(claim_of(request.node.get_closest_marker("claim")), None, observer, read_tolerances(), machine())
    request.node.stash[CHECK] = made
    return made
