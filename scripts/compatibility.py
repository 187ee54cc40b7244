"""Print the compatibility page, `docs/compatibility.md`, from the records of real runs.

python scripts/compatibility.py fixtures/records/*.json > docs/compatibility.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.version import Version

from vitgate.judge.record import read_record
from vitgate.report.compatibility import page

_MAKER = "`scripts/compatibility.py` from the records in `fixtures/records/`"


def main(paths: list[str]) -> None:
    """Read the records, oldest release first, and print the page."""
    records = sorted((read_record(Path(path)) for path in paths), key=lambda record: Version(record.environment.torch))
    print(page({record.environment.torch.partition("+")[0]: record for record in records}, maker=_MAKER), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
