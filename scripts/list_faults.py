"""Print the page of injected faults, `docs/faults.md`, from the catalogues of tests/meta.

python scripts/list_faults.py > docs/faults.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

HEAD = """# Injected faults

Each line is something that went wrong somewhere, or could. `pytest tests/meta` injects them one by one and requires
that what is named here turns red, and nothing unrelated. This page is made by `python scripts/list_faults.py`.
"""

Rows = list[tuple[str, str]]


def page() -> str:
    """Return the page."""
    chapters = {"The pipeline": pipeline(), **bookkeeping()}
    total = sum(len(rows) for rows in chapters.values())
    counts = ", ".join(f"{title.lower()} {len(rows)}" for title, rows in chapters.items())
    lines = [HEAD, f"{total} faults: {counts}."]
    for title, rows in chapters.items():
        lines += ["", f"## {title}", "", "| fault | turns red |", "|---|---|"]
        lines += [f"| {_cell(what)} | {_cell(red)} |" for what, red in rows]
    return "\n".join(lines) + "\n"


def pipeline() -> Rows:
    """Return the faults of building, running and judging models."""
    from tests.meta.faults import catalogue

    return [(fault.what, _reds(fault.reds)) for fault in catalogue()]


def bookkeeping() -> Mapping[str, Rows]:
    """Return the faults of records, of upgrades and of the suite itself."""
    from tests.meta.gate_faults import lost as tests
    from tests.meta.gate_faults import parts as merges
    from tests.meta.gate_faults import records, slowdowns, upgrades

    merged = {True: "the merge is refused", False: "the run is incomplete"}
    state = {True: "failed", False: "missing"}
    return {
        "Edited records": [(edit.what, _names(edit.red) or "the record is refused") for edit in records.EDITS],
        "Parts of a run": [(parts.what, merged[parts.refused]) for parts in merges.PARTS],
        "Upgrades": [(worse.what, _names(worse.reds) or "the answer") for worse in upgrades.WORSE],
        "Slowdowns": [(title, "latency") for title in slowdowns.SLOWDOWNS],
        "Lost tests": [(_words(lost.id), f"{lost.claim}, {state[lost.failed]}") for lost in tests.LOST],
    }


def _reds(reds: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{claim} ({', '.join(subjects)})" for claim, subjects in reds.items()) or "nothing: it is mended"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _cell(text: str) -> str:
    return (
        " ".join(text.split())
        .replace("|", "\\|")
        .replace("{case}-{engine}", "the benchmark table")
        .replace("{case}", "a user's case")
    )


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    print(page(), end="")
