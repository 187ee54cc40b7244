"""Print what the claims that are held against computed numbers came to, over records: least, most, and which cell's.

    python scripts/measure_expected.py vitgate-record.json other.json

`fixtures/tolerances/layers.toml`, `kernels.toml` and the computed rows of `logits_original.toml` quote it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from vitgate.records.record import read_record

COMPUTED = ("expected", "float64")


def main(paths: list[str]) -> None:
    """Print a line for each claim and statistic."""
    found: dict[tuple[str, str], list[tuple[float, str, str]]] = defaultdict(list)
    for path in paths:
        record = read_record(Path(path))
        for row in record.claims:
            for each in row.findings:
                if each.against in COMPUTED and each.value is not None:
                    where = f"{row.subject} on torch {record.environment.torch}"
                    found[row.claim, each.statistic].append((each.value, where, each.note))
    for (claim, statistic), values in sorted(found.items()):
        print(f"{claim} {statistic}: {len(values)} values")
        for word, (value, where, note) in (("least", min(values)), ("most", max(values))):
            print(f"  {word} {value:.2f}: {where} ({note})")


if __name__ == "__main__":
    main(sys.argv[1:])
