"""The gate: two PyTorch versions on one machine, four runs, one verdict.

    OLD runs the suite and exports its files  ──▶ NEW runs the suite, and OLD's files ──▶ OLD runs NEW's files
    both files of each variant, in pairs of fresh processes  ──▶ latency

Each step leaves its result in the gate's folder under a marker written last. A gate that was killed leaves them there,
and the same command goes on from them; a gate that ends takes its folder away.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vitgate.compare.acceptance import Acceptances
from vitgate.compare.latency_statistics import Paired, unmeasured
from vitgate.compare.pairing import MatrixRow, names_of, PairedLatency
from vitgate.compare.verdict import compare, Verdict
from vitgate.files import locks
from vitgate.files.atomic import check_folder, replacing
from vitgate.files.disk_usage import Tally, usage
from vitgate.files.errors import MachineError, NO_ROOM, UsageError
from vitgate.files.hashing import key_of
from vitgate.inputs.field_files import FieldItem, read_field, seen
from vitgate.inputs.picture_folder import read_folder
from vitgate.records.consistency import read_consistent
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.processors import processor_named, variables_of
from vitgate.spec.versions import EMULATED, public
from vitgate.upgrade import paired_latency
from vitgate.upgrade.environments import in_use, make
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.latency_workers import Installation
from vitgate.upgrade.progress import Steps, time_left
from vitgate.upgrade.requirements import applicable, check_clashes, own_needs, Side
from vitgate.upgrade.runs import Request, run_suite, suite_folder, suite_variables

_SLOTS = 16  # gates that may ask the same question at once
_STALE_SECONDS = 24 * 3600  # results of a killed gate are used again for a day


@dataclass(frozen=True)
class Order:
    """What a gate is asked: the two sides, and the suite's options, the user's own files and pictures among them.

    `uv_args` and `python` decide how environments are made; `keep` is a folder for records and logs.
    """

    old: Side
    new: Side
    request: Request
    cache: Path
    uv_args: tuple[str, ...] = ()
    python: str | None = None
    latency: bool = True
    keep: Path | None = None


def gate(order: Order, accepted: Acceptances, echo: Callable[[str], None]) -> Verdict:
    """Run everything and judge it.

    Args:
        order: What is asked.
        accepted: The deviations and rows that the user accepts.
        echo: Is told each step.

    Raises:
        UsageError: The suite cannot run as asked, on one of the sides.
        MachineError: The environment stands in the way of a step.
    """
    if order.keep is not None:
        _make_writable(order.keep)  # now, and not after half an hour
    try:
        return _gate(order, accepted, echo)
    except OSError as error:
        do = "free disk space, or choose another cache" if error.errno in NO_ROOM else "look at that folder"
        raise MachineError(f"the gate cannot go on: {error}", where=order.cache, do=do) from None


def _gate(order: Order, accepted: Acceptances, echo: Callable[[str], None]) -> Verdict:
    for side in (order.old, order.new):
        check_clashes(applicable(side, order.python), own_needs())  # before anything is installed for the other side
    old, new = (
        make(side, cache=order.cache, uv_args=order.uv_args, python=order.python, echo=echo)
        for side in (order.old, order.new)
    )
    if line := disk_line([old, new]):
        echo(line)
    suite = suite_folder(order.cache)
    with in_use(old), in_use(new), _slot(order, old, new, suite) as folder:
        steps = Gate(order, old, new, suite, folder, Steps(echo))
        verdict = steps.verdict(accepted)
        if order.keep is not None:
            steps.hand_out(order.keep)
    return verdict


@dataclass(frozen=True)
class Gate:
    """The steps of one gate, in its folder."""

    order: Order
    old: Environment
    new: Environment
    suite: Path
    folder: Path
    steps: Steps

    def verdict(self, accepted: Acceptances) -> Verdict:
        """Go through the steps; what an earlier, killed gate has done is not done again."""
        old = self._record("old", self.old, self._asked("old"))
        new = self._record("new", self.new, replace(self._asked("new"), field=(str(self._files("old")),)))
        names = names_of(old, new)
        matrix = [*_matrix(new, self._items("old"), *names), *self._crossing(*reversed(names))]
        emulated = next((each.environment.cpu for each in (old, new) if each.environment.cpu.startswith(EMULATED)), "")
        latency = (self._untimed(emulated) if emulated else self._latency()) if self.order.latency else ()
        return compare(old, new, matrix=matrix, latency=latency, accepted=accepted)

    def _asked(self, name: str) -> Request:
        """Return what that run is asked. Latencies are taken in pairs, and not by each side alone."""
        record, export = self.folder / f"{name}.json", self._files(name)
        return replace(self.order.request, record=str(record), export=str(export), no_latency=True)

    def _files(self, name: str) -> Path:
        return self.folder / name

    def _items(self, name: str) -> list[FieldItem]:
        return read_field(self._files(name))

    def _record(self, name: str, environment: Environment, request: Request) -> Record:
        def make() -> None:
            with self.steps.step(f"{name}: the conformance suite on PyTorch {environment.torch}") as show:
                progress = time_left(show)
                run_suite(environment, self.suite, request, self.folder / f"{name}.log", progress)

        self._once(name, make)
        try:
            return read_consistent(Path(request.record))
        except UsageError:  # cut off when the machine went down: the same command then makes it again
            self._done(name).unlink()
            raise

    def _once(self, name: str, make: Callable[[], None]) -> None:
        if not self._done(name).exists():
            make()
            self._done(name).touch()

    def _done(self, name: str) -> Path:
        return self.folder / f"{name}.done"

    def _crossing(self, maker: str, runner: str) -> Iterator[MatrixRow]:
        """Let the old version run what the new one made: the devices that are updated late."""
        items = self._items("new")
        if not items or public(maker) == public(runner):  # the same files, and the same answer
            return
        request = replace(self._asked("crossing"), export=None, field=(str(self._files("new")),), claim=("artifacts",))
        request = replace(request, images=None, images_accuracy=None, no_latency=False)  # other claims' options
        yield from _matrix(self._record("crossing", self.old, request), items, maker, runner)

    def _untimed(self, cpu: str) -> list[PairedLatency]:
        """Return a row for each file that would be timed, on a processor that says nothing of time."""
        found = unmeasured("not comparable", f"an {cpu} says nothing of the time that a real one takes")
        rows = [item.row for item in self._items("old") if item.cell]
        return [_paired_row(row.case, str(row.engine), str(row.variant), found) for row in rows]

    def _latency(self) -> list[PairedLatency]:
        path = self.folder / "latency.json"

        def make() -> None:
            rows = [row.model_dump() for row in self._paired()]
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(rows), encoding="utf-8")

        self._once("latency", make)
        return [PairedLatency(**row) for row in json.loads(path.read_text(encoding="utf-8"))]

    def _paired(self) -> Iterator[PairedLatency]:
        sides = {name: self._items(name) for name in ("old", "new")}
        groups = dict.fromkeys((item.row.case, item.row.engine) for item in sides["old"] if item.cell)
        for case, engine in groups:
            with self.steps.step(f"latency: {case} on {engine}, pairs of processes") as show:
                models = {name: _models(items, case, engine) for name, items in sides.items()}
                x = self.folder / f"x-{case}.npy"
                np.save(x, seen(next(item for item in sides["old"] if item.row.case == case)).x[:1])
                found = paired_latency.compare_latency(
                    self._installation(self.old, models["old"]),
                    self._installation(self.new, models["new"]),
                    x,
                    str(engine),
                    echo=lambda text, left, show=show: show(f"{text}, about {left:.0f} s left"),  # type: ignore[misc]
                )
            yield from (_paired_row(case, str(engine), variant, row) for variant, row in found.items())

    def _installation(self, environment: Environment, models: dict[str, tuple[str, str]]) -> Installation:
        variables = {**suite_variables(self.suite), **variables_of(processor_named(self.order.request.processor))}
        return Installation(str(environment.python), models, variables)  # type: ignore[arg-type]  # runtimes are of the manifest

    def hand_out(self, target: Path) -> None:
        """Copy records, lists of changed labels and logs to a folder of the user's."""
        for path in sorted(path for pattern in ("*.json", "*.csv", "*.log") for path in self.folder.glob(pattern)):
            try:
                with replacing(target / path.name) as temporary:
                    shutil.copyfile(path, temporary)
            except OSError as error:
                raise _not_kept(target, error) from None


