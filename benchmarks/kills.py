"""Kill runs of the suite at random moments, and see that nothing is left running and the next run is none the worse.

    python benchmarks/kills.py [--times 50] [--by evidence] [--seed 1] [--case digits] [--engine fbgemm] [--workers 2]

First an undisturbed run: its outcomes are what all others are held against. Then, each time: a run on an empty artifact
cache, in which SIGKILL hits all processes, or one of a kind, once a random part of the evidence is there (or, with
`--by clock`, of the usual time: on a machine that is busier meanwhile, most of these moments are early ones); and a
second run on what that one left. Checked are: the killed run ended, left no process behind, and claimed success only
where its outcomes are those of the undisturbed run; the second run has those outcomes and status 0; the cache is whole:
every file has the digest of its entry, no half-made entry is left, no lock is held; and no folder of a session is left.
The exit status is the number of times that were not so.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watch import ROOT

from vitgate.files.errors import UsageError
from vitgate.files.hashing import digest_of
from vitgate.records.record import read_record

PLACES = ("the whole run", "the controller", "a worker", "the server", "a child of the server")
_MARK = "VITGATE_KILLS"  # by this variable the processes of one run are known
_END_SECONDS = 600.0  # after which a run counts as hanging
_LEFT_SECONDS = 60.0  # that processes get to see that their run is gone; a worker of xdist's takes up to 15


@dataclass(frozen=True)
class Run:
    """One run on its way: the process that the user started, its folder, and the mark of all its processes."""

    process: subprocess.Popen[bytes]
    record: Path
    token: str

    def members(self) -> dict[int, str]:
        """Return the living processes of this run by number, and what each is."""
        return {pid: self._role(pid) for pid in _processes() if self._is_ours(pid)}

    def _is_ours(self, pid: int) -> bool:
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return f"{_MARK}={self.token}".encode() in variables.split(b"\0")

    def _role(self, pid: int) -> str:
        if pid == self.process.pid:
            return "the controller"
        command, parent = _looked_at(pid)
        if "vitgate.observe.server" in command:
            return "the server" if parent == self.process.pid else "a child of the server"
        return "a worker" if parent == self.process.pid else "other"

    def seen(self) -> int:
        """Return how many pieces of evidence there are."""
        return sum(1 for _ in (self.record.parent / "tmp").glob("vitgate-session-*/evidence/*/*.json"))

    def kill(self, place: str, rng: random.Random) -> bool:
        """Kill a process of that kind, or all; wait for one where there is none yet. False if the run ends before."""
        while self.process.poll() is None:
            found = [pid for pid, role in self.members().items() if place in ("the whole run", role)]
            if found:
                for pid in found if place == "the whole run" else [rng.choice(found)]:
                    _kill(pid)
                return True
            time.sleep(0.01)
        return False

    def ended(self) -> tuple[str, str]:
        """Wait for the end; return the status, and what is wrong."""
        try:
            status = str(self.process.wait(_END_SECONDS))
        except subprocess.TimeoutExpired:
            status = "hangs"
        end = time.monotonic() + _LEFT_SECONDS
        while (left := self.members()) and time.monotonic() < end:
            time.sleep(0.1)
        for pid in left:
            _kill(pid)
        return status, f"left running: {', '.join(left.values())}" if left else ""

    def outcomes(self) -> dict[str, object]:
        """Return what no moment of a kill may change; nothing where there is no record."""
        if not self.record.exists():
            return {}
        record = read_record(self.record)
        claims = {row.name: (row.status, row.outcome_text, row.deviation) for row in record.claims}
        cells = {row.name: (row.outcome_text, row.label) for row in record.cells}
        return {**claims, **cells, "missing": record.missing, "complete": record.complete, "inputs": record.inputs}


def _processes() -> Iterator[int]:
    yield from (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _looked_at(pid: int) -> tuple[str, int]:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        return command, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return "", 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def start(folder: Path, name: str, arguments: argparse.Namespace) -> Run:
    """Start a run as users do, with cache and temporary folder of its own; its output goes to a file."""
    token, record = uuid.uuid4().hex, folder / f"{name}.json"
    (folder / "tmp").mkdir(exist_ok=True)
    apart = {"XDG_CACHE_HOME": str(folder / "xdg"), "TMPDIR": str(folder / "tmp"), _MARK: token}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(arguments.workers)]
    command += ["tests/conformance", "--case", arguments.case, "--engine", arguments.engine]
    command += ["--artifact-cache", str(folder / "artifacts"), "--record", str(record)]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own suite
            command, cwd=ROOT, env={**os.environ, **apart}, stdout=log, stderr=log, start_new_session=True
        )
    return Run(process, record, token)


def what_is_broken(folder: Path) -> list[str]:
    """Say what is wrong with what the runs of this folder left."""
    cache = folder / "artifacts"
    found = [f"{path.name} is left" for path in _leftovers(folder)]
    for path in cache.iterdir() if cache.is_dir() else ():
        if path.is_dir() and path.name != "locks" and not path.name.startswith(".") and not _is_sound(path):
            found.append(f"{path.name} is broken")
    return found + [f"{path.name} is held" for path in (cache / "locks").glob("*") if not _is_free(path)]


def _leftovers(folder: Path) -> list[Path]:
    return [path for name in ("artifacts/.*", ".*", "tmp/vitgate-*") for path in folder.glob(name)]


def _is_sound(entry: Path) -> bool:
    try:
        row = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
        file = entry / Path(row["path"]).name
        whole = file.stat().st_size == row["bytes"] and digest_of(file) == row["digest"]
        return whole and {path.name for path in entry.iterdir()} == {"entry.json", file.name}
    except (OSError, ValueError, KeyError):
        return False


def _is_free(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@dataclass(frozen=True)
class Moment:
    """When to kill: once there are so many pieces of evidence, and so many seconds have passed."""

    pieces: int
    seconds: float

    def wait_in(self, run: Run) -> None:
        """Wait until it is there, or the run has ended."""
        end = time.monotonic() + self.seconds
        while run.process.poll() is None and (run.seen() < self.pieces or time.monotonic() < end):
            time.sleep(0.01)

    def part(self, part: float, by: str) -> Moment:
        """Return the moment in such a part of a run that ends here."""
        return Moment(int(self.pieces * part), 0.0) if by == "evidence" else Moment(0, self.seconds * part)


def kill_once(
    folder: Path,
    place: str,
    moment: Moment,
    usual: dict[str, object],
    rng: random.Random,
    arguments: argparse.Namespace,
) -> tuple[str, list[str]]:
    """Kill one run and run again; return the killed run's status and what is wrong."""
    killed = start(folder, "killed", arguments)
    moment.wait_in(killed)
    hit = killed.kill(place, rng)
    status, left = killed.ended()
    wrong = [left] if left else []
    try:
        seen = killed.outcomes()
    except UsageError as error:
        return status, [*wrong, str(error)]
    if status == "0" and seen != usual:
        wrong.append(f"the killed run claims success: {_difference(seen, usual)}")
    again = start(folder, "again", arguments)
    ended, left = again.ended()
    wrong += [left] if left else []
    if ended != "0" or again.outcomes() != usual:
        wrong.append(f"the next run: status {ended}, {_difference(again.outcomes(), usual)}")
    return status if hit else f"{status}, ended before", wrong + what_is_broken(folder)


