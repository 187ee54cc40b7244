"""A world without torch: tiny wheels, and a `pytest` that writes the record which a real run would, of its own part.

uv, the environments, the copy of the suite and the processes are the real ones. What the made-up pytest is told of
`--case`, `--engine`, `--claim` and `--shard` picks the rows of a release's committed record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.inputs.field_files import committed, selected
from vitgate.inputs.run_options import rows_of
from vitgate.records.record import read_record, Record
from vitgate.records.rows import ClaimRow
from vitgate.spec.claims import read_claims
from vitgate.spec.run_config import group_of, groups, shard_of
from vitgate.upgrade.record_cache import Means
from vitgate.upgrade.requirements import Needs, parse_side, Side
from vitgate.upgrade.runs import Request
from vitgate.upgrade.sweep import Sweep

from .wheels import wheel

NEEDS = Needs(("torchvision", "timm", "pytest"))
UNINSTALLABLE = "2.14.0"
RELEASES = ("2.9.1", "2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0")

_PYTEST = """
import hashlib, json, os, sys, time
from pathlib import Path

def main():
    options = {}
    for text in sys.argv[1:]:
        name, _, value = text.partition("=")
        options.setdefault(name, []).append(value)
    here, torch = Path(__file__).parent, __import__("torch").__version__
    Path(os.environ["RUNS"]).open("a").write(torch + " " + " ".join(sys.argv[1:]) + "\\n")
    time.sleep(float(os.environ.get("SLOW", 0)))
    if torch == os.environ.get("BAD_RUN"):
        print("ERROR: no room (here): free some")
        return 6
    broken = [int(part) for part in torch.split(".")] >= [2, 13]
    record = json.loads((here / ("broken.json" if broken else "sound.json")).read_text())
    table = json.loads((here / "shards.json").read_text())
    number, _, count = options.get("--shard", ["1/1"])[0].partition("/")
    def chosen(row):
        case, engine = options.get("--case"), options.get("--engine")
        own = row.get("engine")
        if own and ((case and row["case"] not in case) or (engine and own not in engine)):
            return False
        return True
    def own(row):
        name = row["claim"] + "[" + row["subject"] + "]"
        claims = options.get("--claim")
        if claims and not {name, row["claim"]} & set(claims):
            return False
        group = table["groups"][name]
        return table["parts"].get(count, {}).get(group, 1) == int(number)
    record["claims"] = [row for row in record["claims"] if chosen(row) and own(row)]
    seen = {(row.get("case"), row.get("engine")) for row in record["claims"]}
    cells = [] if "--claim" in options else record["cells"]  # a cell's line sums up claims that were not run
    record["cells"] = [row for row in cells if (row["case"], row["engine"]) in seen]
    record["cases"] = options.get("--case") or record["cases"]
    record["engines"] = options.get("--engine") or record["engines"]
    record["inputs"] = [row for row in record["inputs"] if row["case"] in record["cases"]]
    record["complete"] = "--shard" not in options and "--claim" not in options
    record["shard"] = options.get("--shard", [""])[0]
    record["environment"]["torch"] = torch
    record.pop("seal")
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["seal"] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    Path(options["--record"][0]).write_text(json.dumps(record))
    return int(any(row["status"] == "failed" for row in record["claims"]))
"""


@dataclass(frozen=True)
class World:
    """An index of small wheels, a cache, and a file in which each run of the suite leaves a line."""

    folder: Path

    @property
    def means(self) -> Means:
        index = ("--offline", "--no-index", f"--find-links={self.folder / 'index'}")
        return Means(self.folder / "cache" / "vitgate", index, needs=NEEDS)

    def order(self, *versions: str, **options: Any) -> Sweep:
        request = Request(weights="standin", workers="0")
        sides = tuple(parse_side(text, where="VERSION") for text in versions)
        request = replace(request, **{name: options[name] for name in options.keys() & {"case", "engine", "shard"}})
        means = replace(self.means, prune=bool(options.get("prune")))
        return Sweep(sides, request, means, self.folder / "records")

    def side(self, text: str) -> Side:
        return parse_side(text, where="VERSION")

    @property
    def runs(self) -> list[str]:
        """The lines of all runs so far, torch's version first."""
        path = self.folder / "runs"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def make_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Write the wheels; uv's own cache is apart too."""
    world, index = World(folder), folder / "index"
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))
    monkeypatch.setenv("RUNS", str(folder / "runs"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    for version in (*RELEASES, UNINSTALLABLE, "2.12.0rc1"):
        wheel(index, "torch", version, tag="py3-none-any" if version != UNINSTALLABLE else "cp27-cp27m-win32")
    wheel(index, "torchvision", "0.1")
    wheel(index, "timm", "1.0")
    wheel(index, "pytest", "8.0", more={"__main__.py": f"{_PYTEST}\nsys.exit(main())\n", **_data()})
    return world


def _data() -> dict[str, str]:
    read = {name: read_record(fixtures_folder() / "records" / f"{name}.json") for name in ("2.12.1", "2.15.0")}
    records = {name: record.model_copy(update={"claims": _of_today(record)}) for name, record in read.items()}
    names = {row.name for record in records.values() for row in record.claims}
    counts = (2, 3, len(groups()))
    parts = {str(count): {group: shard_of(group, count) for group in groups()} for count in counts}
    table = {"groups": {name: group_of(name) for name in names}, "parts": parts}
    texts = {name: record.text() for name, record in records.items()}
    return {"sound.json": texts["2.12.1"], "broken.json": texts["2.15.0"], "shards.json": json.dumps(table)}


def _of_today(record: Record) -> tuple[ClaimRow, ...]:
    """Return the rows, and made-up ones of the claims and files which the committed record is too old to have."""
    rows = {row.name: row for row in record.claims}
    for item in selected(committed(), record.cases, record.engines):
        place = {"subject": item.row.id, "case": item.row.case, "engine": str(item.row.engine)}
        row = ClaimRow(claim="field", status="passed", outcome="passed", test="test_field.py::test_field", **place)
        rows.setdefault(row.name, row)
    builds = {row.subject: row for row in record.claims if row.claim in ("build", "label")}
    of_session = next(row for row in record.claims if row.claim == "preprocessing")
    for claim in {*read_claims()} - {row.claim for row in record.claims} - {"artifacts", "field", "images"}:
        for name in rows_of(read_claims()[claim]):
            subject = name.partition("[")[2].rstrip("]")
            like = of_session if read_claims()[claim].per == "session" else builds.get(subject)
            if like:  # it is about the session, or a case that the record is about
                rows.setdefault(name, like.model_copy(update={"claim": claim, "subject": subject, "findings": ()}))
    return tuple(rows.values())
