"""A program of a user's, as `mypy --strict` sees it beside an installed vitgate: what it imports is the typed API."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

from vitgate.compare.acceptance import Acceptances, read_acceptances
from vitgate.compare.verdict import compare, Verdict
from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.records.consistency import read_consistent
from vitgate.records.record import read_record, Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow
from vitgate.report.answer import answer
from vitgate.spec.claims import Claim, read_claims
from vitgate.spec.outcome import Finding, Outcome


def numbers(record: Record) -> dict[str, list[float]]:
    """Return the judged numbers of each claim that has any."""
    found: dict[str, list[float]] = {}
    for row in record.claims:
        values = [finding.value for finding in row.findings if finding.judged and finding.value is not None]
        if values:
            found[row.name] = values
    return found


def slowest(record: Record) -> CellRow:
    """Return the cell with the longest latency."""
    timed = [(row.latency_ms, row) for row in record.cells if row.latency_ms is not None]
    return max(timed, key=lambda pair: pair[0])[1]


def needed(row: FindingRow) -> str:
    """Say a finding in one line."""
    value = float("nan") if row.value is None else row.value
    return Finding(row.statistic, value, row.unit, row.lower, row.upper, judged=row.judged).line()


def why(row: ClaimRow) -> str:
    """Say what became of a claim, and what it claims."""
    claim: Claim = read_claims()[row.claim]
    outcome = Outcome("passed") if row.status == "passed" else Outcome("failed", message=row.message)
    return f"{claim.says} {outcome}"


def main(old: Path, new: Path) -> int:
    """Compare two records."""
    try:
        before, after = read_record(old), read_consistent(new)
        accepted: Acceptances = read_acceptances(["xnnpack-gone"], None, dt.date.today())
        verdict: Verdict = compare(before, after, accepted=accepted)
    except (UsageError, MachineError) as error:
        status: int = error.exit_status
        print(error)
        return status
    except VitgateError:
        return 1
    print(answer(after), verdict.answer, slowest(after).variant, len(numbers(before)))
    for row in after.claims[:3]:
        print(why(row), *map(needed, row.findings))
    return verdict.exit_status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
