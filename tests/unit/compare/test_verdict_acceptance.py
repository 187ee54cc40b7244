"""What a user accepts covers exactly that, for as long as it says; what covers nothing is red."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.verdict import Accepted, compare, Verdict
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow

from ..releases import release
from .states import accepting, BLOCKED, CAUSES, FAILED, GONE, OFFLINE, PASSED, TODAY, UNEXPECTED


def test_accepted_deviation_covers_only_what_it_blocks() -> None:
    verdict = compare(release("2.12.1"), release("2.15.0"), accepted=accepting("xnnpack-gone"))

    assert {row.accepted for row in verdict.rows if row.cause == "xnnpack-gone"} == {"xnnpack-gone"}
    assert {cause.id for cause in verdict.causes if cause.red} == set(CAUSES[1:])
    assert verdict.exit_status == 1
    assert [(entry.id, entry.causes) for entry in verdict.accepted] == [("xnnpack-gone", ("xnnpack-gone",))]


def test_accepting_every_cause_allows_upgrade() -> None:
    ids = (*CAUSES[:-1], "calls[profile]")

    verdict = compare(release("2.12.1"), release("2.15.0"), accepted=accepting(*ids))

    assert (verdict.exit_status, verdict.problems) == (0, ())
    assert f"may upgrade; what breaks is accepted ({', '.join(ids)})" in verdict.answer
    assert {row.word for row in verdict.rows if row.accepted} == {"regressed"}


def test_an_undeclared_failure_is_accepted_row_by_row_only(pair: Callable[..., Verdict]) -> None:
    assert pair(PASSED, FAILED, accepted=accepting("label[digits-qnnpack-lite]")).exit_status == 0
    by_claim = pair(PASSED, FAILED, accepted=accepting("label"))
    assert by_claim.exit_status == 1
    assert by_claim.problems


def test_deviation_with_other_outcome_is_not_accepted_by_id(pair: Callable[..., Verdict]) -> None:
    verdict = pair(PASSED, UNEXPECTED, accepted=accepting("xnnpack-gone"))

    assert verdict.exit_status == 1
    assert verdict.rows[0].red


@pytest.mark.parametrize("name", ["xnnpack-gone", "label[digits-qnnpack-lite]", "digits-qnnpack-lite"])
def test_unused_acceptance_is_red(pair: Callable[..., Verdict], name: str) -> None:
    verdict = pair(PASSED, PASSED, accepted=accepting(name))

    assert verdict.exit_status == 1
    assert verdict.problems == (f"--accept: the acceptance of {name} covers nothing: delete it",)
    assert name in verdict.answer


def test_an_expired_acceptance_covers_nothing_and_is_named_with_its_line(pair: Callable[..., Verdict]) -> None:
    entry = Acceptance("xnnpack-gone", "accepted.toml:3", "why", "me", TODAY - dt.timedelta(days=1))
    lasting = Acceptance("xnnpack-gone", "accepted.toml:3", "why", "me", TODAY)

    assert pair(PASSED, GONE, accepted=Acceptances((lasting,), TODAY)).exit_status == 0
    verdict = pair(PASSED, GONE, accepted=Acceptances((entry,), TODAY))
    assert verdict.exit_status == 1
    assert verdict.rows[0].red
    assert verdict.problems[0].startswith("accepted.toml:3: ")
    assert "expired" in verdict.problems[0]


def test_acceptance_names_covered_causes_and_rows(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    names = ("label", "size", "weights")
    old = record(claims=tuple(claim_row(name) for name in names))
    new = record(claims=(claim_row("label", **GONE), claim_row("size", **FAILED), claim_row("weights", **BLOCKED)))
    entries = (
        Acceptance("size[digits-qnnpack-lite]", "a.toml:1", "why", "me", TODAY),
        Acceptance("xnnpack-gone", "a.toml:5"),
        Acceptance("label", "a.toml:9"),
    )

    verdict = compare(old, new, accepted=Acceptances(entries, TODAY))

    assert verdict.accepted == (
        Accepted(**vars(entries[0]), causes=("size",), rows=("size[digits-qnnpack-lite]",)),
        Accepted(
            **vars(entries[1]),
            causes=("xnnpack-gone",),
            rows=("label[digits-qnnpack-lite]", "weights[digits-qnnpack-lite]"),
        ),
    )
    assert verdict.problems == ("a.toml:9: the acceptance of label covers nothing: delete it",)
    assert [(row.cause, row.red, row.accepted) for row in verdict.rows] == [
        ("xnnpack-gone", False, "xnnpack-gone"),
        ("size", False, "size[digits-qnnpack-lite]"),
        ("xnnpack-gone", False, "xnnpack-gone"),
    ]
    assert verdict.exit_status == 1


def test_environment_error_cannot_be_accepted(pair: Callable[..., Verdict]) -> None:
    verdict = pair(PASSED, OFFLINE, accepted=accepting("label[digits-qnnpack-lite]", "environment error"))

    assert (verdict.rows[0].red, verdict.rows[0].accepted, verdict.accepted) == (True, "", ())
    assert len(verdict.problems) == 2