def _difference(seen: dict[str, object], usual: dict[str, object]) -> str:
    names = [name for name in {**usual, **seen} if seen.get(name) != usual.get(name)]
    return f"{len(names)} other outcomes: {[(name, seen.get(name)) for name in names[:3]]}"


def main() -> int:
    """Print one line for each kill, and the sum as a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--by", choices=["evidence", "clock"], default="evidence")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", default="digits")
    parser.add_argument("--engine", default="fbgemm")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)  # noqa: S311  # moments, not secrets
    home = Path(tempfile.mkdtemp(prefix="vitgate-kills-"))
    usual, end = undisturbed(home, arguments)
    print(f"undisturbed: {len(usual)} outcomes by {end.pieces} pieces of evidence in {end.seconds:.0f} s", flush=True)
    rows: list[tuple[str, str, list[str]]] = []
    for number in range(arguments.times):
        folder, place, part = home / str(number), PLACES[number % len(PLACES)], rng.uniform(0.0, 0.95)
        folder.mkdir()
        status, wrong = kill_once(folder, place, end.part(part, arguments.by), usual, rng, arguments)
        rows.append((place, status, wrong))
        print(f"{number + 1:3} {part:5.0%}  {place:22} status {status:16} {'; '.join(wrong) or 'sound'}", flush=True)
        if not wrong:  # else its logs and its cache tell why
            shutil.rmtree(folder)
    return summed_up(rows)


def undisturbed(home: Path, arguments: argparse.Namespace) -> tuple[dict[str, object], Moment]:
    """Run once without a kill; return its outcomes and when it ended."""
    folder, pieces, begin = home / "undisturbed", 0, time.monotonic()
    folder.mkdir()
    run = start(folder, "undisturbed", arguments)
    while run.process.poll() is None:
        pieces = max(pieces, run.seen())
        time.sleep(0.01)
    seconds = time.monotonic() - begin
    if (ended := run.ended()) != ("0", ""):
        raise SystemExit(f"the undisturbed run itself ended with {ended}, see {folder}")
    return run.outcomes(), Moment(pieces, seconds)


def summed_up(rows: list[tuple[str, str, list[str]]]) -> int:
    """Print the sums by place; return how many times something was wrong."""
    print("\n| killed | times | ended with status | left running | next run the same, cache whole |")
    print("|---|---|---|---|---|")
    for place in PLACES:
        own = [row for row in rows if row[0] == place]
        statuses = ", ".join(f"{status} ({count})" for status, count in sorted(Counter(row[1] for row in own).items()))
        left = sum(any("left running" in text for text in row[2]) for row in own)
        print(f"| {place} | {len(own)} | {statuses} | {left} | {sum(not row[2] for row in own)} |")
    return sum(bool(wrong) for _, _, wrong in rows)


if __name__ == "__main__":
    sys.exit(main())
