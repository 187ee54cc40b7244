"""Records that no run has given: real ones in which something is made to fail, and ones of hostile text."""

from __future__ import annotations

from vitgate.judge.findings import AT_BLOCK
from vitgate.records.record import Record
from vitgate.records.rows import cell_deviation, cell_outcome, CellRow, ClaimRow, FindingRow

from ..releases import release

HOSTILE = (
    "<script>alert(1)</script> | a `b` $x^2$ {{ 7 * 7 }} [d](javascript:e) <img src=http://g/h onerror=f> </details> "
    '" onclick="i" \' -->]]></svg></style></script> \x1b[31mred\x1b[0m \x9b2J \x00 \u202egnp\u202c\r\n'
)


def changed(record: Record, name: str, **fields: object) -> Record:
    """Return the record with these fields of one claim's row changed, and the line of its cell with them."""
    claims = tuple(row.model_copy(update=fields) if row.name == name else row for row in record.claims)
    assert claims != record.claims, name
    return record.model_copy(update={"claims": claims, "cells": tuple(_cell(cell, claims) for cell in record.cells)})


def narrowed(record: Record, *engines: str) -> Record:
    """Return the record as of a run under these engines alone."""
    cells = tuple(cell for cell in record.cells if cell.engine in engines)
    claims = tuple(row for row in record.claims if row.engine in (*engines, ""))
    return record.model_copy(update={"cells": cells, "claims": claims, "engines": engines})


def _cell(cell: CellRow, claims: tuple[ClaimRow, ...]) -> CellRow:
    place = (cell.case, cell.engine, cell.variant)
    rows = [row for row in claims if (row.case, row.engine, row.variant) == place]
    return cell.model_copy(update={"at": "", "failed": (), **cell_outcome(rows), "deviation": cell_deviation(rows)})


def red() -> Record:
    """Return a record with a number out of its bounds, one that is none, a stage that failed, and rows not checked."""
    low = FindingRow(
        statistic="sqnr",
        value=12.5,
        unit="dB",
        lower=25.5,
        upper=31.0,
        against="original",
        tolerance="shared.int8",
    )
    nothing = low.model_copy(update={"statistic": "cosine", "value": None, "unit": "1", "tolerance": "gone"})
    blocks = (("patch_embed", 45.0), ("blocks.0", 44.0))
    only = {"unit": "dB", "judged": False}
    shown = [FindingRow(statistic=f"{AT_BLOCK}{place}", value=value, **only) for place, value in blocks]
    message = "sqnr against original: 12.5 dB, expected [25.5, 31]"
    record = changed(
        release("2.12.1"),
        "logits_original[deit_base-fbgemm-scripted_quantized]",
        **{"status": "failed", "outcome": "failed", "message": message, "findings": (low, nothing, *shown)},
    )
    stopped = {"status": "failed", "outcome": "failed at", "at": "load", "error": "RuntimeError", "findings": ()}
    record = changed(record, "build[digits-qnnpack-lite]", **stopped, message="file is truncated")
    unsupported = {"status": "unsupported", "outcome": "unsupported", "error": "", "findings": ()}
    record = changed(record, "build[digits-qnnpack-lite_frozen]", **unsupported)
    machine = {"status": "environment error", "outcome": "environment error", "error": "MachineError", "findings": ()}
    return changed(record, "preprocessing[test_preprocessing]", **machine, message="no space left on device")


def without_blocks(record: Record) -> Record:
    """Return the record as it was made before there were spreads of latencies and SQNR per block."""
    cells = tuple(cell.model_copy(update={"latency_spread_ms": ()}) for cell in record.cells)
    claims = tuple(
        row.model_copy(update={"findings": tuple(each for each in row.findings if AT_BLOCK not in each.statistic)})
        for row in record.claims
    )
    return record.model_copy(update={"cells": cells, "claims": claims})


def hostile(record: Record) -> Record:
    """Return the record with hostile text wherever it has room for any, and numbers that are no measurement."""
    long = HOSTILE + "x" * 3000
    words = dict.fromkeys(("statistic", "unit", "against", "tolerance"), HOSTILE)
    finding = FindingRow(**words, value=1e100, lower=0.0, upper=1.0, note=long)
    block = FindingRow(statistic=f"{AT_BLOCK}{HOSTILE}", value=-1e100, unit="dB", judged=False)
    texts = {
        "outcome": "failed at",
        "at": HOSTILE,
        "error": HOSTILE,
        "message": long,
        "test": HOSTILE,
        "findings": (finding,),
    }
    place = {"case": HOSTILE, "engine": HOSTILE, "variant": HOSTILE}
    claims = (
        ClaimRow(claim="label", subject=HOSTILE, status="failed", **texts, **place),
        ClaimRow(claim=HOSTILE, subject=HOSTILE, status="failed", deviation=HOSTILE, **texts, **place),
        ClaimRow(claim="size", subject=HOSTILE, status="declared", deviation=HOSTILE, **texts, **place),
        ClaimRow(claim="field", subject=f"{HOSTILE}-a", status="environment error", **texts),
        ClaimRow(claim="calls", subject=HOSTILE, status="unsupported", **texts),
        ClaimRow(
            claim="logits_original",
            subject=HOSTILE,
            status="passed",
            **{**texts, "findings": (block, finding)},
            **{**place, "variant": "scripted_quantized"},
        ),
    )
    numbers = dict.fromkeys(("latency_ms", "latency_ratio", "latency_ratio_low", "profiler_ms", "sqnr_db"), -1e100)
    cells = tuple(
        CellRow(
            **{**place, "variant": variant},
            **numbers,
            **outcome,
            deviation=HOSTILE,
            size_bytes=1 << 62,
            latency_spread_ms=(1e100, -1.0, 5.0, 0.0, -1e100),
        )
        for variant, outcome in (
            (HOSTILE, {"outcome": "failed at", "at": HOSTILE}),
            ("scripted_quantized", {"outcome": "failed", "failed": (HOSTILE,)}),
        )
    )
    inputs = tuple(
        row.model_copy(update={**dict.fromkeys(type(row).model_fields, HOSTILE), "case": HOSTILE})
        for row in record.inputs[:1]
    )
    columns = ("commit", "configuration", "cpu_capability", "python", "platform", "machine", "cpu")
    environment = record.environment.model_copy(
        update={**dict.fromkeys(columns, HOSTILE), "torch": f"2.16.0{HOSTILE}", "packages": {HOSTILE: HOSTILE}}
    )
    lists = dict.fromkeys(("cases", "engines", "missing", "warnings", "new_operators"), (HOSTILE,))
    rows = {"claims": claims, "cells": cells, "inputs": inputs, "environment": environment}
    return record.model_copy(update={**lists, **rows, "created": HOSTILE, "vitgate": HOSTILE})
