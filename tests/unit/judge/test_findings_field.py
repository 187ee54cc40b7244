"""From logits of files from elsewhere to numbers, beside what their maker saw or nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitgate.inputs.field_files import Seen
from vitgate.judge import findings
from vitgate.spec.outcome import Finding

from .made_evidence import by_name, LOGITS, outputs

X = np.zeros((2, 1, 2, 2), dtype=np.float32)


def noisy(logits: Any, decibels: Any, seed: Any = 0) -> Any:
    """Return the logits with noise of that many decibels below them."""
    noise = np.random.default_rng(seed).standard_normal(logits.shape)
    scale = np.sqrt((logits**2).sum() / (noise**2).sum()) * 10 ** (-decibels / 20)
    return (logits + scale * noise).astype(np.float32)


def test_field_file_without_logits_must_repeat_finite_logits() -> None:
    found = findings.field(outputs(LOGITS), Seen(X, None, None))

    assert found == (Finding("finite", 1.0, "1"), Finding("difference_on_repeat", 0.0, "logits"))
    assert findings.field(outputs([[2.0]]), Seen(X, None, None))[0].value == 1.0  # one number is enough


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_inf_and_empty_logits_are_not_finite(value: float) -> None:
    logits = LOGITS.copy()
    logits[1, 2] = value

    assert by_name(findings.field(outputs(logits), Seen(X, None, None)))["finite"].value == 0.0
    assert by_name(findings.field(outputs(LOGITS[:0]), Seen(X, None, None)))["finite"].value == 0.0


def test_user_file_is_judged_by_user_bound() -> None:
    found = by_name(findings.field(outputs(noisy(LOGITS, 30)), Seen(X, LOGITS, None, 25.0, "field.toml: bound")))

    sqnr = found["sqnr"]
    assert replace(sqnr, value=0.0) == Finding("sqnr", 0.0, "dB", 25.0, against="maker", tolerance="field.toml: bound")
    assert sqnr.value == pytest.approx(30, abs=0.1)
    assert sqnr.ok
    assert found["same_labels"] == Finding("same_labels", 1.0, "1", against="maker")
    assert not by_name(findings.field(outputs(noisy(LOGITS, 20)), Seen(X, LOGITS, None, 25.0, "b")))["sqnr"].ok


def test_changed_label_is_seen_whatever_the_bound() -> None:
    found = by_name(findings.field(outputs(LOGITS[:, ::-1]), Seen(X, LOGITS, None, -99.0, "b")))

    assert found["same_labels"].value == 0.5  # the first picture keeps its own, in the middle


def test_built_file_is_compared_with_its_makers_error() -> None:
    seen = Seen(X, noisy(LOGITS, 28), LOGITS)

    every = findings.field(outputs(noisy(LOGITS, 28, seed=1)), seen)
    found = by_name(every)

    to_maker, distance, change, to_original = every[-4:]
    assert [to_maker.value, to_original.value] == pytest.approx([25, 28], abs=2)
    assert [replace(finding, value=0.0) for finding in every[-4:]] == [
        Finding("sqnr", 0.0, "dB", against="maker", judged=False),
        Finding("distance", 0.0, "dB", against="maker", note="the maker's own error was 28.0 dB"),
        Finding("sqnr_change", 0.0, "dB", against="maker"),
        Finding("sqnr", 0.0, "dB", against="original"),  # the absolute floor, whatever the maker saw
    ]
    assert distance.value == pytest.approx(to_maker.value - 28, abs=0.1)
    assert change.value == pytest.approx(to_original.value - 28, abs=0.1)
    assert found["distance"].value == pytest.approx(-3, abs=2)
    assert found["sqnr_change"].value == pytest.approx(0, abs=0.2)
    exact = by_name(findings.field(outputs(seen.logits), seen))
    assert exact["distance"].value > 50
    assert exact["sqnr_change"].value == 0.0


def test_maker_error_below_rounding_counts_as_rounding() -> None:
    found = by_name(findings.field(outputs(LOGITS), Seen(X, LOGITS, LOGITS)))

    assert found["sqnr_change"].value == 0.0
    assert found["distance"].value >= 0.0


@pytest.mark.parametrize("logits", [LOGITS[:1], LOGITS[:, :2], LOGITS.ravel(), LOGITS[:0]])
@pytest.mark.parametrize("original", [None, LOGITS])
def test_logits_of_another_shape_never_match(logits: NDArray[Any], original: NDArray[Any] | None) -> None:
    found = by_name(findings.field(outputs(logits), Seen(X, LOGITS, original, 20.0, "b")))

    judged = [finding for finding in found.values() if finding.against == "maker" and finding.judged]
    assert judged
    assert all(math.isnan(finding.value) and not finding.ok for finding in judged)


def test_one_class_of_one_picture_is_compared() -> None:
    one = np.array([[2.0]], dtype=np.float32)

    assert by_name(findings.field(outputs(one), Seen(X, one, None, 20.0, "b")))["same_labels"].value == 1.0


@pytest.mark.filterwarnings("error")  # the mean of nothing
def test_empty_logits_never_match() -> None:
    found = by_name(findings.field(outputs(LOGITS[:0]), Seen(X, LOGITS[:0], None, 20.0, "b")))

    assert math.isnan(found["same_labels"].value)
