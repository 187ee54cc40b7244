"""What the unit tests share: rows with sensible defaults, data files, other processes. Nothing here imports torch."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import pytest

from vitgate.files.errors import UsageError
from vitgate.records.record import Environment, Record
from vitgate.records.rows import CellRow, ClaimRow, InputRow
from vitgate.spec.run_config import RunConfig

from .disk import small_disk as small_disk  # a fixture
from .outcomes import in_parts

PATIENCE = 10.0  # seconds after which another process that should have done something counts as hanging


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples a property is tried on, and which.

    `steady`, the default, draws the same ones in each run, so that no change turns red by chance; `nightly` (option
    --hypothesis-profile) draws many others. The time of one example on a busy machine says nothing.
    """
    if importlib.util.find_spec("hypothesis") is None:
        return
    from hypothesis import settings

    settings.register_profile("steady", max_examples=50, deadline=None, derandomize=True, database=None)
    settings.register_profile("nightly", max_examples=500, deadline=None)
    settings.load_profile(config.getoption("--hypothesis-profile", None) or "steady")


class Refuses(Protocol):
    """The type of the `refuses` fixture."""

    def __call__(self, call: Callable[[], object], *words: object) -> None: ...


@pytest.fixture
def refuses() -> Refuses:
    """Return a helper: `call` raises a UsageError of one line that has all these words in it."""

    def check(call: Callable[[], object], *words: object) -> None:
        __tracebackhide__ = True
        with pytest.raises(UsageError) as caught:
            call()
        text = str(caught.value)
        assert "\n" not in text
        assert [word for word in words if str(word) not in text] == [], text

    return check


@pytest.fixture
def data_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a helper that writes a file of that name and text and returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def claim_row() -> Callable[..., ClaimRow]:
    """Return a factory of rows of a record: a passed claim about one cell unless told otherwise."""

    def make(claim: str = "label", variant: str = "lite", engine: str = "qnnpack", **fields: Any) -> ClaimRow:
        case = fields.pop("case", "digits")
        subject = f"{case}-{engine}-{variant}" if variant else f"{case}-{engine}"
        row = {"subject": subject, "status": "passed", "outcome": "passed", "test": f"test_{claim}.py::test[{subject}]"}
        return ClaimRow(claim=claim, case=case, engine=engine, variant=variant, **in_parts(**{**row, **fields}))

    return make


@pytest.fixture
def cell_row() -> Callable[..., CellRow]:
    """Return a factory of lines of the table, with every column filled."""

    def make(variant: str = "lite", **fields: Any) -> CellRow:
        numbers = {"size_bytes": 89_200_000, "latency_ms": 60.0, "latency_ratio": 0.4, "label": 269, "sqnr_db": 23.8}
        row = {"case": "deit_base", "engine": "qnnpack", "outcome": "passed", **numbers}
        return CellRow(variant=variant, **in_parts(**{**row, **fields}))

    return make


@pytest.fixture
def environment() -> Environment:
    """Return a description of some PyTorch on some machine."""
    return Environment(
        torch="2.13.0+cpu",
        commit="0123abc",
        configuration="built with GCC",
        configuration_digest="0123456789abcdef",
        cpu_capability="AVX512",
        engines=("qnnpack", "onednn"),
        xnnpack=False,
        packages={"torch": "2.13.0+cpu"},
        python="3.11.9",
        platform="Linux",
        machine="x86_64",
        cpu="Some Xeon",
        cores=2,
    )


@pytest.fixture
def record(environment: Environment, claim_row: Callable[..., ClaimRow]) -> Callable[..., Record]:
    """Return a factory of records: a whole run of one claim unless told otherwise."""

    def make(**fields: Any) -> Record:
        inputs = InputRow(
            case="digits",
            weights="trained",
            weights_note="committed weights",
            weights_digest="ab",
            pictures="committed",
            pictures_note="committed pictures",
            pictures_sha256="cd",
        )
        whole = {
            "created": "2026-01-01T00:00:00+00:00",
            "vitgate": "0.1.0",
            "cases": ("digits",),
            "engines": ("qnnpack",),
            "complete": True,
            "missing": (),
            "environment": environment,
            "inputs": (inputs,),
            "cells": (),
            "claims": (claim_row(),),
        }
        return Record(**{**whole, **fields})

    return make


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., RunConfig]:
    """Return a factory of plans: the digits case under qnnpack unless told otherwise."""

    def make(**fields: Any) -> RunConfig:
        options = {
            "cases": ("digits",),
            "engines": ("qnnpack",),
            "engine": ("qnnpack",),
            "session": str(tmp_path),
        }
        return RunConfig(**{**options, **fields})

    return make


class Processes:
    """Real processes, forked so that they start at once; those left over at the end of a test are killed."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("fork")
        self._started: list[BaseProcess] = []

    def start(self, target: Callable[..., object], *arguments: object) -> BaseProcess:
        """Start one."""
        process = self.context.Process(target=target, args=arguments, daemon=True)
        process.start()
        self._started.append(process)
        return process

    def statuses(self) -> list[int | None]:
        """Wait for all; return their exit statuses, None for one that hangs."""
        for process in self._started:
            process.join(PATIENCE)
        return [process.exitcode for process in self._started]

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            process.kill()
            process.join()


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Return a starter of processes."""
    made = Processes()
    yield made
    made.end()
