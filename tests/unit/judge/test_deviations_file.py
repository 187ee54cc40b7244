"""The file of deviations: what is refused with its file and key, and the line of each entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vitgate.judge.deviations import Deviations, read_deviations

from ..conftest import Refuses
from .made_deviations import deviation, TODAY


def row_text(**fields: str) -> str:
    values = {
        "id": '"a"',
        "claims": '["build"]',
        "variants": '["optimized"]',
        "torch": '">=2.13"',
        "outcome": '"failed at optimize_for_mobile"',
        "error": '"RuntimeError"',
        "message": '"XNNPACK"',
        "reason": '"why"',
        "link": '"https://example.org"',
        "advice": '"what to do"',
        "review": "2027-01-01",
        **fields,
    }
    return "[[deviation]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


WINDOW = '{ statistic = "size", lower = 2.0, upper = 1.0 }'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (row_text(enginse='["x86"]'), "deviation.0.enginse"),
        (row_text(torch='"2.13 or so"'), "'2.13 or so' is not a version specifier"),
        (row_text(review=""), "deviation.0.review"),
        (row_text(review='"soon"'), "deviation.0.review"),
        (row_text(claims='["biuld"]'), "'biuld'"),
        (row_text(cases='["digit"]'), "'digit'"),
        (row_text(engines='["qnn"]'), "deviation.0.engines.0"),
        (row_text(variants='["original"]'), "selects no cell about which 'build' is claimed"),
        (row_text(outcome='"fails"'), "'fails'"),
        (row_text(outcome='"failed at optimizing"'), "'failed at optimizing'"),
        (row_text(outcome='"passed"'), "'passed'"),
        (row_text(outcome='"blocked by optimized"'), "'blocked by optimized'"),
        (row_text(error=""), "names no exact outcome"),
        (row_text(message=""), "names no exact outcome"),
        (row_text(outcome='"failed"', error="", message=""), "names no exact outcome"),
        (row_text(outcome='"failed"', number=WINDOW), "lower is above upper"),
        (row_text(number=WINDOW.replace("2.0", "-inf")), "deviation.0.number.lower"),
        (row_text() + row_text(), "'a'"),
    ],
    ids=[
        "unknown-key",
        "no-specifier",
        "no-review",
        "no-date",
        "unknown-claim",
        "unknown-case",
        "unknown-engine",
        "no-such-cell",
        "unknown-outcome",
        "unknown-stage",
        "expects-a-pass",
        "expects-a-block",
        "no-error",
        "no-message",
        "no-number",
        "crossed-window",
        "open-window",
        "duplicate",
    ],
)
def test_invalid_file_gives_one_line_with_file_and_key(
    text: str, words: str, data_file: Callable[[str, str], Path], refuses: Refuses
) -> None:
    path = data_file("deviations.toml", text)

    refuses(lambda: read_deviations(path), path, words)


def test_committed_file_is_valid() -> None:
    rows = read_deviations()

    assert [rows.line_of(row) for row in rows.rows] == sorted({rows.line_of(row) for row in rows.rows})


def test_id_in_other_notation_is_located_at_line_1(
    data_file: Callable[[str, str], Path],
) -> None:
    path = data_file("deviations.toml", 'a = 1\n\n[[deviation]]\nid = "g\\u006fne"\n')

    assert Deviations([deviation()], path, TODAY).line_of(deviation()) == 1
