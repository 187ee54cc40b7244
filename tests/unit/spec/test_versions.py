"""Two sides are called by what tells them apart."""

from __future__ import annotations

import pytest

from vitgate.spec.versions import release_names, titled


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
    assert release_names(old, new) == names


def test_bare_version_is_titled_pytorch() -> None:
    assert [titled(name) for name in ("2.12.1", "timm 1")] == ["PyTorch 2.12.1", "timm 1"]
