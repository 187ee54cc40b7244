"""Properties of the judge that hold for any values: records, version ranges, tolerances, acceptances, pairs."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.compare.acceptance import Acceptance, Acceptances
from vitgate.compare.latency_statistics import judged, pair_ratio, PairRatio, PAIRS_AT_MOST, Timed
from vitgate.compare.pairing import PairedLatency
from vitgate.compare.verdict import compare
from vitgate.files.errors import UsageError
from vitgate.files.schemas import validate
from vitgate.judge.deviations import Deviation, Place
from vitgate.judge.tolerances import Tolerance, Tolerances
from vitgate.judge.torch_warnings import WarningFile
from vitgate.records.record import read_record, Record
from vitgate.records.rows import CellRow, ClaimRow, FindingRow
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Finding
from vitgate.spec.versions import within

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, settings  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

factories = settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])  # they only make rows
finite = st.floats(-1e100, 1e100)  # what a record may hold
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.sampled_from(["label", "size", "weights", "build"])

# Records


@factories
@given(data=st.data())
def test_record_round_trips_through_its_file(
    record: Callable[..., Record],
    claim_row: Callable[..., ClaimRow],
    cell_row: Callable[..., CellRow],
    tmp_path: Path,
    data: Any,
) -> None:
    rows = st.builds(FindingRow, statistic=anything, value=st.none() | finite, unit=anything, lower=st.none() | finite)
    claims = [
        claim_row(name, message=data.draw(anything), findings=tuple(data.draw(st.lists(rows, max_size=2))))
        for name in data.draw(st.sets(names))
    ]
    cells = (cell_row(sqnr_db=data.draw(st.none() | finite), size_bytes=data.draw(st.none() | st.integers(0, 2**53))),)
    whole = record(claims=tuple(claims), cells=cells, warnings=tuple(data.draw(st.lists(anything))))

    whole.write(tmp_path / "record.json")
    found = read_record(tmp_path / "record.json")
    found.write(tmp_path / "again.json")

    assert found == whole
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "record.json").read_bytes()


@factories
@given(cut=st.floats(0.0, 1.0, exclude_max=True))
def test_truncated_record_is_refused(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], tmp_path: Path, cut: Any
) -> None:
    text = record(claims=(claim_row(), claim_row("size"))).model_dump_json()
    path = tmp_path / "record.json"
    path.write_text(text[: int(cut * len(text))])

    with pytest.raises(UsageError, match="not a readable record"):
        read_record(path)


@factories
@given(data=st.data())
def test_verdict_does_not_depend_on_row_order(
    record: Callable[..., Record], claim_row: Callable[..., ClaimRow], data: Any
) -> None:
    states = st.sampled_from([{}, {"status": "failed", "outcome": "failed"}, {"status": "failed", "outcome": "passed"}])
    old, new = (
        [claim_row(name, **data.draw(states)) for name in sorted(data.draw(st.sets(names, min_size=1)))]
        for _ in range(2)
    )

    def verdict(*sides: list[ClaimRow]) -> Any:
        return compare(*(record(claims=tuple(rows)) for rows in sides))

    plain, mixed = verdict(old, new), verdict(*(data.draw(st.permutations(rows)) for rows in (old, new)))

    assert {row.name: row for row in plain.rows} == {row.name: row for row in mixed.rows}
    assert plain.exit_status == mixed.exit_status == int(any(row.red for row in plain.rows))


# Version ranges

releases = st.tuples(st.integers(1, 3), st.integers(0, 15), st.integers(0, 3))
suffixes = st.sampled_from(["", "+cpu", "+cu130", "a0", "rc2", ".dev20260101", ".dev20260101+cpu"])
comparisons = st.builds(
    "{}{}".format, st.sampled_from([">=", ">", "<=", "<", "==", "!="]), releases.map("{0[0]}.{0[1]}.{0[2]}".format)
)


def written(release: tuple[int, int, int]) -> str:
    return ".".join(map(str, release))


@given(releases, releases, releases, suffixes)
def test_version_range_includes_lower_and_excludes_upper_end(first: Any, second: Any, other: Any, suffix: Any) -> None:
    hypothesis.assume(first != second)
    low, high = sorted((first, second))
    versions = f">={written(low)},<{written(high)}"

    assert within(versions, written(low) + suffix)
    assert not within(versions, written(high) + suffix)
    assert within(versions, written(other) + suffix) is (low <= other < high)


@given(st.lists(comparisons, min_size=1, max_size=4))
def test_empty_version_ranges_are_refused(parts: Any) -> None:
    versions = ",".join(parts)
    releases = (f"{major}.{minor}.{patch}" for major in range(5) for minor in range(17) for patch in range(5))
    row = {"call": "script", "category": "UserWarning", "text": "x", "torch": versions}

    if any(within(versions, version) for version in releases):
        validate(WarningFile, {"warning": [row]}, where="warnings.toml")
    else:
        with pytest.raises(UsageError, match=re.escape(f"'{versions}' matches no release")):
            validate(WarningFile, {"warning": [row]}, where="warnings.toml")


@given(releases, releases, st.sampled_from(["build", "label"]), st.sampled_from(["lite", "optimized"]), suffixes)
def test_a_deviation_applies_exactly_where_its_claim_its_range_and_its_selectors_do(
    since: Any, now: Any, claim: Any, variant: Any, suffix: Any
) -> None:
    row = Deviation(
        id="gone",
        claims=("build",),
        variants=("optimized",),
        torch=f">={written(since)}",
        outcome="failed at optimize_for_mobile",
        error="RuntimeError",
        message="XNNPACK",
        reason="Built without it.",
        link="https://example.org/1",
        advice="Freeze instead.",
        review=dt.date(2026, 7, 1),
    )
    cell = CellId("digits", "x86", variant)

    found = row.applies(Place(claim, str(cell), cell, written(now) + suffix, "x86_64"))

    assert found is (now >= since and claim == "build" and variant == "optimized")


# Tolerances


def tolerance(name: str = "t", **fields: Any) -> Tolerance:
    return Tolerance(id=name, claim="c", statistic="s", unit="1", **{"reason": "r", "measured": "m", **fields})


@given(finite, finite, finite, st.floats(0.0, 1e6))
def test_wider_tolerance_admits_what_narrower_does(value: Any, one: Any, other: Any, by: Any) -> None:
    low, high = sorted((one, other))
    narrow, wide = tolerance(lower=low, upper=high), tolerance(lower=low - by, upper=high + by)

    def passes(row: Tolerance) -> bool:
        return Tolerances([row], "here").bounded("c", Finding("s", value, "1"), None, "standin", "x86_64").ok

    assert passes(narrow) <= passes(wide)
    assert passes(narrow) is (low <= value <= high)


@given(st.permutations(["a", "b", "c"]), st.integers(0, 3))
def test_number_needs_exactly_one_tolerance_in_any_order(order: Any, matching: Any) -> None:
    rows = [
        tolerance(name, upper=1.0, weights=("standin",) if place < matching else ("trained",))
        for place, name in enumerate(order)
    ]

    def find() -> Tolerance:
        return Tolerances(rows, "here").find("c", Finding("s", 0.5, "1"), None, "standin", "x86_64")

    if matching == 1:
        assert find() is rows[0]
    else:
        said = ", ".join(order[:matching]) or "none"
        with pytest.raises(UsageError, match=f"exactly one tolerance, found: {said} "):
            find()


# Acceptances

TODAY = dt.date(2026, 12, 1)
ends = st.none() | st.integers(-3, 3).map(lambda days: TODAY + dt.timedelta(days=days))


@given(st.dictionaries(st.sampled_from("abcdef"), ends), st.sets(st.sampled_from("abcdef")))
def test_every_acceptance_covers_something_or_is_a_problem(given_: Any, used: Any) -> None:
    entries = [Acceptance(name, f"f:{name}", expires=end) for name, end in given_.items()]
    expired = {name for name, end in given_.items() if end is not None and end < TODAY}

    found = Acceptances(tuple(entries), TODAY)
    problems = found.problems(used)

    said = {line.partition(":")[2].partition(":")[0]: line for line in problems}
    assert len(problems) == len(said)
    assert said.keys() == {name for name in given_ if name in expired or name not in used}
    assert {name for name, line in said.items() if "expired" in line} == expired
    assert {entry.id for entry in found.valid()} == given_.keys() - expired
    for name in "abcdef":
        entry = found.covering(name)
        assert (entry is not None and entry.id == name) is (name in given_.keys() - expired)


# Latencies in pairs

ratios = st.lists(st.floats(0.2, 5.0), min_size=1, max_size=PAIRS_AT_MOST)
growths = st.floats(0.5, 3.0)
measured = st.builds(PairRatio, st.floats(0.5, 2.0), st.floats(1.0, 99.0), st.floats(1.0, 99.0), growths, growths)
calls = st.lists(st.tuples(*[st.floats(1e-4, 1e2)] * 3), min_size=1, max_size=16)


@given(st.lists(measured, min_size=3, max_size=PAIRS_AT_MOST), st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(pairs: Any, rng: Any) -> None:
    mixed = random.Random(rng.random()).sample(pairs, len(pairs))

    one, other = judged(pairs), judged(mixed)

    assert (one.word, one.note) == (other.word, other.note)
    assert (one.ratio, one.low, one.high) == pytest.approx((other.ratio, other.low, other.high), rel=1e-12)
    assert (one.old_ms, one.new_ms) == (other.old_ms, other.new_ms)
    assert sorted(one.ratios) == sorted(other.ratios)


@given(calls, calls, st.integers(-8, 8))
def test_faster_processor_changes_only_times(old: Any, new: Any, power: Any) -> None:
    factor = 2.0**power  # exact in floating point, so that equality is asked for

    def timed(rows: Any, by: Any = 1.0) -> Timed:
        return Timed(*(tuple(by * seconds for seconds in column) for column in zip(*rows, strict=True)))

    plain, scaled = pair_ratio(timed(old), timed(new)), pair_ratio(timed(old, factor), timed(new, factor))

    assert (scaled.ratio, scaled.asleep, scaled.process) == (plain.ratio, plain.asleep, plain.process)
    assert (scaled.old_ms, scaled.new_ms) == (factor * plain.old_ms, factor * plain.new_ms)


@given(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=PAIRS_AT_MOST))
def test_slower_one_way_is_never_slower_the_other_way(of: Any) -> None:
    there = judged([PairRatio(ratio, 10.0, 10.0 * ratio) for ratio in of])
    back = judged([PairRatio(1.0 / ratio, 10.0 * ratio, 10.0) for ratio in of])

    assert {there.word, back.word} <= {"same", "regressed", "fixed"}
    assert [there.word, back.word].count("regressed") <= 1
    if there.word == "fixed":
        assert back.word == "regressed"


@given(st.sampled_from(["same", "regressed", "fixed"]), st.integers(0, 4), st.integers(0, 5))
def test_a_paired_latency_without_one_of_its_numbers_is_refused(word: Any, lacking: Any, pairs: Any) -> None:
    fields = dict.fromkeys(("ratio", "low", "high", "old_ms", "new_ms"), 1.0)
    row = {"case": "digits", "engine": "x86", "variant": "lite", "verdict": word, "pairs": pairs, **fields}
    without = {**row, list(fields)[lacking]: None}

    assert pairs == 0 or PairedLatency.model_validate(row).ratio == 1.0
    for wrong in (without, {**row, "pairs": 0}):
        with pytest.raises(ValueError, match=f"{word} without the numbers"):
            PairedLatency.model_validate(wrong)
