"""What a shell completes: the scripts, and the values that only vitgate knows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from vitgate.cli import cli, main


def completed(*words: str, incomplete: str = "") -> list[str]:
    return [each.value for each in ShellComplete(cli, {}, "vitgate", "_X").get_completions(list(words), incomplete)]


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (("check", "--case"), "deit_t", ["deit_tiny", "deit_tiny_distilled"]),
        (("upgrade", "--engine"), "", ["fbgemm", "x86", "onednn", "qnnpack"]),
        (("bisect", "--claim"), "lat", ["latency"]),
        (("check", "--claim"), "build[digits-fbgemm-o", ["build[digits-fbgemm-optimized]"]),
        (("check",), "--ca", ["--case", "--case-file"]),
        (("compare", "--color"), "", ["auto", "always", "never"]),
        ((), "comp", ["compare", "completion"]),
    ],
    ids=str,
)  # fmt: skip
def test_values_are_completed(words: tuple[str, ...], incomplete: str, expected: list[str]) -> None:
    assert sorted(completed(*words, incomplete=incomplete)) == sorted(expected)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_have_completion_scripts(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", shell])

    assert ended.value.code == 0
    assert f"_VITGATE_COMPLETE={shell}_complete" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="it is about bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    """The function that the script defines is called as bash calls it, for `vitgate check --engine qn<Tab>`."""
    program = tmp_path / "vitgate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vitgate "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = """
        eval "$(vitgate completion bash)" || exit 1
        complete -p vitgate
        COMP_WORDS=(vitgate check --engine qn) COMP_CWORD=3
        _vitgate_completion vitgate
        echo "${COMPREPLY[@]}"
    """
    paths = {"PATH": f"{tmp_path}:{Path(shutil.which('bash') or '').parent}:/usr/bin:/bin"}
    own = {"PYTHONPATH": ":".join(path for path in sys.path if path), "HOME": str(tmp_path)}

    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, env={**paths, **own}  # noqa: S607  # the system's bash
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    if "nosort" in done.stderr:  # bash before 4.4 has no such option, and click says so
        pytest.skip("this bash is too old for click's script")
    registered, values = done.stdout.splitlines()[-2:]
    assert "_vitgate_completion" in registered
    assert values == "qnnpack"
