"""The committed records of two releases, compared: causes, changes and the answer that a user reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vitgate.compare.verdict import compare
from vitgate.records.record import Record

from ..releases import release
from .states import CAUSES, words


def test_upgrade_2_12_1_to_2_15_0_is_red_with_causes() -> None:
    verdict = compare(release("2.12.1"), release("2.15.0"))

    assert tuple(cause.id for cause in verdict.causes) == CAUSES
    assert all(cause.red and cause.kind == "deviation" and cause.link and cause.advice for cause in verdict.causes)
    assert verdict.exit_status == 1
    assert verdict.answer.startswith("Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break: ")
    red = {row.name for row in verdict.rows if row.red}
    assert red == {name for cause in verdict.causes for name in cause.rows}
    assert red == {row.name for row in verdict.rows if row.word == "regressed"}
    gone = {row.variant for row in verdict.rows if row.cause == "xnnpack-gone"}
    assert gone == {"optimized", "lite"}


def test_a_release_against_itself_may_upgrade() -> None:
    verdict = compare(release("2.12.1"), release("2.12.1"))

    declared = {row.deviation for row in release("2.12.1").claims if row.status == "declared"}
    assert set(words(verdict)) == {"same", "broken in both"}
    assert {row.new.deviation for row in verdict.rows if row.new and row.word == "broken in both"} == declared
    assert (verdict.exit_status, verdict.causes) == (0, ())
    assert verdict.answer.startswith("PyTorch 2.12.1 → 2.12.1: may upgrade; every claim holds as before")
    assert not any(getattr(verdict.changes, kind) for kind in type(verdict.changes).model_fields)


def test_downgrade_fixes_what_upgrade_breaks() -> None:
    there, back = compare(release("2.12.1"), release("2.15.0")), compare(release("2.15.0"), release("2.12.1"))

    assert (back.exit_status, words(back)["regressed"]) == (0, 0)
    assert words(back)["fixed"] == words(there)["regressed"] > 0


def test_changes_besides_outcomes_are_listed() -> None:
    changes = compare(release("2.12.1"), release("2.15.0")).changes

    assert {change.what for change in changes.calls} == {"calls[optimize_for_mobile]", "calls[profile]"}
    environment = {change.what: (change.old, change.new) for change in changes.environment}
    assert environment["torch"] == ("2.12.1+cu130", "2.15.0+cu132")
    assert environment["xnnpack"] == ("True", "False")
    assert "cpu" not in environment
    assert "python" not in environment
    assert changes.operators == changes.bytecode == ()  # of files that both have
    sizes = {row.cell: row for row in changes.sizes}
    row = sizes["deit_base-fbgemm-scripted_quantized"]
    assert row.change_percent == pytest.approx(100 * (row.new_bytes - row.old_bytes) / row.old_bytes)
    assert all(row.change_db == row.new_sqnr_db - row.old_sqnr_db != 0 for row in changes.drift)
    assert changes.drift


def test_the_answer_is_short_and_names_what_breaks(record: Callable[..., Record]) -> None:
    answer = compare(release("2.12.1"), release("2.15.0")).answer

    assert answer == (
        "Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break: xnnpack-gone (228 rows), "
        "xnnpack-gone-lite-files (20 rows), xnnpack-gone-files (20 rows) and 2 more. "
        "The report says what to do instead."
    )
