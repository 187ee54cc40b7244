"""Properties that hold for any values, searched by hypothesis: round trips, and the sides of a bound."""

from __future__ import annotations

import json
import math
import os
import string
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.files.hashing import digest, key_of
from vitgate.judge.latency_ratios import ratio, RATIO_SD
from vitgate.judge.metrics import margins, paired_accuracy, sqnr, SQNR_CEILING
from vitgate.judge.table import COLUMNS, differences, parse, render, Table
from vitgate.judge.tolerances import Tolerance, Tolerances
from vitgate.observe.store import Store
from vitgate.records.rows import finding_row
from vitgate.spec.outcome import Evidence, Finding, Outcome
from vitgate.spec.variants import STAGES

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given  # noqa: E402  # after the check that it is there
from hypothesis import strategies as st  # noqa: E402  # likewise

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
numbers = st.floats(allow_nan=False)
words = st.text(string.ascii_letters + string.digits + " .,:%()[]é×", max_size=20)
findings = st.builds(
    Finding, words, numbers, words, st.none() | finite, st.none() | finite, words, words, st.booleans(), words
)
kinds = st.sampled_from(["passed", "failed", "failed at"])
outcomes = st.builds(Outcome, kinds, st.sampled_from(["", *STAGES]), words, words, st.tuples(findings))
logits = st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=5).map(
    lambda rows: np.array(rows, dtype=np.float32)
)
seconds = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=24)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
parts = st.dictionaries(words, plain, min_size=1, max_size=5)
texts = words.map(lambda text: " ".join(text.split())).filter(lambda text: text and not text.startswith("#"))


@given(outcomes)
def test_outcome_round_trips_through_json(outcome: Any) -> None:
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@given(findings)
def test_finding_names_needed_bound_only_if_out_of_bounds(finding: Any) -> None:
    assert ("would need" in finding.line()) is not finding.ok


@given(findings)
def test_finding_row_keeps_value_and_result_unless_nan(finding: Any) -> None:
    row = finding_row(finding)

    number = abs(finding.value) <= 1e100
    assert (row.value is not None) is number
    assert row.value is None or math.isclose(row.value, finding.value, rel_tol=1e-5)
    assert not number or replace(finding, value=row.value).ok == finding.ok
    assert (row.lower, row.upper, row.tolerance) == (finding.lower, finding.upper, finding.tolerance)


@given(st.floats(), st.none() | finite, st.none() | finite)
def test_a_number_passes_exactly_within_the_bounds_of_its_tolerance(value: Any, lower: Any, upper: Any) -> None:
    hypothesis.assume((lower, upper) != (None, None))
    hypothesis.assume(lower is None or upper is None or lower <= upper)
    row = Tolerance(id="t", claim="c", statistic="s", unit="1", lower=lower, upper=upper, reason="r", measured="m")

    found = Tolerances([row], "here").bounded("c", Finding("s", value, "1"), None, "standin", "x86_64")

    inside = (-math.inf if lower is None else lower) <= value <= (math.inf if upper is None else upper)
    assert found.ok is (inside and math.isfinite(value))


@given(
    st.dictionaries(st.text(string.ascii_lowercase, min_size=1), texts, max_size=4),
    st.dictionaries(texts, st.tuples(*[texts] * (len(COLUMNS) - 1)), min_size=1, max_size=5),
)
def test_table_round_trips_through_text(about: Any, rows: Any) -> None:
    hypothesis.assume("variant" not in rows)
    table = Table(about, {name: dict(zip(COLUMNS, (name, *row), strict=True)) for name, row in rows.items()})

    assert parse(render(table)) == table


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6))
def test_size_change_is_symmetric_and_zero_only_for_equal_text(mine: Any, theirs: Any) -> None:
    def table(size: float) -> Table:
        values = {"variant": "lite", "size_mb": f"{size:.3f}", "label": "1", "outcome": "passed"}
        return Table({}, {"lite": {**dict.fromkeys(COLUMNS, "-"), **values}})

    own, accepted = table(mine), table(theirs)
    there, back = (
        next(row.value for row in differences(*pair) if row.statistic == "size_change")
        for pair in ((own, accepted), (accepted, own))
    )

    assert there == pytest.approx(back, abs=1e-12)
    assert (there == 0.0) is (f"{mine:.3f}" == f"{theirs:.3f}")


@given(st.dictionaries(words, numbers | words | st.booleans() | st.lists(words)), logits, st.none() | outcomes)
def test_evidence_round_trips_through_files(values: Any, array: Any, outcome: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = Store(Path(folder)).get("outputs", "a", lambda: Evidence(values, {"logits": array}, outcome))

    assert (found.values, found.outcome) == (values, outcome)
    assert found.arrays["logits"].dtype == array.dtype
    assert np.array_equal(found.arrays["logits"], array)


@given(logits)
def test_sqnr_of_equal_outputs_is_maximum(values: Any) -> None:
    assert sqnr(values, values) == SQNR_CEILING or not np.any(values)
    assert not sqnr(values, values + np.float32(1e-30)) > SQNR_CEILING


@given(logits)
def test_margin_sign_tells_top_class(values: Any) -> None:
    top = values.argmax(axis=1)

    assert (margins(values, top) >= 0.0).all()
    assert (margins(values, (top + 1) % 3) <= 0.0).all()


@given(logits, st.data())
def test_accuracy_is_a_share_and_its_change_below_the_gain(values: Any, data: Any) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values))))
    other = np.array(data.draw(st.permutations(values.tolist())), dtype=np.float32)

    accuracy, low, agreement = (row.value for row in paired_accuracy(values, other, labels)[:3])

    change = accuracy - float(np.mean(values.argmax(axis=1) == labels))
    assert 0.0 <= accuracy <= 1.0
    assert 0.0 <= agreement <= 1.0
    assert low < max(change, 0.0)


@given(seconds, seconds, st.floats(0.01, 100.0))
def test_a_ratio_lies_in_its_interval_and_scales_with_the_samples(of: Any, to: Any, factor: Any) -> None:
    found, scaled = ratio(of, to), ratio([factor * each for each in of], to)

    assert found.low < found.value < found.high
    assert found.high / found.value >= math.exp(1.96 * RATIO_SD) * (1 - 1e-12)
    assert scaled.value == pytest.approx(factor * found.value, rel=1e-9)


def as_json(value: Any) -> Any:
    """Return the value with True told from 1, which Python takes for equal."""
    return json.dumps(value, sort_keys=True)


@given(parts, st.data())
def test_a_key_changes_with_any_part_and_with_nothing_else(given_: Any, data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(given_)))
    other = data.draw(plain.filter(lambda value: as_json(value) != as_json(given_[name])))
    mixed = dict(data.draw(st.permutations(list(given_.items()))))

    key = key_of(given_)

    assert len(key) == 32
    assert key_of(mixed) == key
    assert key_of({**given_, name: other}) != key
    assert key_of({each: value for each, value in given_.items() if each != name}) != key
    assert key_of({**given_, name + "+": None}) != key
    assert key_of({name + "+" if each == name else each: value for each, value in given_.items()}) != key


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_equal_digests_mean_equal_bytes(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) is (one == other)


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_a_key_is_the_same_in_every_process(seed: str) -> None:
    given_ = {"lineage": ["scripted", "lite"], "engine": None, "weights": "é", "build": {"torch": "2.15.0", "n": 1}}
    code = f"from vitgate.files.hashing import key_of; print(key_of({given_!r}))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
    )

    assert done.stdout.strip() == key_of(dict(reversed(given_.items()))), done.stderr
