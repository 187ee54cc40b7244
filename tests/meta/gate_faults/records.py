"""Records that were edited, or written wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from record_data import folded, unfolded

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record, Record, seal_of

Data = dict[str, Any]


@cache
def release(version: str) -> Record:
    """Return the committed record of a release."""
    return read_record(fixtures_folder() / "records" / f"{version}.json")


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
        data = unfolded(json.loads(record.text()))
        self.change(data)
        data = folded(data)
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


@edit(BY_HAND, f"logits_original[{CELL}]", "sqnr_change is out of its bounds", sealed=True)
def a_number_no_longer_fits_its_outcome(data: Data) -> None:
    """The error is 10 dB larger than expected, and the claim has passed."""
    _number(data, f"logits_original[{CELL}]", "sqnr_change")["value"] = -10.0


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


@edit("schema 3 is newer than 2", sealed=True)
def the_schema_is_of_the_future(data: Data) -> None:
    """A newer vitgate wrote it."""
    data["schema_version"] = 3


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
