"""From a finished test to the last word about its claim: passed, declared, failed; and the words a reader sees."""

from __future__ import annotations

import pytest

from vitgate.files.errors import MachineError, NO_ROOM, VitgateError
from vitgate.files.text import printable
from vitgate.inputs.field_files import committed, FieldItem
from vitgate.judge.deviations import Place, read_deviations, Settled
from vitgate.judge.tolerances import read_tolerances
from vitgate.plugin.fixtures import CHECK
from vitgate.records.history import history
from vitgate.records.rows import claim_row, ClaimRow, Status
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, RowName
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.outcome import ClaimFailed, INPUTS, Outcome
from vitgate.spec.run_config import RunConfig
from vitgate.spec.versions import machine, packages

ROW = "vitgate_row"
"""The attribute of a report that holds its claim's row, as JSON: what a report has of its own, xdist hands over."""


def read_data() -> None:
    """Read every data file once, so that a mistake in one stops the run before it starts."""
    read_cases()
    read_claims()
    read_tolerances()
    read_deviations()
    committed()


def settle(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, claim: Claim) -> ClaimRow:
    """Decide the test's report by its outcome and the deviations that apply.

    Args:
        item: The test, with its `Check` in the stash.
        call: How it ended.
        report: pytest's report of that, which is changed.
        claim: What the test checks.

    Returns:
        The claim's row of the record.
    """
    outcome = _outcome(item, call)
    cell = _cell(item)
    subject = subject_of(item)
    place = Place(claim.id, subject, cell, packages().get("torch", "0"), machine(), _maker(item))
    settled, status = _settled(place, outcome)
    _write(report, status, settled)
    if status == "failed":
        report.longrepr = _message(claim, place, outcome, settled)
    return claim_row(
        claim=claim.id,
        subject=subject,
        test=item.nodeid,
        outcome=outcome,
        status=status,
        deviation=settled.deviation,
        message=settled.message,
        case=cell.case if cell else "",
        engine=cell.engine if cell and claim.per != "case" else "",
        variant=cell.variant if cell and claim.per == "cell" else "",
    )


def ends_run(row: ClaimRow, plan: RunConfig) -> bool:
    """Whether what stood in the way of this check stands in that of all others: it is not about one case of several."""
    return row.status == "environment error" and not (row.at == INPUTS and len(plan.cases) > 1)


def subject_of(item: pytest.Item) -> str:
    """Return what the test is about, as its row will name it: the exact id of its parameters, or its own name."""
    return str(item.callspec.id) if hasattr(item, "callspec") else item.name


def _cell(item: pytest.Item) -> CellId | None:
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return None
    item = callspec.params.get("item")
    return item.cell if isinstance(item, FieldItem) else callspec.params.get("cell")


def _maker(item: pytest.Item) -> str:
    """Return the torch that made the file which the test is about, if it is about one and that is known."""
    file = item.callspec.params.get("item") if hasattr(item, "callspec") else None
    return file.maker if isinstance(file, FieldItem) else ""


def _outcome(item: pytest.Item, call: pytest.CallInfo[None]) -> Outcome:
    check = item.stash.get(CHECK, None)
    findings = tuple(check.findings) if check else ()
    error = call.excinfo.value if call.excinfo else None
    if error is None:
        return Outcome("passed", findings=findings)
    if isinstance(error, ClaimFailed):
        return error.outcome
    if isinstance(error, VitgateError):
        at = INPUTS if error.case else ""
        return Outcome("environment error", at, type(error).__name__, str(error))
    if isinstance(error, OSError) and error.errno in NO_ROOM:  # evidence that could not be kept judges nothing
        full = MachineError(f"cannot write: {error.strerror}", where=error.filename or "", do="free disk space")
        return Outcome("environment error", error=type(full).__name__, message=str(full))
    if isinstance(error, pytest.skip.Exception):
        return Outcome("failed", message=f"skipped ({error}): a claim is never skipped; declare a deviation instead")
    return Outcome("failed", error=type(error).__name__, message=str(error) or type(error).__name__, findings=findings)


def _settled(place: Place, outcome: Outcome) -> tuple[Settled, Status]:
    if outcome.kind in ("unsupported", "environment error"):
        return Settled("failed", message=outcome.message), outcome.kind  # type: ignore[return-value]  # kinds are statuses
    settled = read_deviations().settle(place, outcome)
    return settled, settled.status  # type: ignore[return-value]  # likewise


def _message(claim: Claim, place: Place, outcome: Outcome, settled: Settled) -> str:
    return (
        f"claim {claim.id} [{place.subject}] on torch {place.torch}: {_shown(settled.message)}\n"
        f"  the claim: {claim.says}\n"
        f"  outcome: {outcome}{' with ' + outcome.error if outcome.error else ''}\n"
        f"  recorded releases: {history(str(RowName(claim.id, place.subject)))}\n"
        f"  source: {', '.join(f'tutorial, {name}' for name in claim.sentences) or claim.link}"
    )


def _write(report: pytest.TestReport, status: Status, settled: Settled) -> None:
    report.__dict__.pop("wasxfail", None)  # of an xfail marker: pytest would not count the failure
    if status == "passed":
        report.outcome, report.longrepr = "passed", None
    elif status == "declared":
        report.outcome, report.longrepr = "skipped", _shown(settled.message)
        report.wasxfail = f"{settled.deviation}: {_shown(settled.message)}"
    elif status == "unsupported":
        report.outcome, report.longrepr = "skipped", (report.nodeid, 0, settled.message)
    else:
        report.outcome, report.longrepr = "failed", _shown(settled.message)


def _shown(message: str) -> str:
    """Return a message for the terminal: what PyTorch says of a stranger's file may quote that file."""
    return "\n".join(map(printable, message.splitlines()))


def shorten(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Show an error of the user's or the machine's as its one line, without a traceback."""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, VitgateError):
        report.longrepr = str(error)
