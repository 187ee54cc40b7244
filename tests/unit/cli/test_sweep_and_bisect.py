"""`vitgate sweep` and `vitgate bisect`: the order that they give, and what they print of its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from vitgate.records.record import read_record
from vitgate.upgrade.bisect import Bisected, Bisection, Found
from vitgate.upgrade.sweep import Sweep, Swept

from .two_releases import OLD


@pytest.mark.parametrize(("dask", "used"), [((), "alone"), (("--dask", "tcp://host:8786"), "tcp://host:8786")])
def test_sweep_shows_table_and_ends_with_status(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    dask: tuple[str, ...],
    used: str,
) -> None:
    asked = []

    def swept(order: Sweep, echo: Callable[..., Any], address: str = "alone") -> list[Swept]:
        asked.append((address, order))
        echo("a step")
        return [Swept("2.12.1", read_record(Path(OLD))), Swept("9.9.9", error="no such version")]

    monkeypatch.setattr("vitgate.upgrade.sweep.sweep", swept)
    monkeypatch.setattr("vitgate.upgrade.dask_sweep.sweep_on", lambda address, order, echo: swept(order, echo, address))

    arguments = ("2.12.1", "9.9.9", "--records", tmp_path, "--shard", "1/2", "--case", "digits", *dask)
    code, out, err = run("sweep", *arguments, "--json", tmp_path / "new" / "sweep.json")

    ((address, order),) = asked
    assert address == used
    assert [side.name for side in order.sides] == ["2.12.1", "9.9.9"]
    assert (order.request.shard, order.request.case, order.records) == ("1/2", ("digits",), tmp_path)
    assert (code, err) == (6, "a step\n")
    assert "environment error" in out
    assert json.loads((tmp_path / "new" / "sweep.json").read_text(encoding="utf-8"))["exit_status"] == 6


def test_unwritable_table_is_status_6(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("vitgate.upgrade.sweep.sweep", lambda order, echo: [Swept("2.12.1", read_record(Path(OLD)))])
    (tmp_path / "file").touch()

    code, _, err = run("sweep", "2.12.1", "--records", tmp_path, "--json", tmp_path / "file" / "sweep.json")

    assert code == 6
    assert "cannot write the report" in err
    assert "--json" in err


def test_bisection_reports_what_it_found(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def found(bisection: Bisection, echo: Callable[..., Any]) -> Bisected:
        asked.append(bisection)
        seen = {Version(name): {bisection.claim: name} for name in ("2.12.1", "2.13.0")}
        return Bisected(bisection.claim, Found(Version("2.12.1"), Version("2.13.0"), ()), seen)

    monkeypatch.setattr("vitgate.upgrade.bisect.bisect", found)

    arguments = ("2.12.1", "2.15.0", "--claim", "build[digits-qnnpack-optimized]", "--releases", "2.12.1,2.13.0,2.15.0")
    code, out, err = run("bisect", *arguments, "--records", tmp_path, "--json", "-")

    (bisection,) = asked
    assert code == 0
    assert err.startswith("2.13.0 is the first release on which")
    assert err.count("\n") == 1
    assert json.loads(out) == {
        "claim": arguments[3],
        "last_as_before": "2.12.1",
        "first_changed": "2.13.0",
        "skipped": [],
        "outcomes": {name: {arguments[3]: name} for name in ("2.12.1", "2.13.0")},
        "answer": err.strip(),
    }
    assert (bisection.good, bisection.bad, bisection.claim) == ("2.12.1", "2.15.0", arguments[3])
    assert (bisection.records, [str(each) for each in bisection.releases or ()]) == (
        tmp_path,
        ["2.12.1", "2.13.0", "2.15.0"],
    )
