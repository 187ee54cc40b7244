"""The faults that the gate and the suite's own bookkeeping must find: none of them is in a model.

Four catalogues, each of small functions under a decorator that says what must turn red: records that were edited or
written wrongly (`edit`), parts of one run that do not go together (`part`), two runs of which the newer is worse
(`worse`), and conformance tests that no longer check what they say (`lost`). Slowdowns are in `SLOWDOWNS`.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np

from vitgate.cases import Cell
from vitgate.data import fixtures_folder
from vitgate.evidence import Evidence
from vitgate.field import committed, FieldItem, seen
from vitgate.judge.acceptance import Acceptance
from vitgate.judge.claims import read_claims
from vitgate.judge.pairs import judged, more_needed, pair_ratio, Paired, PairRatio, Timed
from vitgate.judge.record import ClaimRow, FindingRow, read_record, Record, seal_of
from vitgate.outcome import Outcome
from vitgate.workbench import Observations

from .harness import claim_tests, judge

OLD, NEW = "2.12.1", "2.13.0"
Data = dict[str, Any]


@cache
def release(version: str) -> Record:
    """Return the committed record of a release."""
    return read_record(fixtures_folder() / "records" / f"{version}.json")


# Records that were edited


@dataclass(frozen=True)
class Edit:
    """A change of a record's plain values. `says` are words of the one line that refuses it.

    `sealed` is for what a program wrote wrongly: the seal fits. It is refused then, or rows are `red` in the verdict.
    """

    id: str
    what: str
    change: Callable[[Data], None]
    says: tuple[str, ...]
    sealed: bool
    red: tuple[str, ...]

    def text(self, record: Record) -> str:
        """Return the edited file."""
        data = json.loads(record.model_dump_json())
        data["seal"] = seal_of(data)
        self.change(data)
        if self.sealed:
            data["seal"] = seal_of(data)
        return json.dumps(data)


EDITS: list[Edit] = []


def edit(*says: str, sealed: bool = False, red: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Add the decorated function to the catalogue."""

    def add(change: Callable[[Data], None]) -> Callable[[Data], None]:
        EDITS.append(Edit(change.__name__, (change.__doc__ or "").strip(), change, says, sealed, red))
        return change

    return add


def _row(data: Data, name: str) -> Data:
    return next(row for row in data["claims"] if f"{row['claim']}[{row['subject']}]" == name)


def _number(data: Data, name: str, statistic: str) -> Data:
    return next(each for each in _row(data, name)["findings"] if each["statistic"] == statistic)


def _line(data: Data, name: str) -> Data:
    return next(row for row in data["cells"] if f"{row['case']}-{row['engine']}-{row['variant']}" == name)


CELL = "digits-x86-scripted_quantized"
SEAL = "its seal is not of what it holds"
BY_HAND = "as if edited by hand"


@edit(SEAL)
def a_row_is_dropped(data: Data) -> None:
    """A claim that passed is taken out."""
    data["claims"].remove(_row(data, f"repeatable[{CELL}]"))


@edit(sealed=True, red=(f"repeatable[{CELL}]",))
def a_row_was_never_written(data: Data) -> None:
    """A complete record lacks a row."""
    data["claims"].remove(_row(data, f"repeatable[{CELL}]"))


@edit(SEAL)
def a_unit_is_changed(data: Data) -> None:
    """A margin in logits becomes one in per cent."""
    _number(data, f"label[{CELL}]", "smallest_margin")["unit"] = "%"


@edit("different bounds", f"weights[{CELL}] weights.error", sealed=True)
def a_judged_unit_is_another(data: Data) -> None:
    """One release counts in steps, the other in halves of them."""
    _number(data, f"weights[{CELL}]", "error")["unit"] = "half steps"


@edit(BY_HAND, f"logits_original[{CELL}]", "sqnr is out of its bounds", sealed=True)
def a_number_no_longer_fits_its_outcome(data: Data) -> None:
    """The error is 10 dB, and the claim has passed."""
    _number(data, f"logits_original[{CELL}]", "sqnr")["value"] = 10.0


@edit(SEAL)
def a_number_is_edited_within_its_bounds(data: Data) -> None:
    """A margin that is only shown is made larger."""
    _number(data, f"label[{CELL}]", "smallest_margin")["value"] += 1.0


@edit(BY_HAND, CELL, "sqnr_db", "logits_original judged", sealed=True)
def a_number_is_edited_in_one_of_two_places(data: Data) -> None:
    """The table shows another error than was judged."""
    _line(data, CELL)["sqnr_db"] += 1.0


