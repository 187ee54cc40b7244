"""Parts of one run, made in several places, put together into the record that one place would have written.

The order of the parts does not matter, nor how they are grouped, nor whether one comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from vitgate.files.errors import UsageError
from vitgate.inputs.run_options import expected_claims
from vitgate.records.record import Environment, Record
from vitgate.records.rows import cell_deviation, cell_outcome, CellRow, ClaimRow, InputRow
from vitgate.spec.cases import read_cases
from vitgate.spec.claims import read_claims
from vitgate.spec.engines import EVERY_ENGINE
from vitgate.spec.variants import FORMS

_APART = " | "  # between the processors of shards that ran on several
_WHERE = ("cpu", "platform")  # what may differ between the machines of one run; the numerics' own capability may not
_TAKEN_AGAIN = "build_seconds"  # a plain time, which two shards that build the same file both take


def merge(records: Sequence[Record]) -> Record:
    """Return one record of all; UsageError where they are not parts of one run, or say two things of one row."""
    if not records:
        raise UsageError("there is nothing to merge", do="name at least one record")
    _one("versions of vitgate", [record.vitgate for record in records])
    _one("values of --ships-to", [record.ships_to for record in records])
    environment = _environment([record.environment for record in records])
    claims = sorted(_rows("row", [row for record in records for row in record.claims], _claim_name), key=_place)
    cases = sorted({name for record in records for name in record.cases}, key=_case_place)
    engines = sorted({name for record in records for name in record.engines}, key=_engine_place)
    missing = _missing(records, claims)
    shard, all_there = _shards(records)
    merged = Record(
        created=min(record.created for record in records),
        vitgate=records[0].vitgate,
        cases=tuple(cases),
        engines=tuple(engines),
        complete=False,
        missing=missing,
        environment=environment,
        inputs=tuple(_inputs(records)),
        cells=tuple(_cells(records, claims)),
        claims=tuple(claims),
        warnings=tuple(sorted({text for record in records for text in record.warnings})),
        new_operators=tuple(sorted({text for record in records for text in record.new_operators})),
        shard=shard,
        left_out=tuple(sorted(set.intersection(*({*record.left_out} for record in records)))),
        ships_to=records[0].ships_to,
    )
    complete = not missing and (_holds_all(merged, records) or (all_there and _is_covered(merged)))
    return merged.model_copy(update={"complete": complete})


def _one(what: str, values: Iterable[str]) -> None:
    found = sorted(set(values))
    if len(found) > 1:
        text = f"the records are of different {what}: {found[0]} and {found[1]}"
        raise UsageError(text, where="merge", do="merge the parts of one run")


Row = TypeVar("Row", ClaimRow, InputRow)


def _rows(what: str, rows: Iterable[Row], name: Any) -> list[Row]:
    """Return each row once; UsageError where two of one name differ."""
    found: dict[str, Row] = {}
    for row in rows:
        if found.setdefault(name(row), row) != row:
            text = f"two records say different things of the {what} {name(row)}"
            raise UsageError(text, where="merge", do="leave one of them out, or make it again")
    return list(found.values())


def _claim_name(row: ClaimRow) -> str:
    return row.name


def _case_place(case: str) -> tuple[int, str]:
    cases = list(read_cases())
    return (cases.index(case) if case in cases else len(cases), case)


def _engine_place(engine: str) -> tuple[int, str]:
    names: tuple[str, ...] = EVERY_ENGINE
    return (names.index(engine) if engine in names else -1, engine)


def _place(row: ClaimRow) -> tuple[object, ...]:
    """Return what rows of a record are sorted by: the claims' order in their file, case, engine, subject."""
    claims = list(read_claims())
    known = claims.index(row.claim) if row.claim in claims else len(claims)
    return known, row.claim, row.case, _engine_place(row.engine), row.subject


def _missing(records: Sequence[Record], claims: Sequence[ClaimRow]) -> tuple[str, ...]:
    """Return what some part misses and none has: names of rows, and ids of claims that have no row at all."""
    present = {row.name for row in claims} | {row.claim for row in claims}
    return tuple(sorted({name for record in records for name in record.missing} - present))


