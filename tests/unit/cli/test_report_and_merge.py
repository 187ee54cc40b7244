"""`vitgate report` and `vitgate merge`: the page or record that is written, its summary, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from vitgate.records.record import read_record

from .two_releases import NEW, OLD


def test_report_of_several_records_is_about_newest(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    assert run("report", NEW, OLD, "-o", page) == (0, f"report: {page}\n", "")
    assert "<h1>PyTorch 2.15.0: " in page.read_text(encoding="utf-8")


def test_report_summary_is_written_as_json(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("report", NEW, OLD, "-o", tmp_path / "report.html", "--json", "-")

    about = json.loads(out)
    assert (code, err) == (0, f"report: {tmp_path / 'report.html'}\n")
    assert [version.partition("+")[0] for version in about["versions"]] == ["2.12.1", "2.15.0"]
    assert " cannot carry " in about["answer"]


def test_refused_report_keeps_previous_one(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    path = data_file("report.html", "earlier")

    assert run("report", OLD, OLD, "-o", path)[0] == 4
    assert path.read_text(encoding="utf-8") == "earlier"


def test_a_report_of_an_edited_record_is_refused(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "edited.json"
    path.write_text(Path(NEW).read_text(encoding="utf-8").replace('"label":269', '"label":207', 1), encoding="utf-8")

    code, out, err = run("report", path, "-o", tmp_path / "report.html")

    assert (code, out) == (4, "")
    assert "edited by hand" in err
    assert not (tmp_path / "report.html").exists()


def test_unwritable_page_is_status_6(
    run: Callable[..., tuple[int, str, str]], data_file: Callable[[str, str], Path]
) -> None:
    code, out, err = run("report", NEW, "-o", data_file("file", "") / "report.html")

    assert (code, out) == (6, "")
    assert "name another file with -o" in err


def test_records_merge_into_one(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("merge", OLD, OLD, "-o", tmp_path / "merged.json")

    assert (code, err) == (0, "")
    assert read_record(tmp_path / "merged.json") == read_record(Path(OLD))
    assert "complete" in out


def test_merge_summary_is_written_as_json(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = run("merge", OLD, "-o", tmp_path / "merged.json", "--json", "-")

    about = json.loads(out)
    assert code == 0
    assert "complete" in err
    assert (about["record"], about["complete"], about["missing"]) == (str(tmp_path / "merged.json"), True, [])
    assert about["claims"] == len(read_record(Path(OLD)).claims)


def test_records_of_two_releases_do_not_merge(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, err = run("merge", OLD, NEW, "-o", tmp_path / "merged.json")

    assert code == 4
    assert err.startswith("ERROR: the records are of different environments")
    assert list(tmp_path.iterdir()) == []
