"""The process that imports torch once and forks one process for each case and engine that a test worker asks about.

    python -m vitgate.observe.server SESSION_FOLDER

While torch is being imported, a process of its own writes the stand-in weights, which need no torch.

Requests and answers are lines of JSON on a Unix socket in the session's folder. The first line names the folder of the
session that the rest is about (this one, or one within it whose kernels are held to another processor) and the file
in it to which Python's faulthandler writes the last words of a process that crashes. All others are
`{"module", "kind", "arguments"}`, where module and kind name a registered observation and a cell is
`{"cell": [case, engine, variant]}`. The answer is `{}` once the evidence is on disk, or the error that was raised. A
process ends when its worker hangs up, or with the server; the server ends with its session.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vitgate.files.errors import VitgateError
from vitgate.observe.environment import check_held, check_imports
from vitgate.observe.inputs import source, weights
from vitgate.observe.observer import LocalObserver, registered
from vitgate.observe.session_directory import is_abandoned, SOCKET
from vitgate.observe.store import Store
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.processors import variables_of
from vitgate.spec.run_config import RunConfig

_CHILDREN_NEED = tuple(
    f"vitgate.{name}"
    for name in (
        "inputs.picture_folder",
        "inputs.pictures",
        "inputs.preprocess",
        "inputs.sources",
        "observe.blocks",
        "observe.diagnosis",
        "observe.latency",
        "observe.native",
        "observe.predictions",
        "observe.programs",
        "observe.readback",
        "observe.runtimes",
        "observe.saved_weights",
        "observe.timing",
        "pipeline.graph",
        "pipeline.weights_file",
    )
)

_STANDIN_SECONDS = 20.0  # as long as the helper waits for the controller to choose; the imports have ended by then
_POLL_SECONDS = 1.0  # how often the server looks whether its session still lives


def serve(folder: Path) -> None:
    """Listen until the session has ended; fork a process for each connection."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children leave nothing to wait for
    alive, life = os.pipe()  # its writing end is open in this process alone, and closes however that ends
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / f"{SOCKET}.new"))
        listener.listen()
        listener.settimeout(_POLL_SECONDS)
        (folder / f"{SOCKET}.new").rename(folder / SOCKET)  # workers may connect now, and wait for the imports
        if os.fork() == 0:
            listener.close()
            os.close(life)
            _write_standins(folder)
            os._exit(0)
        _warm_up()
        while folder.is_dir() and not is_abandoned(folder):
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listener.close()
                os.close(life)
                threading.Thread(target=_end_after, args=(alive,), daemon=True).start()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, commands that it runs would all end well
                _attend(connection)
                os._exit(0)
            connection.close()


def _end_after(alive: int) -> None:
    """End this process with the server, whatever it is computing."""
    os.read(alive, 1)
    os._exit(1)


def _plan(folder: Path) -> RunConfig:
    return RunConfig.from_json((folder / "plan.json").read_text(encoding="utf-8"))


def _write_standins(folder: Path) -> None:
    """Write the stand-in weights of the session's cases, as soon as the controller has said that they are needed."""
    store = Store(folder / "evidence")
    deadline = time.monotonic() + _STANDIN_SECONDS
    waiting = set(read_cases())
    while waiting and time.monotonic() < deadline and not is_abandoned(folder):
        for case in [name for name in waiting if source.find(store, name)]:
            plan = _plan(folder)  # was written before the first source was
            waiting = waiting & set(plan.cases) - {case}
            observer = LocalObserver(plan)
            if observer.get(source, case).values["kind"] == "standin":
                observer.get(weights, case)
        time.sleep(0.05)


def _warm_up() -> None:
    """Import what every child needs; if that fails, the first request reports it.

    Garbage collection is off meanwhile: it would scan the modules again and again, and copy their pages into children.
    """
    gc.disable()
    try:
        check_imports()
        for name in _CHILDREN_NEED:
            importlib.import_module(name)
    except VitgateError:
        return
    finally:
        gc.freeze()
        gc.enable()


def _attend(connection: socket.socket) -> None:
    """Answer one worker's requests until it hangs up; no kernel has run in this process before."""
    connection.settimeout(None)
    with connection, connection.makefile("rw", encoding="utf-8") as lines:
        first = lines.readline()
        if not first:  # who only asks whether the server lives says nothing
            return
        session, last_words = json.loads(first)
        file = (Path(session) / last_words).open("w", encoding="utf-8")  # open as long as the process lives
        faulthandler.enable(file, all_threads=False)
        observer = LocalObserver(_plan(Path(session)))
        os.environ.update(variables_of(observer.plan.processor))
        for line in lines:
            lines.write(json.dumps(_answer(observer, json.loads(line))) + "\n")
            lines.flush()


def _answer(observer: LocalObserver, request: dict[str, Any]) -> dict[str, str]:
    try:
        check_held(observer.plan.processor)
        what = registered(request["module"], request["kind"])
        observer.get(what, *(_decoded(value) for value in request["arguments"]))
    except VitgateError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {}


def _decoded(value: Any) -> Any:
    return CellId(*value["cell"]) if isinstance(value, dict) and set(value) == {"cell"} else value


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
