"""Write the JSON schema of a record to `docs/record.schema.json`.

    python scripts/export_schema.py

A test holds the file against the code; after a change that older readers cannot take, raise `SCHEMA` in
`vitgate.records.record` too.
"""

import json
from pathlib import Path

from vitgate.records.record import json_schema

TARGET = Path(__file__).parents[1] / "docs" / "record.schema.json"


def main() -> None:
    """Write the file."""
    TARGET.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
