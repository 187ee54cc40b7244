"""Calling uv, and saying in one line what went wrong where uv needs ten.

uv speaks to people: its words change between releases. The patterns below were held against what 0.5.0, 0.6.0, 0.7.0
and 0.13.9 really said; what none of them knows is quoted as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.upgrade.python_versions import OLDEST_PYTHON

_QUOTED = 300  # characters of uv's line; the reason stands at its beginning
_TOLD = re.compile(r"(Resolved|Downloading|Building|Prepared|Installed) .{1,60}")  # what of uv's output is progress
# Settings that would make uv write elsewhere than into the folder that it is told.
_MISLEADING = ("UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIRECTORY")
_ELSEWHERE = re.compile(
    r"-[pth]|--(python|target|prefix|system|user|project|directory|dry-run|help|break-system-packages"
    r"|python-platform|python-version)(=|$)"
)


def check_uv_args(uv_args: Sequence[str]) -> None:
    """UsageError for an argument with which uv would install elsewhere or not at all."""
    for text in uv_args:
        if _ELSEWHERE.match(text) or not text.isprintable():
            do = "vitgate itself tells uv where to install; choose an interpreter with --python"
            raise UsageError(f"cannot hand {text!r} to uv", where="--uv-arg", do=do)


def clean_variables() -> dict[str, str]:
    """Return this process's variables without those by which another environment's packages would be seen."""
    hidden = (*_MISLEADING, "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def run_uv(arguments: Sequence[str], *, name: str, folder: Path, lock: int | None, show: Callable[[str], None]) -> str:
    """Run uv to its end and return what it said.

    A `uv.toml` or `pyproject.toml` of the folder that the user happens to be in decides nothing. The user's own
    configuration counts.

    Args:
        arguments: uv's, the two words of the command first.
        name: The side's, for errors.
        folder: In which uv looks for a project (`--project`).
        lock: A descriptor that the child inherits, if there is one (see `vitgate.files.locks`).
        show: Is told uv's lines that are progress.

    Raises:
        UsageError: There is no such release.
        MachineError: Network, disk or packages fail.
    """
    settings = ["--no-progress", "--color", "never", "--project", str(folder)]
    lines: list[str] = []
    with _start([_find_uv(), *arguments[:2], *settings, *arguments[2:]], lock) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if told := _TOLD.match(line.strip()):
                    show(told[0])
        except BaseException:  # Ctrl-C too: the folder is cleared next, and uv must not write any more
            process.kill()
            raise
    if process.returncode:
        raise explain("".join(lines), name=name, status=process.returncode)
    return "".join(lines)


def _start(command: list[str], lock: int | None) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # noqa: S603  # uv itself; no shell, and requirements reach it in a file
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=clean_variables(),
            pass_fds=() if lock is None else (lock,),
        )
    except OSError as error:
        raise MachineError(f"uv does not start: {error}", do="install it again: pip install uv") from None


def _find_uv() -> str:
    try:
        return os.fsdecode(find_uv_bin())
    except FileNotFoundError:
        raise MachineError("uv's program is not where its package is", do="install it again: pip install uv") from None


@dataclass(frozen=True)
class _Fault:
    """A kind of failure: what of uv's output tells it, which line to quote, and what to say."""

    sign: str
    what: str
    do: str
    error: type[VitgateError] = MachineError
    quote: str = ""  # of several causes, the one to quote; otherwise the first


_NO_RELEASE = "there is no such release"
_NOT_TOGETHER = "the requirements cannot be met together"
_NO_WHEEL = "does not exist for this Python or machine"
REFUSED = (_NO_RELEASE, _NOT_TOGETHER, _NO_WHEEL)
"""What is said where packages cannot be installed, on whatever day and machine."""