@edit(BY_HAND, f"label[{CELL}]", "right_labels is out of its bounds", sealed=True)
def a_number_is_made_none(data: Data) -> None:
    """NaN stands where a number passed."""
    _number(data, f"label[{CELL}]", "right_labels")["value"] = None


@edit(SEAL)
def a_tolerance_is_edited(data: Data) -> None:
    """The bound of a number that passed is made wider."""
    _number(data, f"weights[{CELL}]", "error")["upper"] = 5.0


@edit("different bounds", f"label[{CELL}] label.right", "0.5 to inf", sealed=True)
def a_tolerance_was_loosened(data: Data) -> None:
    """One release was judged by a bound that admits half the labels."""
    _number(data, f"label[{CELL}]", "right_labels")["lower"] = 0.5


@edit(BY_HAND, f"label[{CELL}]", "bounds for right_labels, which is not judged", sealed=True)
def a_number_is_no_longer_judged(data: Data) -> None:
    """A number with bounds is only shown."""
    _number(data, f"label[{CELL}]", "right_labels")["judged"] = False


@edit(BY_HAND, CELL, "size_bytes 1000", sealed=True)
def a_size_is_edited_in_the_table(data: Data) -> None:
    """The table shows a smaller file than was judged."""
    _line(data, CELL)["size_bytes"] = 1000


@edit(SEAL)
def a_size_is_edited_everywhere(data: Data) -> None:
    """A file is made smaller by a byte wherever its size stands."""
    _line(data, CELL)["size_bytes"] -= 1
    _number(data, f"size[{CELL}]", "size")["value"] -= 1.0


@edit(SEAL)
def a_digest_is_edited(data: Data) -> None:
    """The digest is another file's."""
    _line(data, CELL)["digest_blake2b"] = _line(data, "digits-x86-scripted")["digest_blake2b"]


@edit(SEAL)
def a_line_of_the_table_is_dropped(data: Data) -> None:
    """One cell has claims, and no line."""
    data["cells"].remove(_line(data, CELL))


@edit(BY_HAND, "size[digits-x86-lite_frozen]", "is out of its bounds", sealed=True)
def an_outcome_is_flipped_to_passed(data: Data) -> None:
    """A declared failure passes, and its numbers say otherwise."""
    row = _row(data, "size[digits-x86-lite_frozen]")
    row.update(status="passed", outcome="passed", deviation="")


@edit(BY_HAND, "size[digits-x86-lite_frozen]", "do not go together", sealed=True)
def a_status_is_flipped_to_passed(data: Data) -> None:
    """The status alone is made to pass."""
    _row(data, "size[digits-x86-lite_frozen]")["status"] = "passed"


@edit(BY_HAND, "digits-x86-lite_frozen", "but its claims came to", sealed=True)
def a_deviation_is_struck_from_the_table(data: Data) -> None:
    """The line of a cell no longer names the deviation."""
    _line(data, "digits-x86-lite_frozen")["deviation"] = ""


@edit("duplicate name", f"label[{CELL}]", sealed=True)
def a_row_stands_twice(data: Data) -> None:
    """A claim has two rows, of which one would hide the other."""
    data["claims"].append({**_row(data, f"label[{CELL}]"), "status": "failed", "outcome": "failed"})


@edit(BY_HAND, f"label[{CELL}]", "the cell digits-fbgemm-scripted_quantized", sealed=True)
def an_outcome_is_of_another_engine(data: Data) -> None:
    """A row under one engine's name is about another."""
    _row(data, f"label[{CELL}]")["engine"] = "fbgemm"


@edit(SEAL)
def numbers_are_of_another_engine(data: Data) -> None:
    """Two engines' numbers are exchanged."""
    names = (f"label[{CELL}]", "label[digits-qnnpack-scripted_quantized]")
    rows = [_row(data, name) for name in names]
    rows[0]["findings"], rows[1]["findings"] = rows[1]["findings"], rows[0]["findings"]


@edit(BY_HAND, "which the run was not about", sealed=True)
def a_row_is_of_another_case(data: Data) -> None:
    """The record says that it is about one case, and has rows of two."""
    data["cases"] = ["deit_base"]


@edit("different weights of digits", sealed=True)
def the_weights_are_others(data: Data) -> None:
    """One release ran a checkpoint of its own."""
    next(row for row in data["inputs"] if row["case"] == "digits")["weights_digest"] = "00" * 32


