"""Memory that a runtime keeps: real leaks, in the fresh process that measures a file."""

from __future__ import annotations

from vitgate.observe.memory import memory
from vitgate.observe.observer import LocalObserver
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence
from vitgate.spec.variants import VariantName

from ..scene import Scene
from .catalogue import fault

FROZEN: tuple[VariantName, ...] = ("lite_frozen",)


def _leaking(scene: Scene, inject: str) -> None:
    """Measure one variant for real, with a leak as `vitgate.observe.memory_worker.Injection` has it."""
    from vitgate.observe.artifacts import path_of
    from vitgate.observe.inputs import pictures
    from vitgate.observe.memory import measure, Subject

    cell = scene.cell("lite_frozen")
    subject = Subject(path_of(scene.observer, cell), cell.form.runtime, cell.engine)
    found = measure(subject, scene.observer.get(pictures, scene.case).arrays["x"], inject)
    sound = scene.observer.instead[memory.kind]

    def made(observer: LocalObserver, own: CellId) -> Evidence:
        return Evidence(dict(found)) if own == cell else sound(observer, own)

    scene.observer.instead[memory.kind] = made
    scene.forget(memory, cell)


@fault(memory=FROZEN, says="growth")
def each_call_keeps_a_tensor(scene: Scene) -> None:
    """A runtime keeps 100 kB of each call in a list that nobody reads."""
    _leaking(scene, "call:100000")


@fault(memory=FROZEN, says="growth")
def each_call_keeps_4_kb(scene: Scene) -> None:
    """A runtime keeps 4 kB of each call, a page: 4 GB after a million."""
    _leaking(scene, "call:4096")


@fault(memory=FROZEN, says="growth")
def each_new_picture_is_kept(scene: Scene) -> None:
    """A runtime keeps 100 kB for each picture that it has not seen before, by its hash: the same one leaks nothing."""
    _leaking(scene, "picture:100000")


@fault(memory=FROZEN, says="second_ratio")
def a_load_keeps_two_copies(scene: Scene) -> None:
    """A runtime keeps the bytes of the file that it has loaded, twice."""
    _leaking(scene, "load:2")