def _make_writable(target: Path) -> None:
    try:
        check_folder(target)
    except OSError as error:
        raise _not_kept(target, error) from None


def _not_kept(target: Path, error: OSError) -> MachineError:
    return MachineError(f"cannot keep the records: {error.strerror}", where=target, do="name another --keep")


def _models(items: Sequence[FieldItem], case: str, engine: str | None) -> dict[str, tuple[str, str]]:
    return {
        str(item.row.variant): (str(Path(item.folder) / item.row.file), item.row.runtime)
        for item in items
        if (item.row.case, item.row.engine) == (case, engine)
    }


def _matrix(record: Record, items: Sequence[FieldItem], maker: str, runner: str) -> Iterator[MatrixRow]:
    """Yield one row for each file of the other side that the record's version was given, run or not."""
    rows = {row.subject: row for row in record.claims if row.claim == "artifacts"}
    for item in items:
        row, cell = rows.get(item.row.id, _not_run(item)), item.cell
        if cell is not None:
            yield MatrixRow(
                maker=maker,
                runner=runner,
                case=cell.case,
                engine=cell.engine,
                variant=cell.variant,
                status=row.status,
                outcome=row.outcome,
                at=row.at,
                error=row.error,
                deviation=row.deviation,
                message=row.message,
                sqnr_db=_sqnr(row),
                size_bytes=item.row.bytes,
            )


