"""A sweep on the workers of a dask cluster: one task for each version, case and engine.

    client: suite and inputs as bytes ──▶ worker: environment and suite copy in its own cache, a run ──▶ record as text

A task is one shard of the suite so finely split that each holds one case and engine, or the claims about no cell. So
what the parts check, and that they are all of it, is decided where it always is, and `merge` makes the version's record
of them. A task whose worker dies is run again on another; dask gives up on one at whose hands three workers died (its
setting `distributed.scheduler.allowed-failures`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TYPE_CHECKING

from vitgate.files.atomic import replacing
from vitgate.files.errors import MachineError, UsageError, VitgateError
from vitgate.files.hashing import digest
from vitgate.files.locks import locked
from vitgate.files.paths import default_cache
from vitgate.records.consistency import check_consistent
from vitgate.records.merge import merge
from vitgate.records.record import parse_record, Record
from vitgate.report.compatibility import NOT_MADE
from vitgate.spec.cases import default_cases
from vitgate.spec.cells import GroupId
from vitgate.spec.engines import engine_named, ENGINES
from vitgate.spec.options import WEIGHTS_WORDS
from vitgate.spec.run_config import groups, OTHERS, parse_shard, Shard, shard_of
from vitgate.upgrade.progress import Steps
from vitgate.upgrade.record_cache import Means, Place, question
from vitgate.upgrade.requirements import own_needs, Side
from vitgate.upgrade.runs import Request, run_suite, suite_contents, suite_folder, unpacked_suite
from vitgate.upgrade.sweep import Echo, prepared, summary, Sweep, Swept

if TYPE_CHECKING:
    from distributed import Client, Future

_SECONDS = 30  # in which a scheduler answers, if there is one
_PICTURE = "image.png"
_LARGE, _MOST_SENT = "distributed.admin.large-graph-warning-threshold", "1 GiB"


@dataclass(frozen=True)
class Payload:
    """What travels once to each worker that needs it: the files of the suite, and the user's own inputs.

    `inputs` are by option, each with the path on the user's machine, which is what records shall name.
    """

    suite: str
    files: Mapping[str, bytes] = field(repr=False)
    inputs: Mapping[str, tuple[str, bytes]] = field(repr=False)


@dataclass(frozen=True)
class Task:
    """One run: on which PyTorch, of which part of the suite. The worker's own cache takes the place of `means`' own."""

    side: Side
    request: Request
    means: Means


@dataclass(frozen=True)
class Part:
    """What a task gives back: the record's JSON text, or the line that says why there is none.

    `usage`: the user's mistake, and not the worker's failing. Exceptions stay on the worker: they do not travel well.
    """

    record: str = ""
    error: str = ""
    usage: bool = False


def run_task(task: Task, payload: Payload) -> Part:
    """Run one part of the suite in this process's machine; dask calls it on a worker."""
    cache = default_cache()
    means = replace(task.means, cache=cache)
    try:
        suite = unpacked_suite(cache, payload.suite, payload.files)
        request, paths = _with_inputs(task.request, payload, cache)
        environment = means.environment(task.side, lambda line: None)
        with tempfile.TemporaryDirectory(prefix="vitgate-run-") as folder:
            request = replace(request, record=f"{folder}/record.json")
            run_suite(environment, suite, request, Path(folder) / "suite.log")
            text = Path(request.record).read_text(encoding="utf-8")
    except VitgateError as error:  # NotMade among them: of the version, not the user's mistake
        return Part(error=str(error), usage=isinstance(error, UsageError))
    for here, there in paths.items():
        text = text.replace(json.dumps(here)[1:-1], json.dumps(there)[1:-1])
    return Part(record=text)


def _with_inputs(request: Request, payload: Payload, cache: Path) -> tuple[Request, dict[str, str]]:
    """Write the inputs into the cache; return the request for them, and which path stands for which of the user's."""
    chosen, paths = request, {}
    for option, (path, data) in payload.inputs.items():
        own = cache / "inputs" / digest(data) / Path(path).name
        with locked(own):
            if not own.exists():
                with replacing(own) as temporary:
                    temporary.write_bytes(data)
        paths[str(own)] = path
        chosen = replace(chosen, **{option: str(own.parent if option == "assets" else own)})  # type: ignore[arg-type]  # both are texts
    return chosen, paths


def forget(side: Side, means: Means) -> None:
    """Remove the environment from this worker's cache."""
    replace(means, cache=default_cache()).forget(side)


# ---- the side of the client


def sweep_on(address: str, order: Sweep, echo: Echo) -> list[Swept]:
    """Run the sweep on the workers of that scheduler.

    Args:
        address: Of the scheduler, such as `tcp://host:8786`.
        order: What is asked.
        echo: Is told what is under way.

    Raises:
        UsageError: Something is wrong whatever the version, or dask is not installed.
        MachineError: No scheduler answers there.
    """
    places = prepared(order)
    suite = suite_folder(order.means.cache)
    order = replace(order, means=replace(order.means, needs=order.means.needs or own_needs()))
    steps = Steps(echo)
    asked = [question(side, order.request, order.means, suite) for side in order.sides]
    kept = [
        None if side.interpreter else place.find(text)  # what a worker has in that place is not known here
        for side, place, text in zip(order.sides, places, asked, strict=True)
    ]
    with _client(address) as client:
        payload = client.submit(_same, _payload(order.request, suite), pure=False)
        jobs = [
            None if record else _submitted(client, replace(order, sides=(side,)), payload, -number)
            for number, (side, record) in enumerate(zip(order.sides, kept, strict=True))
        ]
        found = []
        for side, place, text, record, job in zip(order.sides, places, asked, kept, jobs, strict=True):
            if job is None:
                steps.say(f"{side.name}: kept from before")
                found.append(Swept(place.name, record))
                continue
            found.append(_gathered(client, job, side, place, text, order.request.shard or "", steps))
            if order.means.prune:
                client.run(forget, side, order.means, on_error="ignore")
    return found


