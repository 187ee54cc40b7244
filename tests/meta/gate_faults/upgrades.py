"""Two runs, of which the newer is worse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np

from vitgate.compare.acceptance import Acceptance
from vitgate.compare.latency_statistics import Paired
from vitgate.compare.verdict import Verdict
from vitgate.inputs.field_files import committed, FieldItem, seen
from vitgate.observe.observer import Observation, Observer, P
from vitgate.records.record import Record
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.spec.cells import CellId
from vitgate.spec.outcome import Evidence, NO_TOOLS, Outcome

from ..conformance_tests import claim_tests, judge
from .records import CELL, release

OLD, NEW = "2.12.1", "2.13.0"


@dataclass
class Upgrade:
    """Two equal runs of made-up releases, OLD's files under NEW, latencies, and acceptances: all a verdict is made of.

    The crossing is the real claim about a committed file; `crossed` changes what NEW observes of it.
    """

    old: Record = field(default_factory=lambda: release(OLD))
    new: Record = field(default_factory=lambda: _as(release(OLD), NEW))
    crossed: Callable[[Evidence], Evidence | None] = field(default=lambda found: found)
    latency: list[Paired] = field(default_factory=list)
    accepted: list[Acceptance] = field(default_factory=list)

    def change(self, name: str, *, both: bool = False, **fields: Any) -> None:
        """Change the row of that name in the newer run, or in both."""
        for side in ("old", "new") if both else ("new",):
            record = getattr(self, side)
            rows = tuple(row.model_copy(update=fields) if row.name == name else row for row in record.claims)
            assert rows != record.claims, f"nothing to change in {name}"
            setattr(self, side, record.model_copy(update={"claims": rows}))

    def drop(self, side: str, name: str) -> None:
        """Take the row out of the `old` or the `new` run."""
        record = getattr(self, side)
        rows = tuple(row for row in record.claims if row.name != name)
        assert len(rows) == len(record.claims) - 1
        setattr(self, side, record.model_copy(update={"claims": rows}))

    def number(self, name: str, statistic: str, change: Callable[[float], float]) -> None:
        """Change one number of the newer run."""
        (row,) = [row for row in self.new.claims if row.name == name]
        self.change(name, findings=tuple(_changed(each, statistic, change) for each in row.findings))

    def accept(self, name: str, expires: dt.date | None = None) -> None:
        """Accept that."""
        self.accepted.append(Acceptance(name, "accepted.toml:1", "known", "somebody", expires))

    def with_crossing(self) -> Record:
        """Return the newer run with the row of the file that it was given, if it ran it."""
        outputs = _maker_saw(crossing_file())
        found = self.crossed(outputs)
        rows = () if found is None else (_crossing_row(found),)
        return self.new.model_copy(update={"claims": (*self.new.claims, *rows)})


def _as(record: Record, torch: str) -> Record:
    return record.model_copy(update={"environment": record.environment.model_copy(update={"torch": torch})})


def _changed(row: FindingRow, statistic: str, change: Callable[[float], float]) -> FindingRow:
    if row.statistic != statistic or row.value is None:
        return row
    return row.model_copy(update={"value": change(row.value)})


CROSSED = CellId("digits", "fbgemm", "lite_frozen")
CROSSING = f"artifacts[{CROSSED}, {OLD} on {NEW}]"


@cache
def crossing_file() -> FieldItem:
    """Return the committed file of OLD that NEW is given."""
    return next(item for item in committed() if item.maker == OLD and item.cell == CROSSED)


def _maker_saw(item: FieldItem) -> Evidence:
    logits = seen(item).logits
    assert logits is not None
    return Evidence(arrays={"logits": logits.copy(), "again": logits[:1].copy()})


class _Ran(Observer):
    """An observer that has observed one file."""

    def __init__(self, found: Evidence) -> None:
        self._found = found

    def get(self, what: Observation[P], *arguments: P.args, **named: P.kwargs) -> Evidence:
        return self._found


def _crossing_row(found: Evidence) -> ClaimRow:
    test = next(test for test in claim_tests() if test.claim.id == "artifacts")
    return judge(test, crossing_file().row.id, CROSSED, _Ran(found))


@dataclass(frozen=True)
class Worse:
    """`reds` are the rows that must turn red, and no others; `says` stands in the answer or in a cause."""

    id: str
    what: str
    inject: Callable[[Upgrade], None]
    reds: tuple[str, ...]
    says: str
    status: int


WORSE: list[Worse] = []


def worse(*reds: str, says: str = "", status: int = 1) -> Callable[[Any], Any]:
    """Add the decorated function to the catalogue."""

    def add(inject: Callable[[Upgrade], None]) -> Callable[[Upgrade], None]:
        WORSE.append(Worse(inject.__name__, (inject.__doc__ or "").strip(), inject, reds, says, status))
        return inject

    return add


FAILED: dict[str, Any] = {"status": "failed", "outcome": "failed", "message": "not as it was"}
DECLARED: dict[str, Any] = {"status": "declared", "outcome": "failed", "deviation": "lite-stored-twice"}
LABEL = f"label[{CELL}]"
SIZE = f"size[{CELL}]"
TWICE = "size[deit_base-fbgemm-lite_frozen]"  # declared on either side
LOGITS = f"logits_original[{CELL}]"
LITE = "digits-qnnpack-lite_frozen"
YESTERDAY = dt.date(2026, 11, 30)
TODAY = YESTERDAY + dt.timedelta(days=1)


@worse(LABEL, says="not as it was")
def a_claim_fails(upgrade: Upgrade) -> None:
    """A label is wrong under NEW."""
    upgrade.change(LABEL, **FAILED)


@worse("build[digits-x86-scripted]", says="failed at script")
def a_build_stops(upgrade: Upgrade) -> None:
    """A stage raises under NEW."""
    upgrade.change(
        "build[digits-x86-scripted]", **{**FAILED, "outcome": "failed at", "at": "script", "error": "RuntimeError"}
    )


@worse(LABEL, says="it failed before too, which excuses nothing")
def a_claim_fails_in_both(upgrade: Upgrade) -> None:
    """The baseline certifies a broken model."""
    upgrade.change(LABEL, both=True, **FAILED)


@worse(LABEL, says="lite-stored-twice")
def a_deviation_is_declared_for_the_newer_alone(upgrade: Upgrade) -> None:
    """What is known of NEW did not ail OLD."""
    upgrade.change(LABEL, **DECLARED)


@worse(LABEL, says="lite-stored-twice")
def a_declared_failure_was_not_checked_before(upgrade: Upgrade) -> None:
    """OLD has no row that says that it ailed as well."""
    upgrade.change(LABEL, **DECLARED)
    upgrade.drop("old", LABEL)


@worse(LABEL, says="what is not checked says nothing")
def a_claim_is_not_checked(upgrade: Upgrade) -> None:
    """NEW has no row."""
    upgrade.drop("new", LABEL)


@worse(says="no claim could be compared")
def nothing_is_compared(upgrade: Upgrade) -> None:
    """Two records without a row."""
    upgrade.old, upgrade.new = (record.model_copy(update={"claims": ()}) for record in (upgrade.old, upgrade.new))
    upgrade.crossed = lambda found: found


@worse(LABEL, says="no engine x86")
def an_engine_is_gone(upgrade: Upgrade) -> None:
    """NEW's build lacks it."""
    upgrade.change(LABEL, status="unsupported", outcome="unsupported")