@edit("different pictures of digits", sealed=True)
def the_pictures_are_others(data: Data) -> None:
    """One release saw other pictures."""
    next(row for row in data["inputs"] if row["case"] == "digits")["pictures_sha256"] = "00" * 32


@edit("different versions of vitgate", "0.0.9", sealed=True)
def the_suite_is_another(data: Data) -> None:
    """One release was judged by an earlier suite."""
    data["vitgate"] = "0.0.9"


def _leave_out(data: Data, field_: str, part: str) -> None:
    data[f"{field_}s"].remove(part)
    for rows in ("cells", "claims", "inputs"):
        data[rows] = [row for row in data[rows] if row.get(field_) != part]


@edit("different cases", sealed=True)
def the_cases_are_others(data: Data) -> None:
    """One release did not run the large case."""
    _leave_out(data, "case", "deit_base")


@edit("different engines", sealed=True)
def the_engines_are_others(data: Data) -> None:
    """One release did not run qnnpack."""
    _leave_out(data, "engine", "qnnpack")


@edit(SEAL)
def the_version_is_another(data: Data) -> None:
    """A record of one release is passed off as another's."""
    data["environment"]["torch"] = "2.16.0"


@edit("schema 2 is newer than 1", sealed=True)
def the_schema_is_of_the_future(data: Data) -> None:
    """A newer vitgate wrote it."""
    data["schema_version"] = 2


@edit(BY_HAND, "it is complete, and claims are missing", sealed=True)
def it_is_complete_and_misses_claims(data: Data) -> None:
    """A narrowed run passes for a whole one."""
    data["missing"] = ["label[digits-x86-gone]"]


@edit(BY_HAND, "a row, and is named as missing", sealed=True)
def a_claim_is_there_and_missing(data: Data) -> None:
    """A claim is counted twice: as a row, and as none."""
    data.update(missing=[f"label[{CELL}]"], complete=False)


@edit(sealed=True, red=("label[digits-x86-gone]",))
def a_claim_is_named_as_missing(data: Data) -> None:
    """The run says itself that it did not check a claim."""
    data.update(missing=["label[digits-x86-gone]"], complete=False)


@edit(".status", sealed=True)
def a_claim_is_skipped(data: Data) -> None:
    """A status that no run writes."""
    _row(data, f"label[{CELL}]")["status"] = "skipped"


@edit(SEAL)
def the_seal_is_removed(data: Data) -> None:
    """Whoever edits takes the seal away."""
    del data["seal"]


# Parts of one run that do not go together


@dataclass(frozen=True)
class Parts:
    """The two parts of a run that was split up, as they are handed to `vitgate merge`; `says` are words that it says.

    A merge that is refused writes nothing; one that lacks something writes a record that says so.
    """

    id: str
    what: str
    change: Callable[[list[Record]], list[Record]]
    says: str
    refused: bool


PARTS: list[Parts] = []


def part(says: str, *, refused: bool = True) -> Callable[[Any], Any]:
    """Add the decorated function to the catalogue."""

    def add(change: Callable[[list[Record]], list[Record]]) -> Callable[[list[Record]], list[Record]]:
        PARTS.append(Parts(change.__name__, (change.__doc__ or "").strip(), change, says, refused))
        return change

    return add


def parts() -> list[Record]:
    """Return the record of a release as two shards: qnnpack, and the rest."""
    whole = release("2.15.0")

    def shard(number: int, own: Callable[[str], bool]) -> Record:
        rows = {name: tuple(row for row in getattr(whole, name) if own(row.engine)) for name in ("claims", "cells")}
        return whole.model_copy(update={**rows, "complete": False, "shard": f"{number}/2"})

    return [shard(1, lambda engine: engine == "qnnpack"), shard(2, lambda engine: engine != "qnnpack")]


@part("not complete of shards 1/2", refused=False)
def one_part_is_lost(both: list[Record]) -> list[Record]:
    """Only one of two machines delivered."""
    return both[:1]


@part("not complete", refused=False)
def one_part_lacks_a_row(both: list[Record]) -> list[Record]:
    """All parts are there, and one claim is in none."""
    return [both[0].model_copy(update={"claims": both[0].claims[1:], "cells": ()}), both[1]]


@part("different things of the row label[")
def two_parts_contradict_each_other(both: list[Record]) -> list[Record]:
    """Both ran a claim, and it came out otherwise."""
    row = next(row for row in both[0].claims if row.claim == "label" and row.status == "passed")
    other = row.model_copy(update={"message": "another run"})
    return [both[0], both[1].model_copy(update={"claims": (*both[1].claims, other)})]


