"""Records, alone and compared, merged and reported: no text of theirs may come through as markup or control."""

from __future__ import annotations

import io
import json
import unicodedata
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import fuzz_mutations as spoil
from fuzz_form import json_reader, Reader

from vitgate.compare.acceptance import Acceptances
from vitgate.compare.verdict import compare
from vitgate.files.errors import UsageError
from vitgate.files.schemas import fixtures_folder
from vitgate.records.consistency import check_consistent
from vitgate.records.merge import merge
from vitgate.records.record import read_with_seal, Record
from vitgate.report.compatibility import page
from vitgate.report.verdict import html, junit, markdown, terminal


def small_record() -> dict[str, Any]:
    """Return a committed record, cut down to one case and engine and a few claims."""
    whole: dict[str, Any] = json.loads((fixtures_folder() / "records" / "2.12.1.json").read_text(encoding="utf-8"))
    rows = [row for row in whole["claims"] if (row.get("case"), row.get("engine")) == ("digits", "qnnpack")]
    rows = [row for row in rows if row.get("variant") in ("scripted", "lite") and row["claim"] != "field"]
    declared = [row for row in whole["claims"] if row["status"] == "declared"][:1]
    cells = [row for row in whole["cells"] if row["case"] == "digits" and row["engine"] == "qnnpack"]
    cells = [row for row in cells if row["variant"] in ("original", "optimized")]
    own: dict[str, Any] = {"claims": [*rows[:6], *declared], "cells": cells}
    own |= {
        name: sorted({row[name[:-1]] for row in [*rows[:6], *declared] if name[:-1] in row})
        for name in ("cases", "engines")
    }
    own["complete"] = False
    own["cells"] = [
        {name: value for name, value in {**row, "outcome": "not checked"}.items() if name not in ("at", "deviation")}
        for row in own["cells"]
    ]
    return {**whole, **own, "inputs": [row for row in whole["inputs"] if row["case"] == "digits"]}


def record(folder: Path) -> Reader:
    """A record, checked against itself."""
    return json_reader(folder, "record.json", small_record(), _unsealed)


def _unsealed(path: Path) -> Record:
    """Read a record as a comparison does, whatever its seal: who forges a record forges that too."""
    found, _ = read_with_seal(path)
    check_consistent(found, where=path)
    return found


# What a record may say freely.
_FREE = ("message", "note", "against", "unit", "torch", "cpu", "weights_note", "test", "subject", "link")


def verdict(folder: Path) -> Reader:
    """Two records compared and merged, and every report of the verdict."""
    tree = small_record()
    sound = json.dumps(tree).encode()
    (folder / "other.json").write_bytes(sound)
    other = _unsealed(folder / "other.json")

    def case(rng: Random) -> bytes:
        return spoil.json_file(rng, tree) if rng.random() < 0.3 else _reworded(rng, tree)

    return Reader(folder / "record.json", [sound], case, lambda path: _judge(_unsealed(path), other))


def _reworded(rng: Random, tree: Any) -> bytes:
    """Change only what a record may say freely: texts and numbers."""
    changed = json.loads(json.dumps(tree))
    numbers = rng.random() < 0.2
    places = [(holder, key) for holder, key in spoil.places(changed) if _is_free(holder, key, numbers)]
    for holder, key in rng.sample(places, k=min(len(places), rng.choice((1, 2, 5, 20)))):
        is_text = isinstance(holder[key], str)
        holder[key] = rng.choice(spoil.TEXTS) if is_text else rng.choice((*spoil.NUMBERS, None))
    return json.dumps(changed).encode()


def _is_free(holder: Any, key: Any, numbers: bool) -> bool:
    """Whether a record stays one, whatever stands there; of its numbers few are as free as its texts."""
    if not numbers:
        return key in _FREE
    return isinstance(holder, dict) and type(holder[key]) in (int, float) and key != "schema_version"


def _judge(given: Record, other: Record) -> None:
    """Compare, write all reports and the compatibility page, merge; no control character or markup may come through."""
    compare(given, other, accepted=Acceptances())
    found = compare(other, given, accepted=Acceptances())
    target = io.StringIO()
    terminal.write(found, target, "never")
    texts = [target.getvalue(), markdown.render(found), html.render(found), junit.render(found)]
    ElementTree.fromstring(texts[-1])  # noqa: S314  # nosec B314  # our own report: is it XML?
    found.model_dump_json()
    texts.append(page({"given": given}, maker="fuzz"))
    if any("<script" in text for text in texts[1:]):
        raise ValueError("a script tag came through")
    _printable(texts)
    with suppress(UsageError):  # where they say different things of one row
        check_consistent(merge([given, other]), where="merged")
    merge([given])


def _printable(texts: list[str]) -> None:
    for text in texts:
        bad = {char for char in set(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char != "\n"}
        if bad:
            raise ValueError(f"control characters came through: {bad!r}")
