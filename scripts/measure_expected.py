"""Print what the claims that are held against computed numbers came to, over records: least, most, and which cell's.

    python scripts/measure_expected.py vitgate-record.json other.json
    python scripts/measure_expected.py --table vitgate-record.json other.json    (the table of docs/expected.md)

`fixtures/tolerances/layers.toml`, `kernels.toml` and the computed rows of `logits_original.toml` quote it.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from vitgate.files.errors import status_of
from vitgate.records.record import read_record
from vitgate.spec.versions import age, public

COMPUTED = ("expected", "float64")


def table(paths: list[Path]) -> None:
    """Print a row for each case and engine of the tutorial's int8 file: expected, measured, and the worst layer."""
    print("| torch | case | engine | expected, dB | measured, dB | worst layer, dB |\n|---|---|---|---|---|---|")
    records = sorted(map(read_record, paths), key=lambda record: age(record.environment.torch))
    for record in records:
        numbers: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in record.claims:
            if row.variant == "scripted_quantized" and row.claim in ("logits_original", "layers"):
                own = {each.statistic: each.value for each in row.findings if each.value is not None}
                numbers[row.case, row.engine] |= own
        for (case, engine), own in numbers.items():
            if own:  # an engine that cannot quantize here has none
                figures = (
                    f"{own[name]:.1f}" if name in own else "-" for name in ("expected_sqnr", "sqnr", "int8_layer")
                )
                print(f"| {public(record.environment.torch)} | {case} | {engine} | {' | '.join(figures)} |")


def extremes(paths: list[Path]) -> None:
    """Print a line for each claim and statistic."""
    found: dict[tuple[str, str], list[tuple[float, str, str]]] = defaultdict(list)
    for path in paths:
        record = read_record(path)
        for row in record.claims:
            for each in row.findings:
                if each.against in COMPUTED and each.value is not None:
                    where = f"{row.subject} on torch {record.environment.torch}"
                    found[row.claim, each.statistic].append((each.value, where, each.note))
    for (claim, statistic), values in sorted(found.items()):
        print(f"{claim} {statistic}: {len(values)} values")
        for word, (value, where, note) in (("least", min(values)), ("most", max(values))):
            print(f"  {word} {value:.2f}: {where} ({note})")


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description="print what numbers came to that are held against computed ones")
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--table", action="store_true", help="the table of docs/expected.md")
    options = parser.parse_args()
    (table if options.table else extremes)(options.records)


if __name__ == "__main__":
    sys.exit(status_of(main))
