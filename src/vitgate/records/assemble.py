"""From evidence and settled claims to the record of a run."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from vitgate import __version__
from vitgate.inputs.field_files import committed
from vitgate.inputs.run_options import expected_claims as expected_names
from vitgate.judge.latency_ratios import fastest_quartile, ratio
from vitgate.judge.metrics import margins, sqnr, top1
from vitgate.observe.artifacts import artifact
from vitgate.observe.environment import environment
from vitgate.observe.inputs import labelled, pictures, weights
from vitgate.observe.layers import expected_logits
from vitgate.observe.outputs import outputs
from vitgate.observe.store import Store
from vitgate.observe.timing import latency
from vitgate.records.record import Environment, Record
from vitgate.records.rows import cell_deviation, cell_outcome, CellRow, ClaimRow, InputRow, rounded
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import CellId, GroupId
from vitgate.spec.claims import read_claims
from vitgate.spec.run_config import OTHERS, RunConfig
from vitgate.spec.variants import variants_of
from vitgate.spec.versions import cpu_model, machine, packages


def assemble(plan: RunConfig, store: Store, rows: list[ClaimRow], *, narrowed: bool) -> Record:
    """Make the record; claims of the plan that nobody checked are missing, unless the user narrowed the run."""
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
    )


def _unchecked(plan: RunConfig, rows: list[ClaimRow]) -> set[str]:
    """Return the names of expected claims without a row, and the ids of the other claims that have none at all.

    Of a run that is split up, those of its own part.
    """
    others = {claim.id for claim in read_claims().values() if claim.per not in ("cell", "engine", "file")}
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
        if (case, engine) in seen and plan.has_group(str(GroupId(case, engine)))
    )


def cell_row(cell: CellId, store: Store, rows: list[ClaimRow]) -> CellRow:
    """Sum up one cell: its evidence, and what its claims came to."""
    own = [row for row in rows if (row.case, row.engine, row.variant) == (cell.case, cell.engine, cell.variant)]
    build = artifact.find(store, cell)
    built = build.values if build and build.outcome is None else {}
    return CellRow(
        case=cell.case,
        engine=cell.engine,
        variant=cell.variant,
        **cell_outcome(own),
        deviation=cell_deviation(own),
        size_bytes=built.get("bytes"),
        digest_blake2b=str(built.get("digest", "")),
        build_seconds=rounded(built["seconds"]) if "seconds" in built else None,
        **{name: _short(value) for name, value in {**_numbers(cell, store), **_latency(cell, store)}.items()},
    )


def _short(value: Any) -> Any:
    """Round numbers to the digits that they mean, those of a list too."""
    return tuple(map(rounded, value)) if isinstance(value, (list, tuple)) else rounded(value)


def _numbers(cell: CellId, store: Store) -> dict[str, Any]:
    """Return label and margin on the reference picture, and SQNR against the original over all pictures."""
    own, original = outputs.find(store, cell), outputs.find(store, cell.at("original"))
    if own is None or own.outcome is not None or original is None or original.outcome is not None:
        return {}
    logits, reference = own.arrays["logits"], original.arrays["logits"]
    if logits.ndim != 2 or logits.size == 0 or not np.isfinite(logits).all():
        return {}
    top = top1(logits[:1])
    values = {"margin": float(margins(logits[:1], top)[0]), "sqnr_db": sqnr(reference, logits)}
    expected = expected_logits.find(store, cell.case, cell.scheme) if cell.scheme else None
    if expected is not None and expected.outcome is None:
        should = expected.arrays["logits"]
        values["expected_sqnr_db"] = sqnr(reference[: len(should)], should)
    return {"label": int(top[0]), **{name: value for name, value in values.items() if math.isfinite(value)}}


def _latency(cell: CellId, store: Store) -> dict[str, Any]:
    samples = latency.find(store, cell)
    if samples is None or samples.outcome is not None or not {cell.variant, "original"} <= samples.values.keys():
        return {}
    own, original = samples.values[cell.variant], samples.values["original"]
    found = ratio(own["thread"], original["thread"])
    values = {
        "latency_ms": fastest_quartile(own["thread"]) * 1000.0,
        "latency_ratio": found.value,
        "latency_ratio_low": found.low,
        "latency_ratio_high": found.high,
        "profiler_ms": own["profiled_ms"],
    }
    spread = np.quantile(own["thread"], (0.0, 0.25, 0.5, 0.75, 1.0)) * 1000.0 if own["thread"] else np.array(())
    known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
    return known | {"latency_spread_ms": tuple(spread.tolist()) if np.isfinite(spread).all() else ()}


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
        )


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
