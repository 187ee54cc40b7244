"""What differs beside the outcomes: each thing once, before and after, and nothing of what is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vitgate.compare.changes import Change, Changes, changes, Drift, SizeChange
from vitgate.compare.pairing import paired
from vitgate.records.record import Environment, Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow


def between(old: Record, new: Record) -> Changes:
    return changes(old, new, paired(old, new))


def test_equal_records_have_no_changes(record: Callable[..., Record], cell_row: Callable[..., CellRow]) -> None:
    one = record(cells=(cell_row(),), warnings=("w",), new_operators=("o",))

    assert between(one, one) == Changes()


@pytest.mark.parametrize(
    ("field", "value", "old", "new"),
    [
        ("torch", "2.14.0", "2.13.0+cpu", "2.14.0"),
        ("commit", None, "0123abc", "None"),
        ("configuration_digest", "ff", "0123456789abcdef", "ff"),
        ("xnnpack", True, "False", "True"),
        ("engines", ("qnnpack",), "qnnpack, onednn", "qnnpack"),
        ("python", "3.12.0", "3.11.9", "3.12.0"),
        ("platform", "Darwin", "Linux", "Darwin"),
        ("machine", "aarch64", "x86_64", "aarch64"),
        ("cpu", "Another", "Some Xeon", "Another"),
        ("cpu_capability", "AVX2", "AVX512", "AVX2"),
        ("cores", 4, "2", "4"),
    ],
)
def test_each_fact_about_the_environment_is_compared(
    record: Callable[..., Record], environment: Environment, field: str, value: Any, old: str, new: str
) -> None:
    other = record(environment=environment.model_copy(update={field: value}))

    assert between(record(), other) == Changes(environment=(Change(what=field, old=old, new=new),))


def test_package_changes_are_named_including_vitgate(record: Callable[..., Record], environment: Environment) -> None:
    packages = [{"torch": "1", "gone": "1", "same": "1"}, {"torch": "2", "come": "1", "same": "1"}]
    old, new = (record(environment=environment.model_copy(update={"packages": each})) for each in packages)

    assert between(old, new.model_copy(update={"vitgate": "9"})).environment == (
        Change(what="package torch", old="1", new="2"),
        Change(what="package gone", old="1", new=""),
        Change(what="vitgate", old="0.1.0", new="9"),
        Change(what="package come", old="", new="1"),
    )


@pytest.mark.parametrize(
    ("claim", "kind"), [("calls", "calls"), ("warnings", "warnings"), ("lite_operators", "operators")]
)
def test_another_outcome_error_or_message_is_a_change(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], claim: str, kind: str
) -> None:
    def one(**fields: Any) -> Record:
        return record(claims=(claim_row(), claim_row(claim, **fields)))

    failed = {"status": "failed", "outcome": "failed", "error": "TypeError", "message": "failed: no such argument"}
    found = between(one(), one(**failed))

    name = f"{claim}[digits-qnnpack-lite]"
    change = Change(what=name, old="passed", new="failed with TypeError: no such argument")
    assert found == Changes(**{kind: (change,)})
    assert between(one(**failed), one(**failed)) == Changes()


@pytest.mark.parametrize("outcome", ["failed at script", "blocked by scripted"])
def test_stopped_or_missing_claims_have_no_changes(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], outcome: str
) -> None:
    old, new = (
        record(claims=(claim_row("calls"),)),
        record(claims=(claim_row("calls", status="failed", outcome=outcome),)),
    )

    assert between(old, new).calls == between(new, old).calls == ()
    assert between(old, record(claims=())).calls == between(record(claims=()), old).calls == ()


def test_list_change_names_removed_and_added_items(record: Callable[..., Record]) -> None:
    old = record(warnings=("a", "b"), new_operators=("aten::x",))
    new = record(warnings=("b", "c"), new_operators=("aten::y",))

    assert between(old, new) == Changes(
        warnings=(Change(what="warning", old="a", new=""), Change(what="warning", old="", new="c")),
        operators=(Change(what="operators", old="aten::x", new=""), Change(what="operators", old="", new="aten::y")),
    )


def test_bytecode_versions_are_compared_if_both_exist(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow]
) -> None:
    def one(statistic: str = "bytecode_version", claim: str = "lite_bytecode", **versions: Any) -> Record:
        rows = (
            claim_row(claim, variant, findings=(FindingRow(statistic=statistic, value=value, unit="1"),))
            for variant, value in versions.items()
        )
        return record(claims=tuple(rows))

    old, new = one(lite=8.0, lite_frozen=8.0, optimized=None), one(lite=9.0, lite_frozen=8.0, optimized=8.0)

    assert between(old, new) == Changes(bytecode=(Change(what="digits-qnnpack-lite", old="8", new="9"),))
    assert between(one("other", lite=8.0), one("other", lite=9.0)) == Changes()
    assert between(one(claim="label", lite=8.0), one(claim="label", lite=9.0)) == Changes()
    assert (
        between(one(lite=8.0), record(claims=())).bytecode == between(record(claims=()), one(lite=8.0)).bytecode == ()
    )


def test_sizes_are_compared_if_both_exist(record: Callable[..., Record], cell_row: Callable[..., CellRow]) -> None:
    def one(**sizes: Any) -> Record:
        return record(cells=tuple(cell_row(variant, size_bytes=size) for variant, size in sizes.items()))

    old = one(lite=200, scripted=100, optimized=None, lite_frozen=0, original=1)
    new = one(lite=250, scripted=100, optimized=5, lite_frozen=5, scripted_quantized=5)

    change = SizeChange(cell="deit_base-qnnpack-lite", old_bytes=200, new_bytes=250, change_percent=25.0)
    assert between(old, new) == Changes(sizes=(change,))
    half = between(one(lite=1), one(lite=2)).sizes[0]
    assert (half.old_bytes, half.new_bytes, half.change_percent) == (1, 2, 100.0)


def test_drift_covers_every_comparison_of_outputs(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], cell_row: Callable[..., CellRow]
) -> None:
    def one(cell: float | None, original: float | None, parent: float | None, other: float = 1.0) -> Record:
        findings = [
            FindingRow(statistic="sqnr", value=original, unit="dB", against="original"),
            FindingRow(statistic="sqnr", value=parent, unit="dB", against="parent"),
            FindingRow(statistic="cosine", value=other, unit="1", against="parent"),
        ]
        cells = (cell_row(case="digits", sqnr_db=cell),)
        return record(cells=cells, claims=(claim_row("logits_original", findings=tuple(findings)),))

    old, new = one(23.5, 23.5, 30.0), one(24.0, 24.0, 28.5, other=0.5)

    fields = {"cell": "digits-qnnpack-lite", "old_sqnr_db": 30.0, "new_sqnr_db": 28.5, "change_db": -1.5}
    assert between(old, new) == Changes(
        drift=(
            Drift(cell="digits-qnnpack-lite", against="original", old_sqnr_db=23.5, new_sqnr_db=24.0, change_db=0.5),
            Drift(against="parent", **fields),
        )
    )
    cells = [record(cells=(cell_row(case="digits", sqnr_db=value),), claims=()) for value in (23.5, 24.0)]
    assert [drift.against for drift in between(*cells).drift] == ["original"]
    assert between(one(None, None, None), new).drift == between(old, one(None, None, None)).drift == ()