# In this order: a full disk or a dead network comes with other messages behind which it must not hide.
_FAULTS = (
    _Fault(
        r"No space left on device|Disk quota exceeded|Read-only file system|os error (28|30|122)\b",
        "there is no room to install it",
        "free disk space (`vitgate environments prune`, `uv cache prune`)",
        quote=r"No space|quota|Read-only|os error",
    ),
    _Fault(
        r"try '--help'",
        "uv does not take this argument",
        "mend --uv-arg (the installed uv may be too old for it)",
        error=UsageError,
    ),
    _Fault(
        r"valid authentication credentials|returned a 40[137]",
        "the package index refuses access",
        "mend the credentials in --uv-arg=--index-url=URL, or name another index",
    ),
    _Fault(
        r"Failed to download `\S*/cpython-",
        "this Python is not here and cannot be downloaded",
        "check network and proxy, or give the path of an interpreter with --python",
    ),
    _Fault(
        r"error sending request|dns error|tcp connect|Connection (refused|reset)|timed out|network was disabled"
        r"|HTTP status|invalid peer certificate",
        "the package index or a download cannot be reached",
        "check network and proxy, or name a reachable index with --uv-arg=--index-url=URL",
        quote=r"Failed to (fetch|download)|not found in the cache",
    ),
    _Fault(
        r"No interpreter found|No virtual environment or",
        "there is no such Python",
        "install it, or give the path of an interpreter with --python",
    ),
    _Fault(r"no (usable )?wheels|no source distribution|does not satisfy Python", "", ""),  # see _no_wheel
    _Fault(
        r"\A(?!.*depends on).*(there (is|are) no versions? of|Because only .* available|not found in the package reg)",
        _NO_RELEASE,
        "ask for one that the index has (another index: --uv-arg=--index-url=URL)",
        error=UsageError,
    ),
    _Fault(
        r"No solution found",
        _NOT_TOGETHER,
        "change one of the versions, or let the installer choose by leaving it out",
    ),
)
_OTHER = _Fault("", "uv failed", "see uv's message")


def explain(output: str, *, name: str, status: int) -> VitgateError:
    """Return the error that uv's output tells of, with uv's decisive line.

    Args:
        output: What uv printed.
        name: The side's.
        status: uv's exit status, for an output that says nothing.
    """
    causes = causes_of(output) or [f"exit status {status}"]
    text = " ".join(output.split())
    fault = next((fault for fault in _FAULTS if re.search(fault.sign, text)), _OTHER)
    chosen = next((cause for cause in causes if fault.quote and re.search(fault.quote, cause)), causes[0])
    last = f"; {causes[-1]}" if "network" in fault.do and causes[-1] != chosen else ""
    quoted = f"uv: {chosen}{last}"
    if not fault.what:
        return _no_wheel(name, chosen, text)
    return fault.error(f"{name}: {fault.what}", where=quoted, do=fault.do)


def causes_of(output: str) -> list[str]:
    """Return uv's messages, outermost first: each on one line, shortened, without passwords of addresses.

    A conclusion (`we can conclude that ...`) says nothing that its premises do not, and is left out; so is the headline
    where causes follow.
    """
    starts = re.split(r"(?m)^\s*(?:error:|cause:|Caused by:|[×├╰]─*▶?)\s*", re.sub(r"(?m)^\s*│", "", output))
    bodies = [re.split(r"\n\s*\n|\n\s*hint:|\nUsage:|\n\s*\[(?:stderr|stdout)\]", each)[0] for each in starts[1:]]
    lines = [" ".join(body.split()) for body in bodies]
    short = [re.sub(r", we can conclude that your requirements are unsatisfiable\.", "", line) for line in lines]
    safe = [re.sub(r"://[^/@\s]+@", "://***@", line)[:_QUOTED] for line in short if line]
    headlines = ("No solution found", "Request failed after")
    return [line for line in safe if not line.startswith(headlines)] or safe


def _no_wheel(name: str, cause: str, text: str) -> MachineError:
    package = re.search(r"([\w.\-]+==[\w.+!*]+) (?:has no|depends on Python)", cause)
    what = f"{name}: {package[1] if package else 'a requirement'} {_NO_WHEEL}"
    return MachineError(what, where=f"uv: {cause}", do=_which_python(text))


def _which_python(text: str) -> str:
    """Say which Pythons have a wheel, if uv says so.

    The oldest of them that runs the suite is advised: what goes with an old torch often stops one Python earlier.
    """
    tags = re.search(r"following Python (?:ABI |version |implementation )?tags?: ((?:`\w+`(?:, | and )?)+)", text)
    if "platform tag" in text:
        return "ask for a version that has a wheel for this machine"
    if tags is None:
        least = re.search(r"does not satisfy Python>=(3\.\d+)", text)
        return f"another Python may have it: try --python {least[1] if least else '3.10'}"
    found = {(int(major), int(minor)) for major, minor in re.findall(r"`cp(\d)(\d+)", tags[1])}
    fit = sorted(version for version in found if version >= OLDEST_PYTHON)
    if not fit:
        return "it has no wheel for a Python that vitgate runs on (3.10 or newer)"
    names = [f"{major}.{minor}" for major, minor in fit]
    return f"it has wheels for Python {', '.join(names)}: try --python {names[0]}"
