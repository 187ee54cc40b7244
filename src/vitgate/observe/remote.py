"""A test worker's client of the server: it asks, waits, and reads the evidence from disk. Workers never import torch.

A runtime that crashes takes its own process with it, not the worker: the claim then fails at stage `run`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitgate.files.atomic import is_full, replacing
from vitgate.files.errors import MachineError, UsageError
from vitgate.files.locks import locked, MachineLock
from vitgate.observe.inputs import INPUTS
from vitgate.observe.observer import Observation, Observer, P
from vitgate.observe.session_directory import held_session, SOCKET
from vitgate.spec.cells import CellId
from vitgate.spec.engines import NO_ENGINE
from vitgate.spec.outcome import Evidence, Outcome
from vitgate.spec.processors import command_of, Processor, variables_of
from vitgate.spec.run_config import RunConfig
from vitgate.spec.versions import cpu_model

_ERRORS = {error.__name__: error for error in (UsageError, MachineError)}
_LONGEST_SOCKET = 103  # bytes; of macOS, where it is 104 with the final NUL. Linux has 108
_QUOTED = 200  # characters of what the server said last
_START_SECONDS = 60.0  # the socket is there before the imports, so that this only covers the start of a process


def start_server(folder: Path, processor: Processor) -> None:
    """Start the server of this session directory unless it runs; it imports torch while the caller goes on.

    Its kernels are held to the processor, which takes variables that libraries read when they are loaded.

    MachineError if the path is too long for a socket.
    """
    if len(os.fsencode(folder / f"{SOCKET}.new")) > _LONGEST_SOCKET:
        raise MachineError("this path is too long for a socket", where=folder, do="name a shorter folder with TMPDIR")
    with locked(folder / SOCKET):
        if (folder / "server.log").exists():
            return
        subprocess.Popen(  # noqa: S603  # our own module
            [*command_of(processor), sys.executable, "-m", "vitgate.observe.server", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "server.log").open("wb"),
            env={**os.environ, **variables_of(processor), "KINETO_LOG_LEVEL": "99"},  # no remarks on absent GPUs
        )


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            what = f"the observing process did not start{_said(path.parent)}"
            raise MachineError(what, where="vitgate.observe.server", do="start again")
        time.sleep(0.02)


def _connected(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / SOCKET))
    except OSError:
        connection.close()
        do = "start again, with fewer workers (-n) where memory is short"
        raise MachineError(
            f"the observing process died{_said(folder)}", where="vitgate.observe.server", do=do
        ) from None
    return connection


def _said(folder: Path) -> str:
    """Return the last line of the server's log, which goes with the session's folder."""
    lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return f", saying: {lines[-1][:_QUOTED]}" if lines else ""


class RemoteObserver(Observer):
    """Asks one process of the server at a time: the one of the case and engine that this worker is testing."""

    def __init__(self, plan: RunConfig, machine_lock: MachineLock, server: RunConfig | None = None) -> None:
        """Connect when the first observation is needed.

        Args:
            plan: What the run is.
            machine_lock: Keeps time samples apart from all other work.
            server: The plan of the session whose server is asked, if that is another.
        """
        super().__init__(plan)
        self._server = server or plan
        self._machine_lock = machine_lock
        self._connection: socket.socket | None = None
        self._connections = 0
        self._scope = ""
        self._unusable: dict[str, UsageError] = {}
        self._held: dict[Processor, RemoteObserver] = {}

    def close(self) -> None:
        """End the processes that serve this worker."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        for observer in self._held.values():
            observer.close()

    def held_to(self, processor: Processor) -> RemoteObserver:
        """Return an observer of the same inputs and files whose kernels are held to that processor.

        Libraries look which instructions they may use when their first kernel runs: a process that the server forks can
        be held to a processor before that. One that only a program shows takes a server of its own.
        """
        if processor not in self._held:
            folder = held_session(Path(self.plan.session), processor, [each.kind for each in INPUTS])
            plan = replace(self.plan, session=str(folder), processor=processor, processors="")
            with locked(folder / "plan.json"), replacing(folder / "plan.json") as temporary:
                temporary.write_text(plan.to_json(), encoding="utf-8")
            server = plan if command_of(processor) else self._server
            self._held[processor] = RemoteObserver(plan, self._machine_lock, server)
        return self._held[processor]

    def _case(self, arguments: tuple[object, ...]) -> str:
        """Return the case that a request is about, if it is about one."""
        first = arguments[0] if arguments else ""
        case = first.case if isinstance(first, CellId) else first
        return case if isinstance(case, str) and case in self.plan.cases else ""

    def get(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        """Return the evidence, made by the server unless the store has it; a process that dies is an outcome."""
        assert not named, "requests carry positional arguments"
        found = what.find(self.store, *arguments, **named)
        if found is None:
            if error := self._unusable.get(self._case(arguments)):
                raise error
            name = what.name(*arguments, **named)
            with self._machine_lock.alone() if what.alone else self._machine_lock.shared():
                self._attend(arguments)
                self._ask(what, arguments)
                found = self.store.get(what.kind, name, lambda: self._crashed(what, name))
        return found

    def _attend(self, arguments: tuple[object, ...]) -> None:
        """Connect to another process when the case or engine changes: a process holds the modules of one of them."""
        cell = arguments[0] if arguments and isinstance(arguments[0], CellId) else None
        scope = str(cell.group) if cell is not None and _is_of_its_engine(cell) else self._scope
        if scope != self._scope:
            self.close()
            self._scope = scope
        if self._connection is None:
            folder = Path(self._server.session)
            start_server(folder, self._server.processor)
            _wait_for(folder / SOCKET)
            self._connection = _connected(folder)
            self._connections += 1
            hello = [self.plan.session, self._last_words()]
            self._connection.sendall(f"{json.dumps(hello)}\n".encode())

    def _ask(self, what: Observation[...], arguments: tuple[object, ...]) -> None:
        assert self._connection is not None
        request = {"module": what.module, "kind": what.kind, "arguments": [_encoded(value) for value in arguments]}
        try:
            with self._connection.makefile("rw", encoding="utf-8") as lines:
                lines.write(json.dumps(request) + "\n")
                lines.flush()
                answer = json.loads(lines.readline() or "null")
        except OSError:
            answer = None
        if answer is None:  # the process died; the next request starts another, unless the server died too
            self.close()
            _connected(Path(self._server.session)).close()
        elif answer:
            error = _ERRORS[answer["error"]].from_line(answer["message"])
            if isinstance(error, UsageError) and (case := self._case(arguments)):
                error.case = case
                self._unusable[case] = error
            raise error

    def _last_words(self) -> str:
        """Return the name of the file for the last words of the process that serves this worker now."""
        return f"died-{os.getpid()}-{self._connections}.txt"

    def _crash(self) -> str:
        """Say what ended the process, where it was, and on which processor; empty where it could not say."""
        path = Path(self.plan.session) / self._last_words()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        fatal = [line.partition(": ")[2] for line in lines if line.startswith("Fatal Python error: ")]
        called = [line.strip() for line in lines if line.startswith("  File ")]
        return f": {fatal[0]} on {cpu_model()}, in {called[0] if called else 'native code'}" if fatal else ""

    def _crashed(self, what: Observation[...], name: str) -> Evidence:
        """Return the outcome of a process that died; MachineError if the disk is full, when torch ends the process."""
        message = f"the process died while observing {what.kind} of {name}{self._crash()}"
        for folder in (self.plan.artifacts, self.plan.session):
            if is_full(Path(folder)):
                raise MachineError(f"{message}, and the disk is full", where=folder, do="free disk space")
        message += ": a crash of the runtime, or out of memory"
        if what.required:
            raise MachineError(message, do="start again, with fewer workers (-n) where memory is short")
        return Evidence(outcome=Outcome("failed at", "run", "ProcessDied", message))


def _is_of_its_engine(cell: CellId) -> bool:
    return cell.form.quantized or cell.engine == NO_ENGINE


def _encoded(value: Any) -> Any:
    return {"cell": [value.case, value.engine, value.variant]} if isinstance(value, CellId) else value
