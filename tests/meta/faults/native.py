"""Faults of the C++ program: how it is compiled, what it runs with, and what it makes of a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vitgate.observe import native
from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.programs import program
from vitgate.spec.variants import VariantName

from ..harness import Scene
from .catalogue import fault, FILES

Words = list[str]
FROZEN = ("lite_frozen",)
PROGRAM = ("test_native_program",)


def _told(scene: Scene, variant: VariantName, change: Callable[[Words], Words]) -> None:
    """Give the program other words than those for that variant's file, and run it."""
    real = native.execute

    def done(command: Words) -> object:
        return real([command[0], *change(list(command[1:]))])

    scene.patch.setattr(native, "execute", done)
    scene.native(variant)


def _with(place: int, word: str) -> Callable[[Words], Words]:
    return lambda words: [*words[:place], word, *words[place + 1 :]]


@fault(native=("scripted_quantized",))
def program_runs_another_file(scene: Scene) -> None:
    """The C++ program runs the scripted file in the place of the quantized one."""
    other = str(path_of(scene.observer, scene.cell("scripted")))
    _told(scene, "scripted_quantized", _with(2, other))


@fault(native=FROZEN, says="logits of shape")
def program_drops_the_last_picture(scene: Scene) -> None:
    """The C++ program runs all pictures but the last."""
    path = scene.folder / "fewer"
    x = scene.observer.get(pictures, scene.case).arrays["x"][:2]
    x.astype(np.float32).tofile(path)
    _told(scene, "lite_frozen", lambda words: _with(6, str(len(x)))(_with(4, str(path))(words)))


@fault(native=FROZEN)
def program_runs_another_engine(scene: Scene) -> None:
    """The C++ program leaves the quantized engine as it finds it."""
    _told(scene, "lite_frozen", _with(1, "qnnpack"))


@fault(native=FROZEN)
def program_scales_its_logits(scene: Scene) -> None:
    """The C++ program's logits are a millionth larger than those under Python."""
    real = np.fromfile
    scene.patch.setattr(np, "fromfile", lambda *given: real(*given) * np.float32(1.000001))
    scene.native("lite_frozen")


@fault(native=FROZEN, stage="load", says="NativeError")
def program_does_not_load_the_file(scene: Scene) -> None:
    """libtorch refuses in C++ what it loads in Python."""
    _told(scene, "lite_frozen", _with(2, str(native.SOURCE)))


@fault(native=FROZEN, stage="set_engine", says="no quantized engine")
def program_lacks_the_engine(scene: Scene) -> None:
    """libtorch has an engine in Python and lacks it in C++."""
    _told(scene, "lite_frozen", _with(1, "nonesuch"))


@fault(native=FROZEN, stage="run", says="does not hold float32 numbers")
def program_is_given_half_a_picture(scene: Scene) -> None:
    """What the program is given holds fewer numbers than it is told."""
    path = scene.folder / "half"
    path.write_bytes(b"0000")
    _told(scene, "lite_frozen", _with(4, str(path)))


@fault(native=FROZEN, stage="run", says="SIGSEGV")
def program_crashes(scene: Scene) -> None:
    """The program crashes after it has loaded the file."""
    _scripted(scene, "echo load; echo run; kill -SEGV $$")
    scene.native("lite_frozen")


@fault(native=FROZEN, stage="load", says="SIGABRT")
def program_crashes_while_loading(scene: Scene) -> None:
    """The program crashes in the loading of the file."""
    _scripted(scene, "echo set_engine; echo load; kill -ABRT $$")
    scene.native("lite_frozen")


def _scripted(scene: Scene, text: str) -> None:
    """Put a script into the place of the program."""
    if scene.observer.get(program).outcome is None:
        path = scene.folder / "program"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        scene.values(program, {"path": str(path)})


@fault(native_program=PROGRAM, says="libpython3")
def program_needs_python(scene: Scene) -> None:
    """The program was linked as an extension module is, and needs Python's library."""
    _about(scene, libraries=["libtorch_cpu.so", "libpython3.11.so.1.0"])


@fault(native_program=PROGRAM, says="libtorch 1.0.0")
def program_of_another_libtorch(scene: Scene) -> None:
    """The headers of another libtorch were found, which the system has."""
    _about(scene, version="1.0.0")


def _about(scene: Scene, **changes: object) -> None:
    if scene.observer.get(program).outcome is None:
        scene.values(program, changes)


@fault(native_program=PROGRAM, native=FILES, stage="compile", says="error: no such header")
def program_does_not_compile(scene: Scene) -> None:
    """A compiler is there, and cannot compile against the headers of this release."""
    if scene.observer.get(program).outcome is None:
        compiler = scene.folder / "c++"
        compiler.write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "x.h:1: error: no such header"; exit 1; }\n')
        compiler.chmod(0o755)
        scene.patch.setenv("CXX", str(compiler))
        scene.forget(program)
        scene.native(*FILES)
