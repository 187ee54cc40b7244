"""Two sides are called by what tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vitgate.spec.versions import release_names, titled


@dataclass(frozen=True)
class _Installed:
    torch: str
    packages: dict[str, str]
    machine: str = "x86_64"


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (("2.12.1+cpu", {"timm": "1"}), ("2.15.0+cpu", {"timm": "2"}), ("2.12.1", "2.15.0")),
        (("2.15.0", {"timm": "1"}), ("2.15.0", {"timm": "2"}), ("timm 1", "timm 2")),
        (("2.15.0", {}), ("2.15.0", {"timm": "2"}), ("timm missing", "timm 2")),
        (("2.15.0", {"pytest": "1"}), ("2.15.0", {"pytest": "2"}), ("2.15.0", "2.15.0")),
        (("2.15.0+cpu", {}), ("2.15.0+cu132", {}), ("2.15.0+cpu", "2.15.0+cu132")),
        (
            ("2.15.0", {"onnx": "1", "onnxruntime": "1", "timm": "1"}),
            ("2.15.0", {"onnx": "2", "onnxruntime": "2", "timm": "2"}),
            ("onnxruntime 1, onnx 1 and 1 more", "onnxruntime 2, onnx 2 and 1 more"),
        ),
    ],
)
def test_sides_are_named_by_torch_or_differing_package(
    old: tuple[str, dict[str, str]], new: tuple[str, dict[str, str]], names: tuple[str, str]
) -> None:
    assert release_names(*(_Installed(torch, packages) for torch, packages in (old, new))) == names


@pytest.mark.parametrize("torch", ["2.15.0+cpu", "2.12.1+cpu"])
def test_sides_of_two_machines_are_named_by_them(torch: str) -> None:
    old, new = _Installed(torch, {"timm": "1"}), _Installed("2.15.0", {}, "aarch64")

    assert release_names(old, new) == (f"{torch[:6]} on x86_64", "2.15.0 on aarch64")


def test_bare_version_is_titled_pytorch() -> None:
    assert [titled(name) for name in ("2.12.1", "timm 1")] == ["PyTorch 2.12.1", "timm 1"]