@part("different environments (torch)")
def a_part_is_of_another_release(both: list[Record]) -> list[Record]:
    """One machine had another PyTorch."""
    environment = both[1].environment.model_copy(update={"torch": "2.14.1"})
    return [both[0], both[1].model_copy(update={"environment": environment})]


@part("different versions of vitgate")
def a_part_is_of_another_suite(both: list[Record]) -> list[Record]:
    """One machine had another suite."""
    return [both[0], both[1].model_copy(update={"vitgate": "0.0.9"})]


@part("different numbers of shards")
def a_part_is_of_another_split(both: list[Record]) -> list[Record]:
    """One machine ran a third."""
    return [both[0], both[1].model_copy(update={"shard": "2/3"})]


@part("different things of the inputs of deit_base")
def a_part_has_other_weights(both: list[Record]) -> list[Record]:
    """One machine had a checkpoint of its own."""
    inputs = [row.model_copy(update={"weights_digest": "00"}) for row in both[1].inputs]
    return [both[0], both[1].model_copy(update={"inputs": tuple(inputs)})]


# Two runs, of which the newer is worse


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


CROSSED = Cell("digits", "fbgemm", "lite_frozen")
CROSSING = f"artifacts[{CROSSED}, {OLD} on {NEW}]"


@cache
def crossing_file() -> FieldItem:
    """Return the committed file of OLD that NEW is given."""
    return next(item for item in committed() if item.maker == OLD and item.cell == CROSSED)


def _maker_saw(item: FieldItem) -> Evidence:
    logits = seen(item).logits
    assert logits is not None
    return Evidence(arrays={"logits": logits.copy(), "again": logits[:1].copy()})


class _Ran(Observations):
    """A bench that has observed one file."""

    def __init__(self, found: Evidence) -> None:
        self._found = found

    def field(self, claim: str, item: FieldItem) -> Evidence:
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


FAILED = {"status": "failed", "outcome": "failed", "message": "not as it was"}
DECLARED = {"status": "declared", "outcome": "failed", "deviation": "lite-stored-twice"}
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
    upgrade.change("build[digits-x86-scripted]", **{**FAILED, "outcome": "failed at script", "error": "RuntimeError"})


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
    """Within the bounds of each."""
    upgrade.number(LOGITS, "sqnr", lambda decibels: decibels - 3.0)


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


# Slowdowns


@dataclass(frozen=True)
class Machine:
    """What NEW takes, as factors of what OLD takes: CPU time, wall and process time per CPU time, loading, first calls.

    Every process has a constant of its own (SD 0.02), every call a noise, and one in ten a neighbour that disturbs it.
    """

    cpu: float = 1.0
    wall: float = 1.0
    process: float = 1.0
    load: float = 1.0
    first: float = 1.0

    def timed(self, rng: random.Random, calls: int = 16) -> Timed:
        """Make up one side of a pair."""
        base = 0.01 * self.cpu * math.exp(rng.gauss(0.0, 0.02 / math.sqrt(2)))
        thread = [base * _disturbed(rng) for _ in range(calls)]
        start = [math.exp(rng.gauss(0.0, 0.1)) for _ in range(5)]
        return Timed(
            tuple(thread),
            tuple(seconds * 1.01 * self.process for seconds in thread),
            tuple(seconds * 1.02 * self.wall * _disturbed(rng) for seconds in thread),
            load=(0.03 * self.load * start[0],),
            first=tuple(0.02 * self.first * each for each in start[1:]),
        )


def _disturbed(rng: random.Random) -> float:
    return (1.0 + rng.expovariate(100.0)) * (1.0 + rng.random() if rng.random() < 0.1 else 1.0)


SLOWDOWNS = {
    "8 % slower": Machine(cpu=1.08),
    "15 % slower": Machine(cpu=1.15),
    "twice as slow": Machine(cpu=2.0),
    "sleeping": Machine(wall=2.0),
    "one more thread": Machine(process=1.6),
    "slow in the first calls only": Machine(first=5.0),
    "slow in loading only": Machine(load=5.0),
}


def compared(new: Machine, rng: random.Random) -> Paired:
    """Take pairs of made-up processes until it is decided."""
    pairs: list[PairRatio] = []
    while more_needed(pairs):
        pairs.append(pair_ratio(Machine().timed(rng), new.timed(rng)))
    return judged(pairs)


