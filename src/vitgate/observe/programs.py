"""The files without Python: what the compiled C++ program of `vitgate.observe.native` says of them."""

from __future__ import annotations

from pathlib import Path

from vitgate.judge.findings import NATIVE_PICTURES
from vitgate.observe.artifacts import path_of
from vitgate.observe.environment import environment
from vitgate.observe.inputs import pictures
from vitgate.observe.observer import LocalObserver, observation
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence


@observation()
def program(observer: LocalObserver) -> Evidence:
    """Return the compiled program: path, version (of the libtorch that it was built against), libraries."""
    observer.get(environment)
    from vitgate.observe.native import about, compiled

    path = compiled(observer.cache).path
    version, libraries = about(Path(path))
    return Evidence({"path": path, "version": version, "libraries": libraries})


@observation()
def native(observer: LocalObserver, cell: CellId) -> Evidence:
    """Return `logits` float32 [N, classes] that the program gets from the cell's file, picture by picture."""
    from vitgate.observe.native import run

    file = str(path_of(observer, cell))
    path = Path(observer.get(program).demand().values["path"])
    engine = cell.engine if cell.form.quantized else None
    x = observer.get(pictures, cell.case).arrays["x"][:NATIVE_PICTURES]
    return Evidence(
        arrays={"logits": run(path, cell.form.runtime, engine, file, x, output=read_cases()[cell.case].returns)}
    )
