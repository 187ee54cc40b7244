"""The benchmark table: it reads back as written, and each column is compared within its tolerance or says why not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import UsageError
from vitgate.files.schemas import MOST_TOML
from vitgate.judge.table import COLUMNS, differences, judged, parse, read_table, render, Table
from vitgate.judge.tolerances import Tolerance, Tolerances
from vitgate.records.frames import table_of
from vitgate.records.rows import CellRow
from vitgate.spec.outcome import Finding

from ..conftest import Refuses

ABOUT = {
    "case": "deit_base",
    "engine": "qnnpack",
    "weights": "standin",
    "pictures": "committed",
    "torch": "2.12.1",
    "machine": "x86_64",
    "cpu": "Some Xeon @ 2.70GHz: stepping 3",
}
LIMITS = {
    "lines_that_differ": ("1", 0.0),
    "size_change": ("log ratio", 0.01),
    "latency_ratio_change": ("log ratio", 0.1),
}
TOLERANCES = Tolerances(
    [
        Tolerance(
            id=name, claim="table", statistic=name, unit=unit, against="accepted", upper=limit, reason="r", measured="m"
        )
        for name, (unit, limit) in LIMITS.items()
    ],
    "tolerances.toml",
)
DECLARED = "failed at optimize_for_mobile, declared as xnnpack-gone"


@pytest.fixture
def table(cell_row: Callable[..., CellRow]) -> Table:
    return table_of([cell_row("scripted", size_bytes=346_000_000, sqnr_db=None), cell_row("lite")], ABOUT)


@pytest.fixture
def changed(table: Table) -> Callable[..., Table]:
    """Return a helper: the table with one cell of the line `lite` changed, and facts about the machine too."""

    def make(about: Any = None, **columns: str) -> Table:
        lite = {**table.lines["lite"], **columns}
        return Table({**ABOUT, **(about or {})}, {**table.lines, "lite": lite})

    return make


def red(own: Table, accepted: Table) -> list[str]:
    return [finding.statistic for finding in judged(own, accepted, TOLERANCES) if not finding.ok]


def of_lite(own: Table, accepted: Table, statistic: str) -> Any:
    found = [row for row in differences(own, accepted) if row.statistic == statistic and row.note.startswith("lite")]
    assert len(found) == 1
    return found[0]


def test_a_table_shows_sizes_ratios_labels_and_outcomes(table: Table) -> None:
    assert dict(table.lines["lite"]) == {
        "variant": "lite",
        "size_mb": "89.200",
        "size_reduction": "74.2%",
        "latency_ms": "60.00",
        "latency_ratio": "0.400",
        "label": "269",
        "sqnr_db": "23.8",
        "outcome": "passed",
    }


def test_unmeasured_value_is_shown_as_dash(cell_row: Callable[..., CellRow]) -> None:
    empty = cell_row(size_bytes=None, latency_ms=None, latency_ratio=None, label=None, sqnr_db=None)

    line = table_of([empty], ABOUT).lines["lite"]

    assert [line[name] for name in COLUMNS[1:-1]] == ["-"] * 6


def test_table_round_trips_through_text(table: Table) -> None:
    assert parse(render(table)) == table


def test_the_text_is_aligned_and_ends_in_one_newline(table: Table) -> None:
    text = render(table)

    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert len({tuple(i for i, c in enumerate(row) if c == "|") for row in rows}) == 1
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_a_table_without_lines_can_be_shown_but_not_accepted(refuses: Refuses) -> None:
    text = render(Table(ABOUT, {}))

    refuses(lambda: parse(text, "here.txt"), "here.txt", "not a benchmark table")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: "\n".join(text.splitlines()[:-3]),
        lambda text: text.replace("size_mb", "size_MB"),
        lambda text: text.replace(" | passed", "", 1),
        lambda text: text + text.splitlines()[-1] + "\n",
        lambda text: text.replace("variant ", "lite    "),
    ],
    ids=["empty", "no-lines", "other-heading", "short-line", "line-twice", "no-heading"],
)
def test_invalid_table_text_is_refused(spoil: Callable[..., Any], table: Table, refuses: Refuses) -> None:
    refuses(lambda: parse(spoil(render(table)), "here.txt"), "here.txt")


def test_equal_tables_are_not_red(table: Table) -> None:
    assert red(table, parse(render(table))) == []


@pytest.mark.parametrize(
    ("column", "within", "beyond", "statistic"),
    [
        ("size_mb", "89.900", "91.000", "size_change"),
        ("size_mb", "88.500", "87.000", "size_change"),
        ("latency_ratio", "0.430", "0.450", "latency_ratio_change"),
        ("latency_ratio", "0.370", "0.350", "latency_ratio_change"),
    ],
)
def test_each_number_is_held_within_its_tolerance_on_both_sides(
    column: str, within: str, beyond: str, statistic: str, table: Table, changed: Callable[..., Table]
) -> None:
    assert red(changed(**{column: within}), table) == []
    assert red(changed(**{column: beyond}), table) == [statistic]


@pytest.mark.parametrize(("column", "text"), [("label", "270"), ("outcome", "FAILED: label"), ("label", "-")])
def test_labels_and_outcomes_are_compared_exactly(
    column: str, text: str, table: Table, changed: Callable[..., Table]
) -> None:
    found = judged(changed(**{column: text}), table, TOLERANCES)

    assert [row.statistic for row in found if not row.ok] == ["lines_that_differ"]
    assert f"lite: {column} '{text}', accepted '{table.lines['lite'][column]}'" in found[0].note


def test_absolute_times_are_shown_and_never_judged(table: Table, changed: Callable[..., Table]) -> None:
    assert red(changed(latency_ms="6000.00"), table) == []


@pytest.mark.parametrize("column", ["size_mb", "latency_ratio"])
@pytest.mark.parametrize("about", [{}, {"cpu": "Another", "weights": "pretrained"}], ids=["same", "elsewhere"])
def test_number_on_one_side_only_is_red(
    column: str, about: dict[str, str], table: Table, changed: Callable[..., Table]
) -> None:
    missing = changed(about, **{column: "-"})

    for own, accepted in ((missing, table), (table, missing)):
        assert len(red(own, accepted)) == 1


def test_number_missing_on_both_sides_is_not_judged(changed: Callable[..., Table]) -> None:
    both = changed(size_mb="-")

    finding = of_lite(both, both, "size_change")

    assert (finding.judged, finding.note) == (False, "lite: no size_mb in either")


def test_latency_of_another_processor_is_not_judged_with_reason(table: Table, changed: Callable[..., Table]) -> None:
    own = changed({"cpu": "Another"}, latency_ratio="4.000", size_mb="91.000")

    finding = of_lite(own, table, "latency_ratio_change")

    assert not finding.judged
    assert f"not judged, cpu is Another, accepted on {ABOUT['cpu']}" in finding.note
    assert red(own, table) == ["size_change"]


def test_error_is_shown_beside_expected_and_not_judged(
    table: Table, changed: Callable[..., Table], cell_row: Callable[..., CellRow]
) -> None:
    known = table_of([cell_row("lite", sqnr_db=23.84, expected_sqnr_db=24.0)], ABOUT)

    assert known.lines["lite"]["sqnr_db"] == "23.8 of 24.0"
    assert red(changed(sqnr_db="2.0 of 24.0"), table) == []


def test_latency_is_not_judged_if_accepted_table_names_no_processor(table: Table) -> None:
    anonymous = Table({key: value for key, value in ABOUT.items() if key != "cpu"}, table.lines)

    assert not of_lite(table, anonymous, "latency_ratio_change").judged


def test_table_of_another_torch_is_judged_in_full(table: Table, changed: Callable[..., Table]) -> None:
    own = changed({"torch": "2.15.0"}, size_mb="91.000", latency_ratio="0.500")

    assert red(own, table) == ["size_change", "latency_ratio_change"]


def test_declared_line_is_not_compared(table: Table, changed: Callable[..., Table]) -> None:
    own = changed(**{**dict.fromkeys(COLUMNS[1:-1], "-"), "outcome": DECLARED})

    assert red(own, table) == []


def test_passing_line_accepted_as_declared_is_red(table: Table, changed: Callable[..., Table]) -> None:
    accepted = changed(outcome=DECLARED)

    assert red(table, accepted) == ["lines_that_differ"]


@pytest.mark.parametrize("change", ["missing", "additional", "reordered"])
def test_missing_additional_or_reordered_lines_are_red(change: str, table: Table) -> None:
    lines = dict(table.lines)
    if change == "missing":
        del lines["lite"]
    elif change == "additional":
        lines["optimized"] = {**lines["lite"], "variant": "optimized"}
    else:
        lines = dict(reversed(lines.items()))
    own = dataclasses.replace(table, lines=lines)

    found = judged(own, table, TOLERANCES)

    assert [row.statistic for row in found if not row.ok] == ["lines_that_differ"]
    assert f"variants {', '.join(lines)} instead of scripted, lite" in found[0].note


def test_nan_and_zero_size_are_red(table: Table, changed: Callable[..., Table]) -> None:
    assert red(changed(size_mb="nan"), table) == ["size_change"]
    assert math.isnan(of_lite(changed(size_mb="0.000"), table, "size_change").value)


def test_text_in_place_of_a_number_is_refused(table: Table, changed: Callable[..., Table], refuses: Refuses) -> None:
    refuses(lambda: differences(table, changed(size_mb="much")), "'much' is not a number")


def test_each_difference_is_one_finding_with_its_unit_and_its_texts(
    table: Table, changed: Callable[..., Table]
) -> None:
    lite = dict(size_mb="44.600", size_reduction="87.1%", latency_ratio="0.800")

    found = [row for row in differences(changed(**lite), table) if row.note.startswith("lite")]

    values = {"size_change": math.log(2), "latency_ratio_change": math.log(2)}
    assert {row.statistic: row.value for row in found} == pytest.approx(values)
    assert [dataclasses.replace(row, value=0.0) for row in found] == [
        Finding("size_change", 0.0, "log ratio", against="accepted", note="lite: 44.600, accepted 89.200"),
        Finding("latency_ratio_change", 0.0, "log ratio", against="accepted", note="lite: 0.800, accepted 0.400"),
    ]


def test_number_missing_on_both_sides_is_shown_as_zero(changed: Callable[..., Table]) -> None:
    both = changed(latency_ratio="-")

    assert of_lite(both, both, "latency_ratio_change") == Finding(
        "latency_ratio_change",
        0.0,
        "log ratio",
        against="accepted",
        judged=False,
        note="lite: no latency_ratio in either",
    )


@pytest.mark.parametrize(("mine", "theirs"), [("0.000", "1.000"), ("1.000", "0.000"), ("-1.000", "-1.000")])
def test_ratio_to_zero_is_nan(mine: str, theirs: str, changed: Callable[..., Table]) -> None:
    assert math.isnan(of_lite(changed(size_mb=mine), changed(size_mb=theirs), "size_change").value)


def test_differing_lines_are_counted_and_named(table: Table, changed: Callable[..., Table]) -> None:
    assert differences(table, table)[0] == Finding("lines_that_differ", 0.0, "1", against="accepted")
    both = differences(changed(label="270", outcome="FAILED: label"), table)[0]
    assert both == Finding(
        "lines_that_differ",
        2.0,
        "1",
        against="accepted",
        note="lite: label '270', accepted '269'; lite: outcome 'FAILED: label', accepted 'passed'",
    )


def test_line_without_size_shows_dashes(cell_row: Callable[..., CellRow]) -> None:
    lines = table_of([cell_row("scripted", size_bytes=999_999_500_000), cell_row(size_bytes=None)], ABOUT).lines

    assert (lines["lite"]["size_mb"], lines["lite"]["size_reduction"]) == ("-", "-")
    assert lines["scripted"]["size_mb"] == "999999.500"


def test_every_line_is_compared_after_a_declared_one_too(table: Table, changed: Callable[..., Table]) -> None:
    lines = {"gone": {**table.lines["lite"], "variant": "gone", "outcome": DECLARED}, **table.lines}
    own, accepted = Table(ABOUT, lines), Table(ABOUT, {**lines, "scripted": {**lines["scripted"], "label": "1"}})

    words, *numbers = differences(own, accepted)

    assert words.note == "scripted: label '269', accepted '1'"
    assert [row.note.partition(":")[0] for row in numbers] == ["scripted"] * 2 + ["lite"] * 2


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ({"cases": ("deit_base",), "engines": ("qnnpack",), "weights": ("standin",), "machines": ("x86_64",)}, True),
        ({"variants": ("original",)}, True),  # a table is about all variants, and stands for the first
        ({"cases": ("digits",)}, False),
        ({"engines": ("x86",)}, False),
        ({"weights": ("pretrained",)}, False),
        ({"machines": ("aarch64",)}, False),
        ({"variants": ("lite",)}, False),
    ],
)
def test_tolerances_match_case_engine_weights_and_machine_of_table(
    table: Table, fields: dict[str, tuple[str]], selected: bool
) -> None:
    rows = [row.model_copy(update=fields) for row in TOLERANCES.rows()]

    if selected:
        assert [row.ok for row in judged(table, table, Tolerances(rows, "t"))] == [True] * 5
    else:
        with pytest.raises(UsageError, match="needs exactly one tolerance, found: none"):
            judged(table, table, Tolerances(rows, "t"))


def test_text_instead_of_number_names_remedy(changed: Callable[..., Table]) -> None:
    with pytest.raises(UsageError) as caught:
        differences(changed(size_mb="much"), changed())

    do = "accept the table anew with --snapshot-update"
    assert str(caught.value) == f"'much' is not a number (benchmark table): {do}"


def test_invalid_table_names_remedy(table: Table) -> None:
    for text, where, at in (("", "", ""), ("x", "t.txt", " (t.txt)")):
        with pytest.raises(UsageError) as caught:
            parse(text, where)
        assert str(caught.value) == f"not a benchmark table{at}: accept it anew with --snapshot-update"
    with pytest.raises(UsageError, match="^not a benchmark table: accept"):
        parse("")


def test_lines_are_identified_by_variant(table: Table, refuses: Refuses) -> None:
    text = render(table)
    last = text.splitlines()[-1]

    assert list(parse(text + last.replace("lite ", "lite2") + "\n").lines) == ["scripted", "lite", "lite2"]
    refuses(lambda: parse(text + last.replace("89.200", "99.200") + "\n"), "duplicate name 'lite'")


def test_lines_have_no_trailing_spaces(table: Table, changed: Callable[..., Table]) -> None:
    text = render(changed(outcome="FAILED: label, size"))

    assert [line for line in text.splitlines() if line != line.strip()] == []


def test_an_accepted_table_is_read_from_its_file(table: Table, data_file: Callable[[str, str], Path]) -> None:
    assert read_table(data_file("digits-x86.txt", render(table))) == table


def test_unreadable_table_file_is_refused(
    tmp_path: Path, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    again = "accept it anew with --snapshot-update"
    refuses(
        lambda: read_table(tmp_path / "none.txt"), "cannot read this table: [Errno 2]", f"({tmp_path}/none.txt)", again
    )
    large = data_file("large.txt", "#" * (MOST_TOML + 1))
    refuses(lambda: read_table(large), f"it has more than 512 kB ({large}): {again}")
    other = data_file("other.txt", "nothing")
    refuses(lambda: read_table(other), f"not a benchmark table ({other}): {again}")


def test_line_starts_with_variant_and_has_no_trailing_space(table: Table) -> None:
    lines = render(table).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[-1].startswith("lite")


def test_two_variants_may_have_equal_lines(table: Table) -> None:
    lines = render(table).splitlines()
    twin = lines[-1].replace("lite", "twin", 1)
    assert "twin" in parse("\n".join([*lines, twin])).lines


def test_invalid_table_without_path_gives_one_line_error() -> None:
    with pytest.raises(UsageError) as caught:
        parse("nothing")
    assert str(caught.value) == "not a benchmark table: accept it anew with --snapshot-update"
