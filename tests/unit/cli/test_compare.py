"""`vitgate compare`: the answer and its exit status, the reports, and records that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .two_releases import ACCEPTED, NEW, OLD, RECORDS


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((OLD, NEW), 1, "Do not upgrade from PyTorch 2.12.1 to 2.15.0: 5 things break"),
        ((OLD, OLD), 0, "may upgrade; every claim holds as before"),
        ((NEW, OLD), 0, "are fixed"),
        ((OLD, NEW, *ACCEPTED), 0, "what breaks is accepted"),
        ((OLD, NEW, *ACCEPTED[:-2]), 1, "1 thing breaks"),
        ((OLD, OLD, *ACCEPTED[:2]), 1, "covers nothing"),
    ],
)
def test_comparison_ends_with_answer_and_status(
    run: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], status: int, words: str
) -> None:
    code, out, err = run("compare", *arguments)

    assert (code, err) == (status, "")
    assert words in out.splitlines()[-1]


def test_expired_acceptance_is_named_with_file_and_line(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    entry = '\n[[accept]]\nid = "xnnpack-gone"\nreason = "r"\nowner = "o"\nexpires = 2020-01-01\n'
    path = data_file("accepted.toml", entry)

    code, out, _ = run("compare", OLD, NEW, "--accept-file", path)

    assert code == 1
    assert f"{path}:3: the acceptance of xnnpack-gone expired on 2020-01-01" in out


def test_all_reports_are_written(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    options = [text for name in ("json", "junit", "markdown", "html") for text in (f"--{name}", tmp_path / name)]

    code, _, _ = run("compare", OLD, NEW, *options)

    assert code == 1
    assert {path.name for path in tmp_path.iterdir()} == {"json", "junit", "markdown", "html"}
    assert json.loads((tmp_path / "json").read_text(encoding="utf-8"))["exit_status"] == 1


def test_json_is_alone_on_standard_output(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run("compare", OLD, NEW, "--json", "-")

    assert json.loads(out)["answer"] == err.splitlines()[-1]
    assert code == 1


def test_an_error_is_one_line_without_control_characters(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    data = json.loads((RECORDS / "2.15.0.json").read_text(encoding="utf-8"))
    data["claims"][0].update(subject="\x1b[31mx\n\x9b", outcome="failed")
    path = data_file("record.json", json.dumps(data))

    code, out, err = run("compare", OLD, path)

    assert (code, out) == (4, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert err.endswith("make the record again\n")
    assert "\x1b" not in err
    assert "\x9b" not in err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}'])
def test_file_that_is_no_record_is_status_4(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path], text: str
) -> None:
    path = data_file("record.json", text)

    code, _, err = run("compare", path, NEW)

    assert code == 4
    assert err.startswith("ERROR: ")
    assert str(path) in err
    assert err.count("\n") == 1


def test_missing_record_is_status_4(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert run("compare", OLD, tmp_path / "no.json")[0] == 4


def test_unwritable_report_is_status_6(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    path = data_file("file", "")

    code, out, err = run("compare", OLD, NEW, "--html", path / "page.html")

    assert code == 6
    assert err.startswith("ERROR: cannot write the report")
    assert err.count("\n") == 1
    assert out.splitlines()[-1].startswith("Do not upgrade")  # which may have taken half an hour to find