# Conformance tests that no longer check what they say


@dataclass(frozen=True)
class Lost:
    """A change of the tests of one claim in a made-up suite: `text` is the file instead.

    `failed`: its rows must be there and have failed. Otherwise they must be missing.
    """

    id: str
    claim: str
    text: Callable[[str], str | None]
    failed: bool


LOST: list[Lost] = []


def lost(claim: str, *, failed: bool = False) -> Callable[[Any], Any]:
    """Add the decorated function, which gets the text of a sound test, to the catalogue."""

    def add(text: Callable[[str], str | None]) -> Callable[[str], str | None]:
        LOST.append(Lost(text.__name__, claim, text, failed))
        return text

    return add


def sound(claim: str) -> str:
    """Return a test without any work that carries the claim's marker."""
    subject = {"cell": "cell", "engine": "cell", "file": "item"}.get(read_claims()[claim].per, "")
    return f"import pytest\n\n@pytest.mark.claim({claim!r})\ndef test_{claim}({subject}):\n    pass\n"


def _marked(text: str, mark: str) -> str:
    return text.replace("@pytest.mark.claim", f"@pytest.mark.{mark}\n@pytest.mark.claim")


def _with_body(text: str, body: str) -> str:
    return text.replace("    pass", f"    {body}")


@lost("label", failed=True)
def skipped_by_a_mark(text: str) -> str:
    return _marked(text, "skip(reason='not today')")


@lost("build", failed=True)
def skipped_on_a_condition(text: str) -> str:
    return _marked(text, "skipif(True, reason='not here')")


@lost("size", failed=True)
def skipped_inside(text: str) -> str:
    return _with_body(text, "pytest.skip('not today')")


@lost("weights", failed=True)
def skipped_for_a_package(text: str) -> str:
    return _with_body(text, "pytest.importorskip('no_such_package')")


@lost("accuracy", failed=True)
def skipped_by_a_fixture(text: str) -> str:
    own = _marked(text, "usefixtures('none')")
    return f"{own}\n@pytest.fixture\ndef none():\n    pytest.skip('no data')\n"


@lost("repeatable", failed=True)
def expected_to_fail_by_a_mark(text: str) -> str:
    return _with_body(_marked(text, "xfail(reason='known')"), "assert 0")


@lost("logits_original", failed=True)
def expected_to_fail_and_not_run(text: str) -> str:
    return _marked(text, "xfail(run=False, reason='known')")


@lost("logits_parent", failed=True)
def expected_to_fail_inside(text: str) -> str:
    return _with_body(text, "pytest.xfail('known')")


@lost("calls", failed=True)
def parametrization_emptied(text: str) -> str:
    return _marked(text, "parametrize('call', [])").replace("test_calls()", "test_calls(call)")


@lost("table", failed=True)
def failing_after_it_passed(text: str) -> str:
    own = _marked(text, "usefixtures('late')")
    return f"{own}\n@pytest.fixture\ndef late():\n    yield\n    assert 0\n"


@lost("lite_bytecode", failed=True)
def collected_twice(text: str) -> str:
    return text + _with_body(text, "assert 0").partition("\n\n")[2].replace("def test_", "def test_again_")


@lost("anchor", failed=True)
def skipped_as_unittest_does(text: str) -> str:
    return _with_body(text, "import unittest; raise unittest.SkipTest('not today')")


@lost("arithmetic")
def left_out_on_a_condition(text: str) -> str:
    head, _, test = text.partition("\n\n")
    indented = "".join(f"    {line}\n" for line in test.splitlines())
    return f"{head}\n\nif pytest.__version__ < '1':\n{indented}"


@lost("latency")
def file_removed(text: str) -> None:
    return None


@lost("lite_operators")
def renamed_to_no_test(text: str) -> str:
    return text.replace("def test_", "def check_")


@lost("field")
def file_skipped_for_a_package(text: str) -> str:
    return text.replace("import pytest\n", "import pytest\npytest.importorskip('no_such_package')\n")


@lost("warnings")
def marker_removed(text: str) -> str:
    return text.replace("@pytest.mark.claim('warnings')\n", "")


@lost("preprocessing")
def taken_out_by_another_plugin(text: str) -> str:
    return text


OTHER_PLUGIN = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "preprocessing" not in item.nodeid]
"""


def names_of(claim: str, rows: Sequence[str]) -> set[str]:
    """Return those of the names that are rows of the claim, or the claim itself."""
    return {name for name in rows if name.partition("[")[0] == claim}
