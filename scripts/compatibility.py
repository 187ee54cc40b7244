"""Print the compatibility page, `docs/compatibility.md`, from the records of real runs.

python scripts/compatibility.py fixtures/records/*.json > docs/compatibility.md
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from packaging.version import Version

from vitgate.cases import read_cases
from vitgate.judge.claims import read_claims
from vitgate.judge.deviations import read_deviations
from vitgate.judge.record import CellRow, read_record, Record
from vitgate.report.answer import answer
from vitgate.variants import VARIANTS

_HEAD = """# What the suite says of each release

Made by `scripts/compatibility.py` from the records in `fixtures/records/`; each is one run of the whole conformance
suite on one machine ({cpu}, {cores} cores, {platform}), with the stand-in weights for DeiT-Base.
"""


def main(paths: list[str]) -> None:
    """Read the records, oldest release first, and print the page."""
    records = sorted((read_record(Path(path)) for path in paths), key=lambda record: Version(record.environment.torch))
    machine = records[-1].environment
    print(_HEAD.format(cpu=machine.cpu, cores=machine.cores, platform=machine.platform.split("-with")[0]))
    print("## The answer\n")
    for record in records:
        print(f"- {answer(record)}")
    print("\n## Claims\n\nHow many tests of each claim passed; in brackets how many deviated exactly as declared.\n")
    print(_markdown(pd.DataFrame({_name(record): _claims(record) for record in records})))
    print("\n## Declared deviations that were met\n")
    print(_markdown(pd.DataFrame({_name(record): _deviations(record) for record in records})))
    for case in read_cases():
        _print_case(case, records)


def _print_case(case: str, records: list[Record]) -> None:
    print(f"\n## {case}\n")
    units = {"size, MB": _size, "latency, × original": _ratio, "SQNR against the original, dB": _sqnr}
    for title, show in units.items():
        rows = {_name(record): _cells(record, case, show) for record in records}
        print(f"### {title}\n\n{_markdown(pd.DataFrame(rows))}\n")


def _name(record: Record) -> str:
    return record.environment.torch.partition("+")[0]


def _claims(record: Record) -> dict[str, str]:
    counts = {claim: Counter(row.status for row in record.claims if row.claim == claim) for claim in read_claims()}
    return {claim: _count(count) for claim, count in counts.items()}


def _count(count: Counter[str]) -> str:
    failed = f", **{count['failed']} failed**" if count["failed"] else ""
    return f"{count['passed']}" + (f" ({count['declared']})" if count["declared"] else "") + failed


def _deviations(record: Record) -> dict[str, int]:
    met = Counter(row.deviation for row in record.claims if row.status == "declared")
    return {row.id: met[row.id] for row in read_deviations().rows}


def _cells(record: Record, case: str, show: Callable[[CellRow], str]) -> dict[str, str]:
    rows = [row for row in record.cells if row.case == case and row.variant != "original"]
    rows.sort(key=lambda row: list(VARIANTS).index(row.variant))  # type: ignore[arg-type]  # one of them
    return {f"{row.variant}, {row.engine}": show(row) for row in rows}


def _size(row: CellRow) -> str:
    return "-" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f}"


def _ratio(row: CellRow) -> str:
    return "-" if row.latency_ratio is None else f"{row.latency_ratio:.2f}"


def _sqnr(row: CellRow) -> str:
    return "-" if row.sqnr_db is None else f"{row.sqnr_db:.1f}"


def _markdown(frame: pd.DataFrame) -> str:
    lines = [["", *map(str, frame.columns)], ["---"] * (len(frame.columns) + 1)]
    lines += [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
