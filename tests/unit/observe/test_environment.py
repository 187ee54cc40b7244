"""What a record says of the machine and the build, where the system or the packages say little."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitgate.files.errors import MachineError
from vitgate.observe import environment
from vitgate.spec import versions as spec_machine


@pytest.fixture
def nothing_looked_up() -> Iterator[None]:
    """Forget the packages, before and after."""
    spec_machine.packages.cache_clear()
    yield
    spec_machine.packages.cache_clear()


def test_packages_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch, nothing_looked_up: None) -> None:
    def version(name: str) -> str:
        if name == "timm":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)

    assert spec_machine.packages() == dict.fromkeys((name for name in spec_machine.PACKAGES if name != "timm"), "1.0")


@pytest.mark.parametrize(
    ("text", "name"),
    [("model name\t: Some Xeon: 2\nmodel name: B\n", "Some Xeon: 2"), ("processor: 0\n", "p"), (None, "p")],
)
def test_processor_name_comes_from_linux_or_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, name: str
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(platform, "processor", lambda: "p")

    assert spec_machine.cpu_model(path) == name


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("aarch64", "vendor_id\t: GenuineIntel\nmodel name\t: Some Xeon\n", True),
        ("aarch64", "model name\t: ARMv8 Processor rev 1 (v8l)\nCPU implementer\t: 0x41\n", True),  # qemu 8 and newer
        ("aarch64", "CPU implementer\t: 0x41\n", False),
        ("x86_64", "vendor_id\t: GenuineIntel\nmodel name\t: Some Xeon\n", False),
    ],
)
def test_foreign_processor_means_emulation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, text: str, found: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(platform, "machine", lambda: word)

    assert spec_machine.emulated(path) == found
    assert (spec_machine.cpu_model(path) == "emulated aarch64") == found


@pytest.mark.parametrize(("word", "name"), [("AMD64", "x86_64"), ("arm64", "aarch64"), ("riscv64", "riscv64")])
def test_machine_names_are_normalized(monkeypatch: pytest.MonkeyPatch, word: str, name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: word)

    assert spec_machine.machine() == name


def test_kernels_on_another_processor_stop_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {"ATen": "AVX512", "oneDNN": "Intel AVX2", "FBGEMM": "AVX2"}
    monkeypatch.setattr(environment, "kernels_taken", lambda: taken)

    with pytest.raises(MachineError, match="the kernels are not held to avx2: ATen took AVX512"):
        environment.check_held("avx2")

    environment.check_held("host")
    taken["ATen"] = "AVX2"
    environment.check_held("avx2")


def test_incompatible_packages_give_one_line_with_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr(environment, "packages", lambda: {"torch": "2.13.0", "torchvision": "0.28.0", "numpy": "2.0"})

    with pytest.raises(MachineError) as caught:
        environment.check_imports()

    text = str(caught.value)
    assert text.startswith("the packages do not import together: import of timm halted")
    assert text.endswith("(torch 2.13.0, torchvision 0.28.0): install torch and torchvision together from one index")


def test_disabled_torchscript_gives_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_JIT", "0")

    with pytest.raises(MachineError, match=r"TorchScript is switched off \(PYTORCH_JIT=0\): unset that variable"):
        environment.check_imports()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (KeyError("getpwuid(): uid not found: 12345"), "set USER to any name"),
        (ImportError("undefined symbol"), "install torch and torchvision together"),
        (ValueError("anything"), "install torch and torchvision together"),
    ],
)
def test_failed_import_gives_one_line_error(error: Exception, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "timm":
                raise error

    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Fails(), *sys.meta_path])

    with pytest.raises(MachineError, match=f"the packages do not import together.*{advice}"):
        environment.check_imports()
