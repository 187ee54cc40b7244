"""From evidence and settled claims to the record of a run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vitgate import __version__
from vitgate.inputs.field_files import committed
from vitgate.inputs.run_options import expected_claims as expected_names
from vitgate.judge import computed, findings, input_tensors, latency_ratios, metrics
from vitgate.observe.artifacts import artifact
from vitgate.observe.environment import environment
from vitgate.observe.inputs import labelled, pictures, weights
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.observe.store import Store
from vitgate.observe.timing import latency
from vitgate.records.consistency import shown_numbers
from vitgate.records.record import Environment, Record
from vitgate.records.rows import (
    cell_deviation,
    cell_outcome,
    CellRow,
    ClaimRow,
    FindingRow,
    InputRow,
    PreprocessedRow,
    rounded,
)
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import read_claims
from vitgate.spec.outcome import Evidence, Finding
from vitgate.spec.run_config import OTHERS, RunConfig
from vitgate.spec.variants import variants_of
from vitgate.spec.versions import cpu_model, machine, packages


def assemble(plan: RunConfig, store: Store, rows: list[ClaimRow], *, narrowed: bool) -> Record:
    """Make the record.

    Args:
        plan: What the run was asked.
        store: What it observed.
        rows: What became of its claims.
        narrowed: The user chose tests. Otherwise claims of the plan that nobody checked are missing.
    """
    missing = () if narrowed else tuple(sorted(_unchecked(plan, rows)))
    found = environment.find(store)
    return Record(
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        vitgate=__version__,
        cases=plan.cases,
        engines=plan.engines,
        complete=not narrowed and not missing and not plan.shard,
        missing=missing,
        environment=Environment(**found.values) if found else _unknown_environment(plan),
        inputs=tuple(_inputs(plan, store)),
        cells=tuple(cell_row(cell, store, rows) for cell in _cells(plan, rows)),
        claims=tuple(rows),
        warnings=_news(rows, "warnings"),
        new_operators=_news(rows, "lite_operators"),
        shard=plan.shard or "",
        left_out=tuple(sorted(plan.left_out())),
        ships_to=plan.ships_to,
    )


def _unchecked(plan: RunConfig, rows: list[ClaimRow]) -> set[str]:
    """Return the names of expected claims without a row, and the ids of the other claims that have none at all.

    Of a run that is split up, those of its own part.
    """
    others = {claim.id for claim in read_claims().values() if not claim.is_about_cells} - plan.left_out()
    others |= set() if committed() else {"field"}  # no file means no row, and nothing else would tell
    expected = {name for name in expected_claims(plan) if plan.in_shard(name)}
    return (expected - {row.name for row in rows}) | (
        others - {row.claim for row in rows} if plan.has_group(OTHERS) else set()
    )


def expected_claims(plan: RunConfig) -> list[str]:
    """Return the names of all claims about cells and engines that a whole run of this plan checks."""
    return expected_names(plan.cases, plan.engines, plan.field, plan.left_out())


def _news(rows: list[ClaimRow], claim: str) -> tuple[str, ...]:
    """Return what the claim's tests had to report where they failed, each text once."""
    return tuple(sorted({row.message for row in rows if row.claim == claim and row.status == "failed"}))


def _cells(plan: RunConfig, rows: list[ClaimRow]) -> Iterable[CellId]:
    seen = {(row.case, row.engine) for row in rows if row.status != "unsupported"}
    return (
        CellId(case, engine, variant)
        for case in plan.cases
        for engine in plan.engines
        for variant in variants_of(engine)
        if plan.has_variant(variant) and (case, engine) in seen and plan.has_group(str(GroupId(case, engine)))
    )


def cell_row(cell: CellId, store: Store, rows: list[ClaimRow]) -> CellRow:
    """Sum up one cell: its evidence, and what its claims came to and judged.

    Args:
        cell: The variant of one case under one engine.
        store: What the run observed.
        rows: What became of claims, those of other cells among them.
    """
    own = [row for row in rows if (row.case, row.engine, row.variant) == (cell.case, cell.engine, cell.variant)]
    judged = {row.claim: row.findings for row in own}
    built = found.values if (found := artifact.find(store, cell)) else {}
    return CellRow(
        case=cell.case,
        engine=cell.engine,
        variant=cell.variant,
        **cell_outcome(own),
        deviation=cell_deviation(own),
        size_bytes=built.get("bytes"),
        digest_blake2b=str(built.get("digest", "")),
        build_seconds=rounded(built["seconds"]) if "seconds" in built else None,
        **_numbers(cell, store, judged.get("logits_original")),
        **_latency(cell, store, judged.get("latency")),
    )


