"""`vitgate upgrade`: what is refused before an environment is made, the answer, and Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitgate.compare.acceptance import Acceptances
from vitgate.compare.verdict import compare as compared
from vitgate.compare.verdict import Verdict
from vitgate.records.record import read_record
from vitgate.upgrade.gate import Order

from .two_releases import ACCEPTED, NEW, OLD


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fail whoever makes, or looks into, an environment."""

    def made(*arguments: object, **options: Any) -> None:
        raise AssertionError("an environment was made")

    monkeypatch.setattr("vitgate.upgrade.gate.make", made)
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "twice"):
        (tmp_path / name).mkdir()
    for name in ("a b.pt", "a_b.pt"):
        (tmp_path / "twice" / name).touch()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("OLD is missing",)),
        (("2.12.1",), ("NEW is missing",)),
        (("2.12.1", "2.13.0", "2.15.0"), ("one version too many: '2.15.0'",)),
        (("2.12.1", "newest"), ("NEW", "newest")),
        (("2.12.1", "2.15.0", "--engine", "cuda"), ("unknown engine 'cuda'", "qnnpack")),
        (("2.12.1", "2.15.0", "--case", "digit"), ("unknown case 'digit'", "digits")),
        (("2.12.1", "2.15.0", "--weights", "nonsense.pth"), ("--weights 'nonsense.pth'",)),
        (("2.12.1", "2.15.0", "--assets", "nowhere"), ("no such asset directory", "nowhere")),
        (("2.12.1", "2.15.0", "--field", "nowhere"), ("no such folder of artifacts", "nowhere", "--field")),
        (("2.12.1", "2.15.0", "--images", "nowhere"), ("cannot read this folder of pictures", "nowhere", "--images")),
        (("2.12.1", "2.15.0", "--images-accuracy", "0.8"), ("--images-accuracy without --images",)),
        (("2.12.1", "2.15.0", "--field", "empty"), ("no .pt, .ptl, .pt2, .pte, .onnx file here", "empty")),
        (("2.12.1", "2.15.0", "--field", "twice"), ("duplicate name 'own-a_b.pt'",)),
        (("--old-python", "nowhere/python", "2.15.0"), ("--old-python", "nowhere/python")),
        (("2.12.1", "2.15.0", "--accept-file", "nowhere.toml"), ("nowhere.toml",)),
        (("2.12.1", "2.15.0", "--accept", " "), ("--accept",)),
    ],
    ids=str,
)
def test_invalid_upgrade_is_status_4_before_environments_are_made(
    run: Callable[..., tuple[int, str, str]], no_environment: None, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    code, out, err = run("upgrade", *arguments)

    assert (code, out) == (4, ""), err
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []


@pytest.mark.parametrize("option", ["--json", "--junit", "--markdown", "--html"])
def test_unwritable_report_is_reported_before_environments_are_made(
    run: Callable[..., tuple[int, str, str]], no_environment: None, option: str
) -> None:
    code, _, err = run("upgrade", "2.12.1", "2.15.0", option, "twice/a_b.pt/report")

    assert code == 6
    assert "cannot write the report" in err
    assert option in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--latency=yes",), ("--unknown",), ("--engine",)])
def test_unknown_options_are_status_4(
    run: Callable[..., tuple[int, str, str]], no_environment: None, arguments: tuple[str]
) -> None:
    code, out, err = run("upgrade", "2.12.1", "2.15.0", *arguments)

    assert (code, out) == (4, "")
    assert "Error: " in err


def test_upgrade_ends_with_answer_status_and_reports(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def gate(order: Order, accepted: Acceptances, echo: Callable[..., Any]) -> Verdict:
        asked.append(order)
        echo("a step")
        return compared(read_record(Path(OLD)), read_record(Path(NEW)), accepted=accepted)

    monkeypatch.setattr("vitgate.upgrade.gate.gate", gate)
    (tmp_path / "phone.ptl").touch()
    options = (
        "--engine",
        "qnnpack",
        "--field",
        tmp_path,
        "--field",
        tmp_path,
        "--no-latency",
        "--torch-backend",
        "cpu",
    )

    code, out, err = run("upgrade", "2.12.1", "2.15.0", *options, *ACCEPTED, "--json", tmp_path / "verdict.json")

    (order,) = asked
    assert (code, err) == (0, "a step\n")
    assert "what breaks is accepted" in out.splitlines()[-1]
    assert (order.old.name, order.new.name, order.request.engine, order.latency) == (
        "2.12.1",
        "2.15.0",
        ("qnnpack",),
        False,
    )
    assert (order.request.field, order.uv_args) == ((str(tmp_path),), ("--torch-backend=cpu",))
    assert json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["exit_status"] == 0


def test_ctrl_c_gives_one_line_and_status_130(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(*arguments: Acceptances | Order | Callable[..., Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vitgate.upgrade.gate.gate", gate)

    code, out, err = run("upgrade", "2.12.1", "2.15.0")

    assert (code, out) == (130, "")
    assert err.strip() == "ERROR: interrupted"
