"""A sweep or a bisection goes through the releases of one package, and the rest of a side stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from packaging.version import Version

from vitgate.files.errors import UsageError
from vitgate.records.record import Environment, Record
from vitgate.upgrade import moving_package
from vitgate.upgrade.moving_package import moving


def test_torch_is_the_moving_package_by_default() -> None:
    side = moving(None, None).side("2.12.1", where="VERSION")

    assert (side.name, side.requirements) == ("2.12.1", ("torch==2.12.1",))


def test_named_package_moves_beside_fixed_ones() -> None:
    side = moving("onnxruntime", "torch==2.15.0 timm==1.0.20").side("1.20.1", where="VERSION")

    assert (side.name, side.requirements) == (
        "onnxruntime==1.20.1",
        ("torch==2.15.0", "timm==1.0.20", "onnxruntime==1.20.1"),
    )


def test_installed_torch_is_fixed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_package, "packages", lambda: {"torch": "2.15.0+cpu"})

    assert "torch==2.15.0" in moving("timm", None).side("1.0.20", where="VERSION").requirements


@pytest.mark.parametrize(
    ("package", "fixed", "words"),
    [
        ("numba", None, ("unknown package 'numba'", "--package", "onnxruntime")),
        (None, "timm==1.0.20", ("--with without another --package",)),
        ("timm", "torch==2.15.0 timm==1.0.20", ("timm both moves and stays", "--with")),
        ("timm", "timm", ("does not name torch", "--with")),
    ],
)
def test_invalid_combination_gives_one_line_error(
    package: str | None, fixed: str | None, words: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as refused:
        moving(package, fixed)

    assert all(word in str(refused.value) for word in words)


def test_invalid_package_version_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'newest' is not a version of timm \(VERSION\)"):
        moving("timm", "torch==2.15.0").side("newest", where="VERSION")


def test_release_of_record_is_that_of_moving_package(record: Callable[..., Record], environment: Environment) -> None:
    found = record(environment=environment.model_copy(update={"torch": "2.15.0+cpu", "packages": {"timm": "1.0.20"}}))

    assert moving(None, None).release_in(found) == Version("2.15.0")
    assert moving("timm", "torch").release_in(found) == Version("1.0.20")
