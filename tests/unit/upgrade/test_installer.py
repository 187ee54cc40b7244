"""What uv may be told, and its output when it fails as one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitgate.files.errors import MachineError, UsageError
from vitgate.upgrade.installer import check_uv_args, explain

from ..conftest import Refuses

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis comes with the extra `test`")
from hypothesis import given, strategies  # noqa: E402  # after the check that it is there

MESSAGES = Path(__file__).parent / "uv_messages"


@pytest.mark.parametrize("text", ["--python=3.8", "-p", "-p3.8", "--target=/", "--system", "--prefix", "-t/x", "a\nb"])
def test_uv_args_that_redirect_installation_are_refused(text: str, refuses: Refuses) -> None:
    refuses(lambda: check_uv_args(["--offline", text]), "--uv-arg")


def test_other_uv_args_are_accepted() -> None:
    check_uv_args(["--index-url=https://index.invalid", "--prerelease=allow", "--torch-backend", "cpu", "--pre"])


KINDS = {
    "unknown": (UsageError, "no such release"),
    "argument": (UsageError, "does not take this argument"),
    "wheel": (MachineError, "for this Python or machine"),
    "network": (MachineError, "check network"),
    "access": (MachineError, "refuses access"),
    "disk": (MachineError, "no room"),
    "conflict": (MachineError, "cannot be met together"),
    "python": (MachineError, "no such Python"),
    "other": (MachineError, "uv failed"),
}


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.txt")), ids=lambda path: path.stem)
def test_uv_output_becomes_one_line(path: Path) -> None:
    error = explain(path.read_text(encoding="utf-8"), name="2.12.1", status=1)
    expected, words = KINDS[path.stem.partition("_")[0].partition("-")[0]]
    assert type(error) is expected
    assert words in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("wheel_0.13.9", ("torch==1.13.1", "3.10, 3.11", "--python 3.10")),
        ("wheel_0.5.0", ("torch==1.13.1", "--python 3.10")),
        ("wheel-python_0.13.9", ("numpy==2.4.6", "--python 3.11")),
        ("wheel-platform_0.13.9", ("torch==2.12.1", "this machine")),
        ("network_0.13.9", ("http://127.0.0.1:1/simple/idna/", "Connection refused")),
        ("network-download_0.13.9", ("this Python", "path of an interpreter", "Name or service not known")),
        ("network_0.5.0", ("http://127.0.0.1:1/simple/idna/", "Connection refused")),
        ("disk-link_0.13.9", ("No space left on device",)),
        ("conflict_0.7.0", ("torchvision==0.20.0 depends on torch==2.5.0", "require torch==2.12.1")),
        ("unknown_0.7.0", ("there is no version of torch==9.9.9",)),
    ],
)
def test_decisive_line_of_uv_output_is_quoted(file: str, words: tuple[str, ...]) -> None:
    text = str(explain((MESSAGES / f"{file}.txt").read_text(encoding="utf-8"), name="NEW", status=1))
    assert [word for word in words if word not in text] == [], text


@given(output=strategies.text(), status=strategies.integers(1, 255))
def test_any_output_becomes_one_line(output: str, status: int) -> None:
    assert "\n" not in str(explain(output, name="2.12.1", status=status))


def test_passwords_are_not_shown() -> None:
    output = "error: Failed to fetch: `https://me:secret@index.invalid/simple/`\n  Caused by: timed out\n"
    assert "secret" not in str(explain(output, name="NEW", status=2))
