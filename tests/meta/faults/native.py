"""Faults of the C++ program: how it is compiled, what it runs with, and what it makes of a file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vitgate.judge.findings import NATIVE_PICTURES
from vitgate.observe import native, serving
from vitgate.observe.artifacts import path_of
from vitgate.observe.inputs import pictures
from vitgate.observe.programs import program
from vitgate.spec.variants import VariantName

from ..scene import Scene
from .catalogue import fault, FILES

Words = list[str]
FROZEN = ("lite_frozen",)
PROGRAM = ("test_native_program",)


def _told(scene: Scene, change: Callable[[Words], Words]) -> None:
    """Give the program other words than it would be given."""
    real = native.execute

    def done(command: Words) -> object:
        return real([command[0], *change(list(command[1:]))])

    scene.patch.setattr(native, "execute", done)


def _runs(scene: Scene, variant: VariantName, change: Callable[[Words], Words]) -> None:
    """Run that variant's file with other words than it would be run with."""
    _told(scene, change)
    scene.native(variant)


def _with(place: int, word: str) -> Callable[[Words], Words]:
    return lambda words: [*words[:place], word, *words[place + 1 :]]


@fault(native=("scripted_quantized",))
def program_runs_another_file(scene: Scene) -> None:
    """The C++ program runs the scripted file in the place of the quantized one."""
    other = str(path_of(scene.observer, scene.cell("scripted")))
    _runs(scene, "scripted_quantized", _with(2, other))


@fault(native=FROZEN, says="logits of shape")
def program_drops_the_last_picture(scene: Scene) -> None:
    """The C++ program runs all pictures but the last."""
    path = scene.folder / "fewer"
    x = scene.observer.get(pictures, scene.case).arrays["x"][: NATIVE_PICTURES - 1]
    x.astype(np.float32).tofile(path)
    _runs(scene, "lite_frozen", lambda words: _with(6, str(len(x)))(_with(4, str(path))(words)))


@fault(native=FROZEN)
def program_runs_another_engine(scene: Scene) -> None:
    """The C++ program leaves the quantized engine as it finds it."""
    _runs(scene, "lite_frozen", _with(1, "qnnpack"))


@fault(native=FROZEN)
def program_scales_its_logits(scene: Scene) -> None:
    """The C++ program's logits are a millionth larger than those under Python."""
    real = np.fromfile
    scene.patch.setattr(np, "fromfile", lambda *given: real(*given) * np.float32(1.000001))
    scene.native("lite_frozen")


@fault(native=FROZEN, stage="load", says="NativeError")
def program_does_not_load_the_file(scene: Scene) -> None:
    """libtorch refuses in C++ what it loads in Python."""
    _runs(scene, "lite_frozen", _with(2, str(native.SOURCE)))


@fault(native=FROZEN, stage="set_engine", says="no quantized engine")
def program_lacks_the_engine(scene: Scene) -> None:
    """libtorch has an engine in Python and lacks it in C++."""
    _runs(scene, "lite_frozen", _with(1, "nonesuch"))


@fault(native=FROZEN, stage="run", says="does not hold float32 numbers")
def program_is_given_half_a_picture(scene: Scene) -> None:
    """What the program is given holds fewer numbers than it is told."""
    path = scene.folder / "half"
    path.write_bytes(b"0000")
    _runs(scene, "lite_frozen", _with(4, str(path)))


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


# Several callers of one loaded file


@fault(native_concurrent=FROZEN)
def threads_of_the_program_share_a_buffer(scene: Scene) -> None:
    """A runtime keeps its input in a buffer that all of its callers share, and reads it back a moment later."""
    shared = "static at::Tensor kept; kept = x; std::this_thread::sleep_for(std::chrono::milliseconds(1));"
    _compiled_with(scene, f"{shared} return taken(words[3], model(kept));")


@fault(native_concurrent=FROZEN, stage="run", says="TimeoutError")
def threads_of_the_program_lock_each_other_out(scene: Scene) -> None:
    """A runtime whose second caller never gets the lock that the first one holds."""
    scene.patch.setattr(serving, "LEAST_SECONDS", 0.5)
    scene.patch.setattr(serving, "TIMES_SLOWER", 0.0)
    locked = "while (held.exchange(true)) std::this_thread::sleep_for(std::chrono::milliseconds(1));"
    wait = "std::this_thread::sleep_for(std::chrono::milliseconds(2));"
    once = f"static std::atomic<bool> held{{false}}; static std::atomic<int> calls{{0}}; {locked} {wait}"
    free = "if (++calls < 10) held = false;"
    _compiled_with(scene, f"{once} {free} return taken(words[3], model(x));")


@fault(native_concurrent=FROZEN, stage="run", says="SIGSEGV")
def threads_crash_the_program(scene: Scene) -> None:
    """A runtime that stands one caller crashes under the second."""
    _scripted(scene, "echo load; echo run; kill -SEGV $$")
    scene.native_concurrent("lite_frozen")


@fault(native_concurrent=FROZEN, stage="run", says="gave 8 answers to 80 calls")
def threads_of_the_program_give_up_early(scene: Scene) -> None:
    """Callers end after two calls, without an error."""
    _told(scene, lambda words: _with(11, "2")(words) if len(words) > 10 else words)
    scene.native_concurrent("lite_frozen")


def _compiled_with(scene: Scene, call: str) -> None:
    """Compile the program with another way to call a model."""
    if scene.observer.get(program).outcome is None:
        text, own = native.SOURCE.read_text(encoding="utf-8"), "return taken(words[3], model(x));"
        assert own in text
        source = scene.folder / native.SOURCE.name
        source.write_text(text.replace(own, call), encoding="utf-8")
        scene.patch.setattr(native, "SOURCE", source)
        scene.forget(program)
        scene.native_concurrent("lite_frozen")


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


@fault(
    native_program=PROGRAM,
    native=FILES,
    native_concurrent=FILES,
    stage="compile",
    says="error: no such header",
)
def program_does_not_compile(scene: Scene) -> None:
    """A compiler is there, and cannot compile against the headers of this release."""
    if scene.observer.get(program).outcome is None:
        compiler = scene.folder / "c++"
        compiler.write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "x.h:1: error: no such header"; exit 1; }\n')
        compiler.chmod(0o755)
        scene.patch.setenv("CXX", str(compiler))
        scene.forget(program)
        scene.native(*FILES)
        scene.native_concurrent(*FILES)
