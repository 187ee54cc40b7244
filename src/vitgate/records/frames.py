"""Records as pandas DataFrames, for notebooks and for the benchmark table. pandas is imported when one is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TYPE_CHECKING

from vitgate.judge.table import EMPTY, Table
from vitgate.records.record import read_record
from vitgate.records.rows import CellRow

if TYPE_CHECKING:
    from pandas import DataFrame

_EXPECTED = "expected_sqnr_db"
_FORMS = {
    "size_mb": "{:.3f}",
    "size_reduction": "{:.1%}",
    "latency_ms": "{:.2f}",
    "latency_ratio": "{:.3f}",
    "label": "{:.0f}",
    "sqnr_db": "{:.1f}",
}


def to_frame(path: str | Path) -> DataFrame:
    """Return the rows of a record's claims as a DataFrame, one row a claim, indexed by its name, `claim[subject]`.

    Columns: `torch` (the PyTorch of the run), `claim`, `subject`, `case`, `engine`, `variant`, `status`, `outcome`,
    `error`, `deviation`, `message`, and of the first number that was judged `statistic`, `value`, `unit`, `lower`,
    `upper` (NaN where there is none).

    Raises:
        UsageError: The file is not a record.
    """
    import pandas as pd

    record = read_record(Path(path))
    rows = []
    for row in record.claims:
        numbers = next((vars(finding) for finding in row.findings if finding.judged), {})
        fields = {**{name: getattr(row, name) for name in _CLAIM}, "outcome": row.outcome_text}
        rows.append({**fields, **{name: numbers.get(name) for name in _NUMBER}})
    frame = pd.DataFrame(
        rows, columns=[*_CLAIM, *_NUMBER], index=pd.Index([row.name for row in record.claims], name="row")
    )
    frame.insert(0, "torch", record.environment.torch)
    return frame.astype(dict.fromkeys(("value", "lower", "upper"), float))


_CLAIM = ("claim", "subject", "case", "engine", "variant", "status", "outcome", "error", "deviation", "message")
_NUMBER = ("statistic", "value", "unit", "lower", "upper")


def benchmark_frame(cells: Sequence[CellRow]) -> DataFrame:
    """Return the tutorial's table of one case and engine, one row a variant, NaN where nothing was measured.

    Columns: `size_mb` (10^6 bytes), `size_reduction` (of 1, against the scripted file), `latency_ms` (CPU time of a
    call), `latency_ratio` (to the original's), `label`, `sqnr_db` (dB against the original), `expected_sqnr_db` (what
    the variant's arithmetic should make it) and `outcome`.
    """
    import pandas as pd

    frame = pd.DataFrame([{**row.model_dump(), "outcome": row.outcome_text} for row in cells]).set_index("variant")
    size = frame["size_bytes"].astype(float)
    scripted = size.get("scripted", math.nan)
    frame = frame.assign(size_mb=size / 1e6, size_reduction=1 - size / scripted)
    numbers = dict.fromkeys([*_FORMS, _EXPECTED], float)
    return frame[[*_FORMS, _EXPECTED, "outcome"]].astype(numbers)


def _with_expected(line: Any) -> dict[str, str]:
    """Return the SQNR as `27.2 of 27.4` where it is known what it should be."""
    own, should = line["sqnr_db"], line[_EXPECTED]
    return {"sqnr_db": f"{own:.1f} of {should:.1f}"} if own == own and should == should else {}


def table_of(cells: Sequence[CellRow], about: Mapping[str, str], outcomes: Mapping[Any, str] | None = None) -> Table:
    """Return the table of one case and engine as text: what is accepted, and compared with the accepted one.

    Args:
        cells: Its rows, one a variant.
        about: Where it was measured, for the head of the table.
        outcomes: What stands in the last column, by variant, in the place of the rows' outcomes.
    """
    frame = benchmark_frame(cells)
    lines = {
        str(variant): {
            "variant": str(variant),
            **{name: EMPTY if line[name] != line[name] else form.format(line[name]) for name, form in _FORMS.items()},
            "outcome": (outcomes or {}).get(str(variant), str(line["outcome"])),
        }
        | _with_expected(line)
        for variant, line in frame.iterrows()
    }
    return Table(about, lines)
