"""States of a row in the words of a record, and what the tests of verdicts ask of two records."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.verdict import Verdict

TODAY = dt.date(2026, 12, 1)
PASSED = {"status": "passed", "outcome": "passed"}
NUMBER_OUT = {"status": "declared", "outcome": "failed", "deviation": "lite-stored-twice"}
FAILED = {"status": "failed", "outcome": "failed", "message": "two labels are wrong"}
GONE = {"status": "declared", "outcome": "failed at optimize_for_mobile", "deviation": "xnnpack-gone"}
BLOCKED = {"status": "declared", "outcome": "blocked by optimized", "deviation": "xnnpack-gone"}
BROKEN = {"status": "failed", "outcome": "failed at script", "error": "RuntimeError", "message": "no such operator"}
BLOCKED_NEW = {"status": "failed", "outcome": "blocked by scripted", "message": "no such operator"}
UNEXPECTED = {"status": "failed", "outcome": "passed", "deviation": "xnnpack-gone", "message": "but the claim holds"}
LACKING = {"status": "unsupported", "outcome": "unsupported"}
OFFLINE = {"status": "environment error", "outcome": "environment error", "message": "no network"}
STATES = (PASSED, NUMBER_OUT, FAILED, GONE, BLOCKED, BROKEN, BLOCKED_NEW, UNEXPECTED, LACKING, OFFLINE)
# what 2.15.0 is red for, after 2.12.1
CAUSES = ("xnnpack-gone", "xnnpack-gone-lite-files", "xnnpack-gone-files", "xnnpack-gone-call", "profiler-use-cuda")


def words(verdict: Verdict) -> Counter[str]:
    """Count the rows of each word."""
    return Counter(row.word for row in verdict.rows)


def accepting(*ids: str) -> Acceptances:
    """Return acceptances as `--accept` gives them, on a fixed day."""
    return Acceptances(tuple(Acceptance(name, "--accept") for name in ids), TODAY)