@worse(LABEL, says="what is not checked says nothing: no ninja")
def a_tool_is_gone(upgrade: Upgrade) -> None:
    """On NEW's side nothing can be compiled, so that a claim is not checked there that held before."""
    upgrade.change(LABEL, status="unsupported", outcome="unsupported", error=NO_TOOLS, message="no ninja")


@worse(LABEL, says="environment stood in the way", status=6)
def the_environment_stood_in_the_way(upgrade: Upgrade) -> None:
    """A disk was full, and somebody accepts that."""
    upgrade.change(LABEL, status="environment error", outcome="environment error", message="no room")
    upgrade.accept(LABEL)


@worse(LABEL, says="expired on 2026-11-30")
def an_acceptance_has_expired(upgrade: Upgrade) -> None:
    """It was good until yesterday."""
    upgrade.change(LABEL, **DECLARED)
    upgrade.accept("lite-stored-twice", YESTERDAY)


@worse(says="covers nothing")
def an_acceptance_is_not_used(upgrade: Upgrade) -> None:
    """Nothing breaks that it could cover."""
    upgrade.accept("xnnpack-gone")


@worse(LABEL, says="acceptance of xnnpack-gone covers nothing")
def an_acceptance_is_of_another_cause(upgrade: Upgrade) -> None:
    """Another deviation is accepted than the one that shows."""
    upgrade.change(LABEL, **DECLARED)
    upgrade.accept("xnnpack-gone")


@worse(LABEL, says="acceptance of label covers nothing")
def an_acceptance_is_of_a_whole_claim(upgrade: Upgrade) -> None:
    """What nobody declared is accepted row by row."""
    upgrade.change(LABEL, **FAILED)
    upgrade.accept("label")


