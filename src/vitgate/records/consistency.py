"""Whether a record agrees with itself: a comparison is worth no more than the records that it trusts.

A run takes a cell's outcome and numbers from the rows of its claims, and seals the file. Where they differ, or the seal
is not of what the file holds, somebody edited it by hand, and what else was edited cannot be known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from vitgate.files.errors import UsageError
from vitgate.judge.findings import TUTORIAL_INT8
from vitgate.records.record import read_with_seal, Record
from vitgate.records.rows import cell_deviation, cell_outcome, CellRow, ClaimRow, FindingRow, rounded
from vitgate.spec.cells import cell_name
from vitgate.spec.outcome import Finding, NO_TOOLS

_SHOWN = {  # where a cell's line has a number of a claim, by claim and statistic
    "size": {"size": "size_bytes"},
    "logits_original": {"sqnr": "sqnr_db", "expected_sqnr": "expected_sqnr_db"},
    "latency": {"ratio": "latency_ratio", "latency": "latency_ms", "profiler": "profiler_ms"},
}
_BUILT = ("size_bytes", "digest_blake2b", "label")  # what a cell cannot have where its build stopped


def read_consistent(path: Path) -> Record:
    """Read a record that is to be compared; UsageError for one that cannot be read, contradicts itself or was edited.

    The seal comes last: where a row tells what was edited, its name helps more.
    """
    record, sealed = read_with_seal(path)
    check_consistent(record, where=path)
    if not sealed:
        what = "the record was edited by hand: its seal is not of what it holds"
        raise UsageError(what, where=path, do="make the record again")
    return record


def check_consistent(record: Record, *, where: object) -> None:
    """UsageError, naming the row, where status, outcome and numbers of a row contradict one another."""
    for row in record.claims:
        _refuse(row.name, _place_problem(row, record) or _row_problem(row), where)
    cells: dict[tuple[str, str, str], list[ClaimRow]] = {}
    for row in record.claims:
        cells.setdefault((row.case, row.engine, row.variant), []).append(row)
    for cell in record.cells:
        own = cells.get((cell.case, cell.engine, cell.variant), [])
        _refuse(cell.name, _cell_problem(cell, own), where)
    absent = {row.name for row in record.claims} & set(record.missing)
    _refuse(min(absent, default=""), "a row, and is named as missing" if absent else "", where)
    _refuse("the record", "it is complete, and claims are missing" if record.complete and record.missing else "", where)


def _cell_problem(cell: CellRow, rows: list[ClaimRow]) -> str:
    """Say where a cell's line contradicts the rows of its claims; empty where it does not."""
    told = cell.model_copy(update={"at": "", "failed": (), **cell_outcome(rows), "deviation": cell_deviation(rows)})
    if told != cell:
        own, all_told = (f"{row.outcome_text!r} ({row.deviation!r})" for row in (cell, told))
        return f"outcome {own}, but its claims came to {all_told}"
    if _is_unbuilt(rows) and any(getattr(cell, name) for name in _BUILT):
        return f"outcome {cell.outcome_text!r}, but the size, digest or label of a file"
    for row in rows:
        for name, value in shown_numbers(row.claim, row.findings).items():
            if (shown := getattr(cell, name)) != value:
                return f"{name} {shown}, but the claim {row.claim} judged {value}"
    return ""


def shown_numbers(claim: str, findings: Iterable[Finding | FindingRow]) -> dict[str, float]:
    """Return what a cell's line shows of a claim's numbers; a ratio to the tutorial's int8 file is not among them."""
    own, names = [each for each in findings if each.against != TUTORIAL_INT8], _SHOWN.get(claim, {})
    found = {names[each.statistic]: each.value for each in own if each.statistic in names}
    return {name: rounded(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def _is_unbuilt(rows: list[ClaimRow]) -> bool:
    return any(row.claim == "build" and row.outcome != "passed" for row in rows)


def _refuse(name: str, problem: str, where: object) -> None:
    if problem:
        what = f"the record contradicts itself, as if edited by hand: {name} has {problem}"
        raise UsageError(what, where=where, do="make the record again")


def _place_problem(row: ClaimRow, record: Record) -> str:
    """Say where a row is about something else than it says, or than the run; empty where it is not."""
    if row.variant and row.subject != (cell := cell_name(row.case, row.engine, row.variant)):
        return f"the cell {cell}"
    for what, own, of in (("case", row.case, record.cases), ("engine", row.engine, record.engines)):
        if own and own not in of:
            return f"the {what} {own}, which the run was not about"
    return ""


def _row_problem(row: ClaimRow) -> str:
    """Say what is contradictory in one row; empty where nothing is."""
    says = f"status {row.status!r} and outcome {row.outcome_text!r}"
    if bool(row.at) != row.stopped:
        return f"an outcome {row.outcome_text!r} that does not exist"
    if not _fits(row):
        return f"{says}, which do not go together"
    if row.status == "declared" and not row.deviation:
        return f"{says} without a deviation"
    if row.error and (row.outcome == "passed" or (row.outcome == "unsupported" and row.error != NO_TOOLS)):
        return f"{says} with the error {row.error!r}"
    shown = [finding.statistic for finding in row.findings if not finding.judged and finding.tolerance]
    if shown:
        return f"bounds for {shown[0]}, which is not judged"
    out = [finding.statistic for finding in row.findings if not _ok(finding)]
    if row.outcome == "passed" and out:
        return f"{says}, but {out[0]} is out of its bounds"
    judged = [finding for finding in row.findings if finding.judged]
    if row.outcome == "failed" and not row.error and judged and not out:
        return f"{says}, but every number is within its bounds"
    return ""


def _fits(row: ClaimRow) -> bool:
    """Whether the status can come of that outcome. A claim that holds where a deviation says it must not has failed."""
    own = ("passed", "unsupported", "environment error")  # outcomes that are statuses by the same word
    if row.status == "failed":
        return row.outcome not in own[1:] and (row.outcome != "passed" or bool(row.deviation))
    return row.outcome not in own if row.status == "declared" else row.outcome == row.status


def _ok(row: FindingRow) -> bool:
    value = math.nan if row.value is None else row.value
    return Finding(row.statistic, value, row.unit, row.lower, row.upper, judged=row.judged).ok