def _numbers(cell: CellId, store: Store, judged: Sequence[Finding | FindingRow] | None) -> dict[str, Any]:
    """Return label and margin on the reference picture, and how far all logits are off, found here if not judged.

    There is no label where the output is an embedding, or decides several.
    """
    own, original = (_logits(outputs.find(store, each)) for each in (cell, cell.at("original")))
    if own is None or original is None or own.ndim != 2 or own.size == 0 or not np.isfinite(own).all():
        return {}
    should = _logits(expected_logits.find(store, cell.case, cell.scheme)) if cell.scheme else None
    if should is not None:
        judged = judged or computed.expected_error(own, original, should)
    judged = judged or metrics.compare(original, own, against="original")
    if read_cases()[cell.case].returns.kind != "logits":
        return shown_numbers("logits_original", judged)
    top = metrics.top1(own[:1])
    margin = rounded(metrics.margins(own[:1], top).item())
    return {"label": top.item(), "margin": margin, **shown_numbers("logits_original", judged)}


def _logits(found: Evidence | None) -> metrics.Array | None:
    return found.arrays.get("logits") if found else None


def _latency(cell: CellId, store: Store, judged: Sequence[Finding | FindingRow] | None) -> dict[str, Any]:
    samples = latency.find(store, cell)
    if samples is None or not {cell.variant, "original"} <= samples.values.keys():
        return {}
    own = samples.values[cell.variant]["thread"]
    found = latency_ratios.ratio(own, samples.values["original"]["thread"])
    interval = {"latency_ratio_low": found.low, "latency_ratio_high": found.high}
    spread = np.quantile(own, (0.0, 0.25, 0.5, 0.75, 1.0)) * 1000.0 if own else np.array(())
    return {
        **{name: rounded(value) for name, value in interval.items() if math.isfinite(value)},
        "latency_spread_ms": tuple(map(rounded, spread.tolist())) if np.isfinite(spread).all() else (),
        **shown_numbers("latency", judged or findings.latency(samples.values, cell.variant)),
    }


def _inputs(plan: RunConfig, store: Store) -> Iterable[InputRow]:
    folder = labelled.find(store)
    for case in plan.cases:
        own = folder.values if folder and read_cases()[case].reads_files else {}
        used, shown = weights.find(store, case), pictures.find(store, case)
        if used is None or shown is None:
            continue
        yield InputRow(
            case=case,
            weights=used.values["kind"],
            weights_note=used.values["note"],
            weights_digest=used.values["digest"],
            pictures=shown.values["source"],
            pictures_note=shown.values["note"],
            pictures_sha256=shown.values["sha256"],
            images_note=own.get("note", ""),
            images_digest=own.get("digest", ""),
            preprocessed=tuple(_preprocessed(shown)),
        )


def _preprocessed(shown: Evidence) -> Iterable[PreprocessedRow]:
    """Return what became of each picture; of digits, which are no files, there are the tensors alone."""
    names = shown.values["names"]
    files = shown.values.get("files", [{}] * len(names))
    for name, file, tensor in zip(names, files, shown.arrays["x"], strict=True):
        own = {"file": file["sha256"], "decoded": file["decoded"], "mean": tuple(file["mean"])} if file else {}
        yield PreprocessedRow(name=name, **own, **input_tensors.summary(tensor))


def _unknown_environment(plan: RunConfig) -> Environment:
    """A run of claims that needed no torch: the packages are all that is known."""
    return Environment(
        torch=packages().get("torch", "unknown"),
        commit=None,
        configuration="",
        configuration_digest="",
        cpu_capability="",
        engines=(),
        xnnpack=False,
        packages=packages(),
        python="",
        platform="",
        machine=machine(),
        cpu=cpu_model(),
        cores=1,
        processor=plan.processor,
    )