@worse(f"label[{LITE}]", says="not as it was")
def an_acceptance_is_of_another_row(upgrade: Upgrade) -> None:
    """One row is accepted, and another breaks in the same way."""
    upgrade.change(LABEL, **FAILED)
    upgrade.change(f"label[{LITE}]", **FAILED)
    upgrade.accept(LABEL)


@worse("calls[argmax]")
def a_call_changes(upgrade: Upgrade) -> None:
    """A call of the tutorial no longer binds, undeclared."""
    upgrade.change("calls[argmax]", **FAILED, error="TypeError")


@worse("warnings[argmax]")
def a_warning_is_new(upgrade: Upgrade) -> None:
    """A call warns, undeclared."""
    upgrade.change("warnings[argmax]", **{**FAILED, "message": "argmax: new FutureWarning: it goes"})


@worse(f"lite_operators[{LITE}]")
def an_operator_is_added(upgrade: Upgrade) -> None:
    """A lite file needs what runtimes in the field lack."""
    upgrade.change(f"lite_operators[{LITE}]", **{**FAILED, "message": "not in the allowed list: aten::new"})


@worse(f"lite_bytecode[{LITE}]", says="bytecode_change against old: 1")
def the_bytecode_is_raised(upgrade: Upgrade) -> None:
    """A lite file is of version 9, which is allowed, and was of version 8."""
    upgrade.number(f"lite_bytecode[{LITE}]", "bytecode_version", lambda version: version + 1)


def _grown(name: str, factor: float, upgrade: Upgrade) -> None:
    upgrade.number(name, "size", lambda size: size * factor)


for _percent in (5, 20, 100):
    _factor = 1.0 + _percent / 100.0
    _says = f"growth against old: {_factor:g}"
    _inject = partial(_grown, SIZE, _factor)
    WORSE.append(Worse(f"a_file_grows_by_{_percent}_percent", "Between the releases.", _inject, (SIZE,), _says, 1))


@worse(TWICE, says="growth against old: 1.2")
def a_file_that_is_declared_too_large_grows(upgrade: Upgrade) -> None:
    """It is stored twice on either side, and somebody accepts that: the growth is another thing."""
    _grown(TWICE, 1.2, upgrade)
    upgrade.change(LABEL, **DECLARED)
    upgrade.accept("lite-stored-twice")


@worse(LOGITS, says="sqnr_change against old: -3 dB")
def the_error_grows_by_3_db(upgrade: Upgrade) -> None:
    """From the one end of what each may be to the other."""
    upgrade.number(LOGITS, "sqnr_change", lambda decibels: decibels - 3.0)


@worse(CROSSING, says="unknown operator")
def a_crossing_does_not_load(upgrade: Upgrade) -> None:
    """NEW refuses OLD's file."""
    outcome = Outcome("failed at", "load", "RuntimeError", "unknown operator")
    upgrade.crossed = lambda found: Evidence(outcome=outcome)


@worse(CROSSING, says="distance against maker")
def a_crossing_gives_other_logits(upgrade: Upgrade) -> None:
    """NEW runs OLD's file with noise at 15 dB, and the same labels."""
    upgrade.crossed = lambda found: _outputs(found.arrays["logits"] * np.float32(1.18))


@worse(CROSSING, says="same_labels against maker")
def a_label_changes_in_the_crossing_alone(upgrade: Upgrade) -> None:
    """NEW's own file is right, OLD's under NEW is wrong about one picture, by a hair."""

    def tip(found: Evidence) -> Evidence:
        logits = found.arrays["logits"].copy()
        gaps = np.sort(logits, axis=1)[:, -1] - np.sort(logits, axis=1)[:, -2]
        picture = int(gaps.argmin())
        first, second = np.argsort(logits[picture])[::-1][:2]
        logits[picture, [first, second]] = logits[picture, [second, first]]
        return _outputs(logits)

    upgrade.crossed = tip


@worse(CROSSING, says="difference_on_repeat")
def a_crossing_is_not_repeatable(upgrade: Upgrade) -> None:
    """OLD's file gives other logits the second time."""
    upgrade.crossed = lambda found: replace(found, arrays={**found.arrays, "again": found.arrays["again"] + 1e-3})


@worse(CROSSING, says="given, and never run")
def a_crossing_is_not_run(upgrade: Upgrade) -> None:
    """NEW was given OLD's file, and its record has no row of it."""
    upgrade.crossed = lambda found: None


def _outputs(logits: Any) -> Evidence:
    return Evidence(arrays={"logits": logits, "again": logits[:1].copy()})


def red(verdict: Verdict) -> set[str]:
    """Return the names of everything that stands in the way."""
    return {item.name for item in (*verdict.rows, *verdict.matrix, *verdict.latency) if item.red}