def _not_run(item: FieldItem) -> ClaimRow:
    """Return the row of a file that the other side was given and has no row of: what is not checked says nothing."""
    message = f"{item.row.file} was given, and never run"
    return ClaimRow(claim="artifacts", subject=item.row.id, status="failed", outcome="failed", message=message, test="")


def _sqnr(row: ClaimRow) -> float | None:
    found = [each.value for each in row.findings if (each.statistic, each.against) == ("sqnr", "maker")]
    return found[0] if found else None


def _paired_row(case: str, engine: str, variant: str, row: Paired) -> PairedLatency:
    """What could not be measured has no numbers: it stands for itself, with a note."""
    numbers = {name: getattr(row, name) for name in ("ratio", "low", "high", "old_ms", "new_ms", "load", "first")}
    finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return PairedLatency(
        case=case, engine=engine, variant=variant, pairs=row.pairs, verdict=row.word, note=row.note, **finite
    )


def disk_line(environments: Sequence[Environment]) -> str:
    """Say how much of the disk our own environments take together, what they share counted once."""
    own = [environment.folder for environment in environments if environment.lock is not None]
    if not own:
        return ""
    tally = Tally(usage(folder) for folder in dict.fromkeys(own))
    return f"environments: {tally.bytes / 1e9:.1f} GB on disk, shared files counted once"


@contextmanager
def _slot(order: Order, old: Environment, new: Environment, suite: Path) -> Iterator[Path]:
    """Give the folder of this question: the one that a killed gate left, or a new one; it goes when the gate ends.

    Gates that ask the same question at once have a folder each.
    """
    home = order.cache / "gates"
    for number in range(_SLOTS):
        folder = home / f"{_key(order, old, new, suite)}-{number}"
        with locks.if_free(home / "locks" / folder.name) as ours:
            if ours:
                _clear_stale(home, folder)
                folder.mkdir(parents=True, exist_ok=True)
                yield folder
                shutil.rmtree(folder, ignore_errors=True)
                return
    raise MachineError("too many gates ask the same question at once", where=home, do="wait for one to end")


def _key(order: Order, old: Environment, new: Environment, suite: Path) -> str:
    """Return what changes with everything that decides the steps' results."""
    request = order.request
    files = [Path(request.weights), Path(request.assets or "") / "image.png"]
    files += [path for folder in request.field for path in sorted(Path(folder).glob("*"))]
    images = Path(request.images) if request.images else None
    files += [images / name for name in read_folder(images).names] if images else []
    parts = {
        "sides": [[str(side.python), sorted(side.versions.items())] for side in (old, new)],
        "request": request.arguments(),
        "files": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files if path.is_file()],
        "suite": suite.name,
    }
    return key_of(parts)


def _clear_stale(home: Path, own: Path) -> None:
    """Drop the folder if it is too old to go on from, and what other gates left long ago."""
    for folder in home.glob("*-*"):
        with suppress(FileNotFoundError):  # its own gate has just ended
            if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                with locks.if_free(home / "locks" / folder.name) as free:
                    if free or folder == own:
                        shutil.rmtree(folder, ignore_errors=True)
