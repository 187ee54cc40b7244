"""The compatibility page: what the suite says of each PyTorch, version beside version, made from records.

`docs/compatibility.md` is such a page, and `vitgate sweep --markdown` writes one of its own records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from vitgate.files.text import markdown
from vitgate.judge.deviations import read_deviations
from vitgate.records.record import Record
from vitgate.records.rows import CellRow, Status
from vitgate.report.answer import answer
from vitgate.report.formats import ABSENT, decibels, megabytes, shown
from vitgate.spec.cases import read_cases
from vitgate.spec.cells import FieldFileId
from vitgate.spec.claims import read_claims
from vitgate.spec.variants import VARIANTS
from vitgate.spec.versions import age

NOT_MADE = "environment error"
_HEAD = """# What the suite says of each release{on}

Made by {maker}; each is one run of the conformance suite
on {machine}, with {weights}.
"""
_WEIGHTS = {"standin": "stand-in", "file": "user's"}


def page(records: Mapping[str, Record], *, maker: str, errors: Mapping[str, str] | None = None) -> str:
    """Return the whole page as Markdown.

    Args:
        records: By version, a column for each in this order.
        maker: From where the records come, in Markdown.
        errors: What stood in the way, by version, of those that have no record.
    """
    parts = [_head(records, maker)] if records else ["# What the suite says of each release\n"]
    parts.append("## The answer\n\n" + "\n".join(_answers(records, errors or {})))
    if records:
        parts += _tables(records)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _head(records: Mapping[str, Record], maker: str) -> str:
    found = [record.environment for record in records.values()]
    texts = (f"{each.cpu}, {each.cores} cores, {each.platform.split('-with')[0]}" for each in found)
    machines = [markdown(text) for text in dict.fromkeys(texts)]
    machine = f"one machine ({machines[0]})" if len(machines) == 1 else f"machines: {'; '.join(machines)}"
    processors = "/".join(dict.fromkeys(each.machine for each in found if each.machine))
    inputs = (row for record in records.values() for row in record.inputs if row.weights != "trained")
    weights = dict.fromkeys(f"the {_kind(row.weights)} weights for {_case_name(row.case)}" for row in inputs)
    of = ", ".join(weights) or "committed weights"
    return _HEAD.format(on=f" on {markdown(processors)}" * bool(processors), maker=maker, machine=machine, weights=of)


def _kind(weights: str) -> str:
    return _WEIGHTS.get(weights) or markdown(weights)


def _case_name(case: str) -> str:
    return case if case in read_cases() else markdown(case)


def _answers(records: Mapping[str, Record], errors: Mapping[str, str]) -> Iterator[str]:
    yield from (f"- {answer(record, markdown)}" for record in records.values())
    yield from (f"- {markdown(name)}: {NOT_MADE}: {markdown(error)}" for name, error in errors.items())


def _tables(records: Mapping[str, Record]) -> Iterator[str]:
    yield "## Claims\n\nHow many tests of each claim passed; in brackets how many deviated exactly as declared."
    yield _table({name: claim_counts(record) for name, record in records.items()})
    if any(map(_files, records.values())):
        yield "## Files that earlier releases made\n\nHow many of each maker's files load, run, and give its numbers."
        yield _table({name: _files(record) for name, record in records.items()})
    yield "## Declared deviations that were met"
    met = {row.deviation for record in records.values() for row in record.claims if row.status == "declared"}
    yield _table({name: _deviations(record, met) for name, record in records.items()}) or "None."
    for case in read_cases():
        yield from _case(case, records)


def _case(case: str, records: Mapping[str, Record]) -> Iterator[str]:
    if not any(row.case == case for record in records.values() for row in record.cells):
        return
    yield f"## {case}"
    shows: dict[str, Callable[[CellRow], str]] = {
        "size, MB": lambda row: megabytes(row.size_bytes).removesuffix(" MB"),
        "latency, × original": lambda row: shown(row.latency_ratio, "{:.2f}"),
        "SQNR against the original, of the expected one, dB": lambda row: decibels(
            row.sqnr_db, expected=row.expected_sqnr_db
        ).removesuffix(" dB"),
    }
    for title, show in shows.items():
        yield f"### {title}"
        yield _table({name: _cells(record, case, show) for name, record in records.items()})


def claim_counts(record: Record) -> dict[str, str]:
    """Return for each claim of the record how many of its tests passed, deviated as declared, and failed."""
    counts = {claim: Counter(row.status for row in record.claims if row.claim == claim) for claim in read_claims()}
    return {claim: _count(count) for claim, count in counts.items() if count}


def _count(count: Counter[Status]) -> str:
    red = count["failed"] + count["environment error"]
    failed = f", **{red} failed**" if red else ""
    lacking = f", {count['unsupported']} unsupported" if count["unsupported"] else ""
    return f"{count['passed']}" + (f" ({count['declared']})" if count["declared"] else "") + lacking + failed


def _files(record: Record) -> dict[str, str]:
    """Return the counts of the claim `field` for each release that made such files; its name begins their ids."""
    rows = [row for row in record.claims if row.claim == "field"]
    makers = sorted({FieldFileId.parse(row.subject).maker for row in rows}, key=age)
    own = {maker: [row.status for row in rows if FieldFileId.parse(row.subject).maker == maker] for maker in makers}
    return {f"made by {markdown(maker)}": _count(Counter(statuses)) for maker, statuses in own.items()}


def _deviations(record: Record, ids: Collection[str]) -> dict[str, str]:
    met = Counter(row.deviation for row in record.claims if row.status == "declared")
    return {row.id: str(met[row.id]) for row in read_deviations().rows if row.id in ids}


def _cells(record: Record, case: str, show: Callable[[CellRow], str]) -> dict[str, str]:
    rows = [row for row in record.cells if row.case == case and row.variant in VARIANTS]
    rows = [row for row in rows if row.variant != "original"]
    rows.sort(key=lambda row: list(VARIANTS).index(row.variant))  # type: ignore[arg-type]  # one of them
    return {f"{row.variant}, {markdown(row.engine)}": show(row) for row in rows}


def _table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """Return a Markdown table; a row that one of the columns lacks has a dash there."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = [["", *map(markdown, columns)], ["---"] * (len(columns) + 1)]
    lines += [[name, *(column.get(name, ABSENT) for column in columns.values())] for name in names]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if names else ""
