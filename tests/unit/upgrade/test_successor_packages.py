"""A side gets the packages of the successors that uv can install beside its own; what it cannot is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.errors import MachineError
from vitgate.spec.variants import read_successors
from vitgate.upgrade import successor_packages
from vitgate.upgrade.installer import REFUSED
from vitgate.upgrade.record_cache import Means
from vitgate.upgrade.requirements import name_of, Side
from vitgate.upgrade.runs import Request

ASKED = Request(engine=("none",))
NAMES = {"torchao", "executorch", "onnx", "onnxscript", "onnxruntime"}


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Return the names that uv is asked for, each time; a resolver that cannot put executorch beside torchao 0.17."""
    asked: list[set[str]] = []

    def resolve(arguments: list[str], *, name: str, folder: Path, **_: Any) -> str:
        lines = (folder / "asked.txt").read_text(encoding="utf-8").splitlines()
        asked.append({name_of(line) for line in lines})
        if "executorch" in asked[-1] and "torchao==0.17.0" in lines:
            raise MachineError(f"{name}: {REFUSED[1]}", where="uv: executorch needs torchao>=0.18", do="change one")
        return ""

    monkeypatch.setattr(successor_packages, "run_uv", resolve)
    return asked


def whole(side: Side, tmp_path: Path, request: Request = ASKED) -> Side:
    return successor_packages.for_successors(side, request, Means(tmp_path), lambda line: None)


def test_all_packages_are_resolved_in_one_uv_call(uv: list[set[str]], tmp_path: Path) -> None:
    found = whole(Side("2.15.0", ("torch==2.15.0",)), tmp_path)

    assert {name_of(text) for text in found.requirements} == {"torch", *NAMES}
    assert (len(uv), found.notes) == (1, ())


def test_package_named_by_user_is_kept(uv: list[set[str]], tmp_path: Path) -> None:
    found = whole(Side("s", ("torch==2.15.0", "onnxruntime==1.20.1")), tmp_path)

    assert [text for text in found.requirements if name_of(text) == "onnxruntime"] == ["onnxruntime==1.20.1"]


def test_uninstallable_package_is_left_out_and_named(uv: list[set[str]], tmp_path: Path) -> None:
    found = whole(Side("s", ("torch==2.15.0", "torchao==0.17.0")), tmp_path)

    assert {name_of(text) for text in found.requirements} == {"torch", *NAMES} - {"executorch"}
    assert len(found.notes) == 1
    assert "left out executorch" in found.notes[0]
    assert "needs torchao>=0.18" in found.notes[0]


def test_unreachable_index_does_not_drop_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: Any, **__: Any) -> str:
        raise MachineError("s: the package index or a download cannot be reached", do="check network and proxy")

    monkeypatch.setattr(successor_packages, "run_uv", unreachable)

    with pytest.raises(MachineError, match="cannot be reached"):
        whole(Side("s", ("torch==2.15.0",)), tmp_path)


@pytest.mark.parametrize(
    ("side", "request_"),
    [(Side("s", ("torch==2.15.0",)), Request()), (Side("s", interpreter=Path("python")), ASKED)],
    ids=["without successors", "an interpreter"],
)
def test_sides_without_successors_are_unchanged(
    uv: list[set[str]], tmp_path: Path, side: Side, request_: Request
) -> None:
    assert whole(side, tmp_path, request_) is side
    assert uv == []


@pytest.mark.parametrize(
    ("torch", "executorch"),
    [
        ("torch==2.12.1", "executorch>=1.0"),
        ("torch==2.13.0", "executorch>=1.4"),
        ("torch>=2.9", "executorch>=1.4"),
        ("torch==2.15.*", "executorch>=1.4"),
    ],
)
def test_executorch_is_one_that_is_built_for_the_torch(
    uv: list[set[str]], tmp_path: Path, torch: str, executorch: str
) -> None:
    assert executorch in whole(Side("s", (torch,)), tmp_path).requirements


def test_further_number_types_raise_the_floor_of_a_package(
    uv: list[set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = dict(read_successors())
    newer = {"packages": ("executorch>=1.5",), "under": {}}
    rows["executorch_static"] = rows["executorch_static"].model_copy(update=newer)
    monkeypatch.setattr(successor_packages, "read_successors", lambda: rows)
    side = Side("s", ("torch==2.15.0",))
    plain, typed = (whole(side, tmp_path, replace(ASKED, types=types)) for types in (False, True))

    assert [text for text in plain.requirements if name_of(text) == "executorch"] == ["executorch>=1.4"]
    assert [text for text in typed.requirements if name_of(text) == "executorch"] == ["executorch>=1.4,>=1.5"]
