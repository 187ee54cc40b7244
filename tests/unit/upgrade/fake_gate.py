"""A gate whose two PyTorch are made up: no torch, no pytest, only the steps and what they leave. Also a program:

    python -m unit.upgrade.fake_gate CACHE [hang=STEP] [old=VERSION] [new=VERSION] [keep=FOLDER] [field=FOLDER]

It prints the verdict as JSON. `CACHE/steps` lists the steps that were begun, with the process that began them; one that
hangs waits until there is a file `CACHE/go`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitgate.compare.acceptance import Acceptances
from vitgate.compare.latency_statistics import judged, PairRatio
from vitgate.compare.verdict import Verdict
from vitgate.files.errors import MachineError
from vitgate.files.hashing import sha256_of
from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import FieldFile, FieldItem, FieldManifest, given, MANIFEST, SCHEMA, SEEN
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.spec.options import RUN_OPTIONS
from vitgate.upgrade import gate as module
from vitgate.upgrade import paired_latency
from vitgate.upgrade.gate import gate, Order
from vitgate.upgrade.interpreters import Environment
from vitgate.upgrade.requirements import Side
from vitgate.upgrade.runs import Request

STEPS = ["old", "new", "crossing", "latency"]
VARIANTS = {"2.12.1": ("scripted_quantized", "lite", "lite_frozen"), "2.15.0": ("scripted_quantized", "lite_frozen")}
GONE = "isGenericDict() INTERNAL ASSERT FAILED"  # as deviations.toml has it of such files


@dataclass
class Fake:
    """What stands in the place of environments, runs and latencies. `hang` and `fail` name a step, `lost` a version."""

    cache: Path
    hang: str = ""
    fail: str = ""
    nothing: str = ""

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the places."""
        self.cache.mkdir(parents=True, exist_ok=True)
        patch.setattr(module, "make", self.make)
        patch.setattr(module, "run_suite", self.run_suite)
        patch.setattr(module, "suite_folder", lambda cache: cache / "suite")
        patch.setattr(paired_latency, "compare_latency", self.compare_latency)

    def steps(self) -> list[str]:
        """Return the names of the steps that were begun, by whichever process."""
        path = self.cache / "steps"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def make(self, side: Side, **_: Any) -> Environment:
        """Give an environment that is there already."""
        return Environment(side.name, Path(sys.executable), side.name, {"torch": side.name}, self.cache, True, 0, None)

    def run_suite(
        self, environment: Environment, suite: Path, request: Request, log: Path, progress: Callable[[float], None]
    ) -> Record:
        """Leave the record of a release, with a row for each file that it was given, and an export."""
        name = Path(request.record).stem
        self._begin(name)
        version = environment.torch.partition("+")[0]
        items = given(request.field)
        record = _record(environment.torch)
        claims = (*record.claims, *(_row(item, version) for item in items))
        record = record.model_copy(update={"cells": (), "complete": name != "crossing"})
        if name == "crossing":
            claims = tuple(_row(item, version) for item in items)
        if request.export:
            _export(Path(request.export), version, () if version == self.nothing else VARIANTS[version], items)
        log.write_text(f"{name}\n", encoding="utf-8")
        progress(1.0)
        record.model_copy(update={"claims": claims}).write(Path(request.record))
        self._begin(f"{name}-written")
        return record

    def compare_latency(self, old: Any, new: Any, x: Path, engine: str, **_: Any) -> dict[str, Any]:
        """Give ratios of 1 for what both have."""
        self._begin("latency")
        assert np.load(x).shape == (1, 1, 2, 2)
        return {name: judged([PairRatio(1.0, 10.0, 10.0)] * 3) for name in old.models if name in new.models}

    def _begin(self, name: str) -> None:
        if not name.endswith("-written"):
            with (self.cache / "steps").open("a") as steps:
                steps.write(f"{name} {os.getpid()}\n")
        if name == self.fail:
            raise MachineError("no network", where=name, do="try again")
        if name == self.hang:
            (self.cache / f"hangs-{os.getpid()}").touch()
            while not (self.cache / "go").exists():
                time.sleep(0.01)


def _record(torch: str) -> Record:
    record = read_record(fixtures_folder() / "records" / f"{torch.partition('+')[0]}.json")
    return record.model_copy(update={"environment": record.environment.model_copy(update={"torch": torch})})


def _row(item: FieldItem, runner: str) -> ClaimRow:
    cell = item.cell
    place = {"case": cell.case, "engine": cell.engine} if cell else {}
    state: dict[str, Any] = {"status": "passed", "outcome": "passed"}
    if item.row.file.endswith("lite.ptl") and runner == "2.15.0":
        place = {} if not cell else place
        known = {"status": "declared", "deviation": "xnnpack-gone-lite-files"} if cell else {"status": "failed"}
        state = {**known, "outcome": "failed at", "at": "load", "error": "RuntimeError", "message": GONE}
    finding = FindingRow(statistic="sqnr", value=120.0, unit="dB", against="maker", judged=False)
    findings = (finding,) if state["status"] == "passed" else ()
    return ClaimRow(claim="artifacts", subject=item.row.id, test="t", findings=findings, **place, **state)


def _export(folder: Path, maker: str, variants: Sequence[str], items: Sequence[FieldItem]) -> None:
    folder.mkdir(exist_ok=True)
    rows: list[FieldFile] = []
    arrays: dict[str, Any] = {"x/digits": np.zeros((2, 1, 2, 2), np.float32)}
    for variant in variants:
        lite = variant.startswith("lite")
        path = folder / f"digits-qnnpack-{variant}.{'ptl' if lite else 'pt'}"
        path.write_bytes(variant.encode())
        runtime = "lite_interpreter" if lite else "torchscript"
        place = {"case": "digits", "engine": "qnnpack", "variant": variant, "runtime": runtime}
        rows.append(_file(path, f"{maker}-{path.stem}", **place))
    for item in [item for item in items if not item.maker]:
        path = folder / item.row.id
        path.write_bytes((Path(item.folder) / item.row.file).read_bytes())
        rows.append(_file(path, item.row.id, runtime=item.row.runtime))
        arrays[f"x/{item.row.id}"] = arrays["x/digits"]
    np.savez(folder / SEEN, **arrays)
    manifest = FieldManifest(schema_version=SCHEMA, maker=maker, machine="x86_64", files=tuple(rows))
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")


def _file(path: Path, name: str, **fields: Any) -> FieldFile:
    return FieldFile(id=name, file=path.name, bytes=path.stat().st_size, sha256=sha256_of(path), **fields)


def order(cache: Path, old: str = "2.12.1", new: str = "2.15.0", **fields: Any) -> Order:
    """Return what a gate is asked."""
    options = {option.name: fields.pop(option.name) for option in RUN_OPTIONS if option.name in fields}
    return Order(Side(old), Side(new), Request(case=("digits",), engine=("qnnpack",), **options), cache, **fields)


def run(asked: Order, said: list[str] | None = None) -> Verdict:
    """Run the gate."""
    return gate(asked, Acceptances(), (said if said is not None else []).append)


def _main(cache: str, *arguments: str) -> None:
    told = dict(text.split("=", 1) for text in arguments)
    with pytest.MonkeyPatch.context() as patch:
        Fake(Path(cache), hang=told.pop("hang", "")).install(patch)
        print(run(order(Path(cache), **told)).model_dump_json())


if __name__ == "__main__":
    _main(*sys.argv[1:])
