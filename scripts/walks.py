"""Draw which files of vitgate a run passes, in the order of the first call: the lists of `docs/how-it-works.md`.

    python scripts/walks.py test      # one test in its pytest worker, from the collection to its row in the record
    python scripts/walks.py upgrade   # `vitgate upgrade`, from argv to the exit status, in the process of the command

A file is passed when a function of it is called; what happens while a module is imported does not count. The
interpreter that runs the script is on both sides of the upgrade, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from vitgate.files.errors import MachineError, status_of, UsageError

ROOT = Path(__file__).parents[1]
CELL = "digits-fbgemm-lite"

# `sitecustomize` of the processes that are watched; a function's code has the flag CO_OPTIMIZED, a class body has not.
_WATCH = """
import os, sys
_seen, _state = set(), {"on": os.environ["WALK_FROM"] == ""}


def _called(frame, event, argument):
    code, root = frame.f_code, os.environ["WALK_ROOT"] + "/"
    name = code.co_filename
    if event != "call" or not name.startswith((root + "src/", root + "tests/")) or not code.co_flags & 1:
        return
    if frame.f_back and frame.f_back.f_code.co_filename.startswith(root) and not frame.f_back.f_code.co_flags & 1:
        return  # what a module, or the body of a class, does while it is imported is no step of a run
    if code.co_name == os.environ["WALK_FROM"]:
        _state["on"] = True
    if _state["on"] and name not in _seen:
        _seen.add(name)
        with open(os.environ["WALK_OUT"], "a", encoding="utf-8") as out:
            out.write(f"{os.getpid()} {name.removeprefix(root)} {code.co_name}\\n")


if os.environ["WALK_WORD"] in ("", *sys.orig_argv):
    sys.setprofile(_called)
"""


def walk(command: list[str], *, word: str, start: str) -> list[str]:
    """Return the files that the command's process passes, each with the first function called there.

    Args:
        command: What is run.
        word: An argument of the processes that are watched; all of them where it is empty.
        start: The function from whose first call on files count; all of them where it is empty.

    Returns:
        Lines `path (function)`, of the process that passes most files.

    Raises:
        MachineError: No process passed any file.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "walk.txt"
        (Path(folder) / "sitecustomize.py").write_text(_WATCH, encoding="utf-8")
        watched = {
            "PYTHONPATH": os.pathsep.join([folder, str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
            **{"WALK_ROOT": str(ROOT), "WALK_OUT": str(out), "WALK_FROM": start},
            **{"WALK_WORD": word},
        }
        subprocess.run(command, cwd=ROOT, env={**os.environ, **watched}, check=False, stdout=sys.stderr)  # noqa: S603
        rows = [line.split() for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    if not rows:
        raise MachineError("the command called no function of vitgate", where=command[0], do="see its output above")
    processes = {process: [f"{path} ({name})" for each, path, name in rows if each == process] for process, *_ in rows}
    return max(processes.values(), key=len)


def main() -> None:
    """Print the walk that is asked for."""
    python = sys.executable
    if sys.argv[1:] == ["test"]:
        test = ["-m", "pytest", "-q", "-n", "1", "tests/conformance/test_label.py", "--claim", f"label[{CELL}]"]
        found = walk([python, *test], word="", start="pytest_generate_tests")
    elif sys.argv[1:] == ["upgrade"]:
        sides = ["--old-python", python, "--new-python", python, "--case", "digits", "--engine", "fbgemm"]
        found = walk([python, "-m", "vitgate", "upgrade", *sides], word="upgrade", start="")
    else:
        raise UsageError(f"unknown walk {' '.join(sys.argv[1:])!r}", where="walks.py", do="choose from test, upgrade")
    for number, line in enumerate(found, 1):
        print(f"{number}. {line}")


if __name__ == "__main__":
    sys.exit(status_of(main))
