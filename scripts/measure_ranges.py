"""Print the range of every judged number over some records: what `fixtures/tolerances/` is written from.

    python scripts/measure_ranges.py RECORD.json [RECORD.json ...]

One line a claim, statistic, case, engine and variant: smallest and largest value, and under how many releases.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from vitgate.files.errors import status_of
from vitgate.records.record import read_record

Key = tuple[str, str, str, str, str, str]


def main() -> None:
    """Collect the findings of all records and print them sorted."""
    parser = argparse.ArgumentParser(description="print the range of every judged number over some records")
    parser.add_argument("records", nargs="+", type=Path)
    values: dict[Key, list[float]] = defaultdict(list)
    for path in parser.parse_args().records:
        for row in read_record(path).claims:
            for found in row.findings:
                if found.value is not None:
                    key = (
                        row.claim,
                        f"{found.statistic} [{found.unit}]",
                        found.against,
                        row.case,
                        row.engine,
                        row.variant,
                    )
                    values[key].append(found.value)
    for key, found_values in sorted(values.items()):
        low, high = min(found_values), max(found_values)
        print(f"{' '.join(part or '-' for part in key):100} {low:14.6g} {high:14.6g}  n={len(found_values)}")


if __name__ == "__main__":
    sys.exit(status_of(main))
