"""What identifies a PyTorch build, also where an early release says it elsewhere."""

import sys

import pytest

from vitgate.pipeline import torch_build


@pytest.mark.parametrize(
    ("text", "capability"),
    [("PyTorch built with:\n  - CPU capability usage: AVX2\n", "AVX2"), ("PyTorch built with:\n", "unknown")],
)
def test_early_releases_name_the_capability_in_their_configuration(text: str, capability: str) -> None:
    assert torch_build._capability_from(text) == capability


def test_a_torch_without_the_backends_module_has_no_xnnpack(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "torch.backends.xnnpack", None)

    assert torch_build._xnnpack_enabled() is False