def _shards(records: Sequence[Record]) -> tuple[str, bool]:
    """Return which parts of the split run are there, `1+3/5`, and whether that is all of them."""
    marks = [record.shard.partition("/") for record in records if record.shard]
    if not marks:
        return "", True
    _one("numbers of shards", [of for _, _, of in marks])
    count = int(marks[0][2])
    parts = sorted({int(number) for numbers, _, _ in marks for number in numbers.split("+")})
    if parts[-1] > count:
        raise UsageError(f"there is no shard {parts[-1]} of {count}", where="merge", do="make that record again")
    return f"{'+'.join(map(str, parts))}/{count}", len(parts) == count


def _holds_all(merged: Record, records: Sequence[Record]) -> bool:
    """Whether one of the parts is a complete run of every case and engine already."""
    wanted = (set(merged.cases), set(merged.engines))
    return any(
        record.complete and (set(record.cases), set(record.engines)) == wanted
        for record in records
        if _is_whole(record)
    )


def _is_whole(record: Record) -> bool:
    return not record.shard or _shards([record])[1]


def _is_covered(record: Record) -> bool:
    """Whether every claim about the record's cases and engines has its row, and every other claim at least one."""
    present, claims = {row.name for row in record.claims}, {row.claim for row in record.claims}
    others = {claim.id for claim in read_claims().values() if not claim.is_about_cells} - {*record.left_out}
    expected = expected_claims(record.cases, record.engines, left_out=record.left_out)
    return set(expected) <= present and others <= claims


def _environment(environments: Sequence[Environment]) -> Environment:
    """Return the one environment; machines of the same kind may differ in name, cores and system."""
    for field in Environment.model_fields:
        if field not in (*_WHERE, "cores", "kernels"):
            _one(f"environments ({field})", [str(getattr(each, field)) for each in environments])
    joined = {field: _joined(getattr(each, field) for each in environments) for field in _WHERE}
    libraries = sorted({name for each in environments for name in each.kernels})
    kernels = {name: _joined(each.kernels[name] for each in environments if name in each.kernels) for name in libraries}
    cores = min(each.cores for each in environments)
    return environments[0].model_copy(update={**joined, "cores": cores, "kernels": kernels})


def _joined(texts: Iterable[str]) -> str:
    return _APART.join(sorted({part for text in texts for part in text.split(_APART)}))


def _inputs(records: Sequence[Record]) -> list[InputRow]:
    first: dict[str, InputRow] = {}
    for row in (row for record in records for row in record.inputs):
        first.setdefault(row.case, row)
    # Of one environment, so that no more than the last bit of a tensor can differ between machines.
    same = [
        row.model_copy(update={"preprocessed": first[row.case].preprocessed})
        for record in records
        for row in record.inputs
    ]
    rows = _rows("inputs of", same, lambda row: row.case)
    return sorted(rows, key=lambda row: _case_place(row.case))


def _cells(records: Sequence[Record], claims: Sequence[ClaimRow]) -> list[CellRow]:
    """Return the cells' lines: their numbers from the parts that took them, their outcomes from all claims."""
    lines: dict[tuple[str, str, str], list[CellRow]] = {}
    for row in (row for record in records for row in record.cells):
        lines.setdefault((row.case, row.engine, row.variant), []).append(row)
    own: dict[tuple[str, str, str], list[ClaimRow]] = {place: [] for place in lines}
    for claim in claims:
        own.get((claim.case, claim.engine, claim.variant), []).append(claim)
    cells = [_cell(rows, own[place]) for place, rows in lines.items()]
    return sorted(cells, key=_cell_place)


def _cell_place(row: CellRow) -> tuple[object, ...]:
    variants: list[str] = list(FORMS)
    known = variants.index(row.variant) if row.variant in variants else len(variants)
    return _case_place(row.case), _engine_place(row.engine), known, row.variant


def _cell(rows: Sequence[CellRow], claims: Sequence[ClaimRow]) -> CellRow:
    numbers: dict[str, Any] = {}
    first = rows[0]
    for field in CellRow.model_fields.keys() - {"outcome", "at", "failed", "deviation"}:
        values = {value for row in rows if (value := getattr(row, field)) not in (None, "")}
        if field == _TAKEN_AGAIN and values:
            values = {min(values)}
        if len(values) > 1:
            text = f"two records have a different {field} of {first.name}"
            raise UsageError(text, where="merge", do="keep each case and engine within one shard")
        numbers[field] = next(iter(values), getattr(first, field))
    return CellRow(**numbers, **cell_outcome(claims), deviation=cell_deviation(claims))