def _same(payload: Payload) -> Payload:
    """Return it. As the result of a task, what a dead worker held is made again; scattered data would be lost."""
    return payload


def _client(address: str) -> Client:
    try:
        import dask
        from distributed import Client
    except ImportError:
        do = "install it: pip install 'vitgate[dask]'"
        raise UsageError("dask's package distributed is not installed", where="--dask", do=do) from None
    dask.config.set({_LARGE: _MOST_SENT})  # the suite goes over once; dask warns above 10 MB
    try:
        return Client(address, timeout=_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]  # as all of dask
    except (OSError, ValueError) as error:
        what = f"no dask scheduler answers: {error}"
        raise MachineError(what, where=address, do="start `dask scheduler`, or mend the address") from None


def _payload(request: Request, suite: Path) -> Payload:
    inputs: dict[str, tuple[str, bytes]] = {}
    if request.weights not in WEIGHTS_WORDS:
        inputs["weights"] = _read(Path(request.weights))
    if request.assets and (Path(request.assets) / _PICTURE).is_file():
        inputs["assets"] = _read(Path(request.assets) / _PICTURE)
    return Payload(suite.name, suite_contents(suite), inputs)


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return str(path.absolute()), path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read this file: {error.strerror}", where=path, do="name a readable one") from None


def _submitted(client: Client, order: Sweep, payload: Future[Payload], priority: int) -> list[Future[Part]]:
    """Hand out the tasks of one version, the dearest first; earlier versions go before later ones."""
    (side,) = order.sides
    request = replace(order.request, assets=None)  # the picture travels, and the worker names its own folder
    tasks = [Task(side, replace(request, shard=str(shard)), order.means) for shard in shards_of(order.request)]
    return [client.submit(run_task, task, payload, pure=False, priority=priority) for task in tasks]


def shards_of(request: Request) -> list[Shard]:
    """Return the parts that a version's run is split into: one for each group that the request includes."""
    costs = groups()
    own = parse_shard(request.shard) if request.shard else Shard(1, 1)
    chosen = [group for group in _chosen(request) if own.has_group(group)]
    chosen.sort(key=lambda group: -costs[group])
    return [Shard(shard_of(group, len(costs)), len(costs)) for group in chosen]


def _chosen(request: Request) -> Iterator[str]:
    for case in request.case or default_cases():
        for engine in map(engine_named, request.engine or ENGINES):
            yield str(GroupId(case, engine))
    yield OTHERS


def _gathered(
    client: Client, job: Sequence[Future[Part]], side: Side, place: Place, asked: str, shard: str, steps: Steps
) -> Swept:
    """Wait for the tasks of one version and put their records together."""
    from distributed import as_completed

    parts: list[Part] = []
    for future in as_completed(job, loop=client.loop):  # type: ignore[no-untyped-call]  # likewise
        part = _part(future)
        if part.usage:
            raise UsageError.from_line(part.error)
        if part.error:
            return _not_made(job, side, place, part.error, steps)
        parts.append(part)
        steps.say(f"{side.name}: {len(parts)} of {len(job)} tasks done")
    try:
        record = joined([parse_record(part.record, where="a worker's record") for part in parts], shard)
    except UsageError as error:  # workers that differ
        return _not_made(job, side, place, str(error), steps)
    place.keep(record, asked)
    steps.say(f"{side.name}: {summary(record)}")
    return Swept(place.name, record)


def _part(future: Any) -> Part:
    error = future.exception()
    if error is None:
        part: Part = future.result()
        return part
    kind = type(error).__name__
    if kind == "KilledWorker":
        return Part(error=f"each worker that took a task of it died (out of memory?): {error}")
    return Part(error=f"a task ended with {kind}: {error}")


def _not_made(job: Sequence[Future[Part]], side: Side, place: Place, error: str, steps: Steps) -> Swept:
    for future in job:
        future.cancel()  # type: ignore[no-untyped-call]  # likewise
    line = " ".join(error.split())
    steps.say(f"{side.name}: {NOT_MADE}: {line}")
    return Swept(place.name, error=line)


def joined(parts: Sequence[Record], shard: str) -> Record:
    """Return the record that one run of the parts would have written; UsageError where they do not go together.

    The parts are numbered anew: of a narrowed sweep those that would be empty were never run.
    """
    count = len(parts)
    numbered = [part.model_copy(update={"shard": f"{n}/{count}"}) for n, part in enumerate(parts, 1)]
    whole = merge(numbered)
    record = whole.model_copy(update={"shard": shard, "complete": whole.complete and not shard})
    check_consistent(record, where="the merged record")
    return record
