"""Which processors a machine can be held to, by what, and what says that it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitgate.files.errors import UsageError
from vitgate.spec import processors
from vitgate.spec.processors import (
    check_valgrind,
    LEVELS,
    lower_for,
    lower_than,
    not_taken,
    Processor,
    processor_named,
    variables_of,
)

BASELINE = {"sse4_1"}
AVX2 = BASELINE | {"avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"}
VNNI = AVX512 | {"avx512_vnni"}

Patch = pytest.MonkeyPatch


@pytest.fixture
def machine(monkeypatch: Patch) -> None:
    """Make this a machine with AVX2 and nothing above."""
    of(monkeypatch, AVX2)


def of(patch: Patch, flags: set[str]) -> None:
    patch.setattr(processors, "cpu_flags", lambda: frozenset(flags))


@pytest.mark.parametrize(
    ("flags", "lower"),
    [
        (VNNI, ("avx512", "avx2", "baseline")),
        (AVX512, ("avx2", "baseline")),
        (AVX2 | {"avx_vnni"}, ("avx2", "baseline")),
        (AVX2, ("baseline",)),
        (BASELINE, ()),
        (set(), ()),  # of ARM, or of a system that does not say
    ],
)
def test_lower_processors_are_those_below_the_machines_own(
    flags: set[str], lower: tuple[Processor, ...], monkeypatch: Patch
) -> None:
    of(monkeypatch, flags)

    assert lower_than("host") == lower


@pytest.mark.parametrize(
    ("held", "lower"), [("avx512", ("avx2", "baseline")), ("avx2", ("baseline",)), ("baseline", ())]
)
def test_lower_processors_of_held_run_are_below_it(
    held: Processor, lower: tuple[Processor, ...], monkeypatch: Patch
) -> None:
    of(monkeypatch, VNNI)

    assert lower_than(held) == lower


def test_emulated_machine_has_no_x86_cpu_flags(monkeypatch: Patch, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("flags\t\t: avx2 fma avx512f\n", encoding="utf-8")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")

    assert processors.cpu_flags(path) == frozenset()


def test_an_unknown_processor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown processor 'sse9' .*choose from host, avx512, avx2, baseline"):
        processor_named("sse9")


@pytest.mark.usefixtures("machine")
def test_processor_above_host_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot be held to avx512: it has no avx512bw.*choose from host, baseline"):
        processor_named("avx512")


def test_missing_valgrind_is_refused(monkeypatch: Patch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)

    with pytest.raises(UsageError, match=r"valgrind is not installed .*install it, or give all"):
        check_valgrind()


def test_whole_run_under_valgrind_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown processor 'valgrind'"):
        processor_named("valgrind")


def test_host_processor_needs_no_variables() -> None:
    assert variables_of("host") == {}
    assert not_taken("host", {"ATen": "whatever"}) == ""


@pytest.mark.parametrize("name", LEVELS)
def test_library_on_another_processor_is_named(name: Processor) -> None:
    took = {library: words[-1] for library, words in LEVELS[name].took.items()}

    assert not_taken(name, took) == ""
    for library in took:
        assert not_taken(name, {**took, library: "AMX"}) == f"{library} took AMX"
        assert not_taken(name, {**took, library: "unknown"}) == ""


def test_runtimes_without_variables_run_under_valgrind_if_asked(monkeypatch: Patch) -> None:
    of(monkeypatch, VNNI)

    assert lower_for("onnxruntime", "host", valgrind=True) == (("valgrind",), "")
    assert lower_for("onnxruntime", "host", valgrind=False)[0] == ()
    assert "--processors valgrind" in lower_for("executorch", "host", valgrind=False)[1]
    assert lower_for("onnxruntime", "avx2", valgrind=True)[0] == ()
    assert lower_for("torchscript", "host", valgrind=True) == (("avx512", "avx2", "baseline"), "")


@pytest.mark.parametrize(
    ("lowest", "held", "under_valgrind"),
    [
        ("baseline", ("avx512", "avx2", "baseline"), ("valgrind",)),
        ("avx2", ("avx512", "avx2"), ("valgrind",)),
        ("avx512", ("avx512",), ()),
        ("host", (), ()),
    ],
)
def test_processors_that_files_do_not_ship_to_are_left_out(
    monkeypatch: Patch, lowest: Processor, held: tuple[str, ...], under_valgrind: tuple[str, ...]
) -> None:
    of(monkeypatch, VNNI)

    assert lower_for("torchscript", "host", valgrind=False, lowest=lowest)[0] == held
    assert lower_for("onnxruntime", "host", valgrind=True, lowest=lowest)[0] == under_valgrind


@pytest.mark.usefixtures("machine")
def test_valgrind_hides_nothing_of_a_machine_without_avx512() -> None:
    assert lower_for("onnxruntime", "host", valgrind=True)[1] == (
        "this machine can be held to no lower processor that files ship to"
    )
