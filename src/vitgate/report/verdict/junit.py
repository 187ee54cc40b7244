"""A verdict as JUnit XML, for the test tabs of GitHub, GitLab and Jenkins: one test case a row, red where it is red."""

from __future__ import annotations

from xml.etree import ElementTree as Tree  # it only writes here

from vitgate.compare.pairing import Judged, JudgedLatency, JudgedMatrixRow, VerdictRow
from vitgate.compare.verdict import Verdict
from vitgate.files.text import clean
from vitgate.report.formats import interval, shown
from vitgate.report.verdict import views
from vitgate.spec.cells import RowName


def render(verdict: Verdict) -> str:
    """Return the whole document."""
    items: list[Judged] = [*verdict.rows, *verdict.matrix, *verdict.latency]
    suite = Tree.Element("testsuite", name=clean(f"vitgate compare: {views.title(verdict)}"))
    _properties(suite, {"old": verdict.old.torch, "new": verdict.new.torch, "answer": verdict.answer})
    cases = [_case(suite, item) for item in items] + [_problem(suite, text) for text in verdict.problems]
    tags = ("failure", "error", "skipped")
    numbers = {tag: sum(case.find(tag) is not None for case in cases) for tag in tags}
    named = {"tests": len(cases), "failures": numbers["failure"], "errors": numbers["error"]}
    for name, number in {**named, "skipped": numbers["skipped"]}.items():
        suite.set(name, str(number))
    root = Tree.Element("testsuites", {name: suite.attrib[name] for name in ("name", *named)})
    root.append(suite)
    Tree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Tree.tostring(root, encoding="unicode")}\n'


def _case(suite: Tree.Element, item: Judged) -> Tree.Element:
    claim = clean(RowName.parse(item.name).claim)
    case = Tree.SubElement(suite, "testcase", classname=f"vitgate.{claim}", name=clean(item.name), time="0")
    _properties(case, {"verdict": item.word, "cause": item.cause, "accepted": item.accepted, **_sides(item)})
    if item.red:
        tag = "error" if item.word == "environment error" else "failure"
        found = Tree.SubElement(case, tag, type=item.word, message=clean(f"{item.word}: {item.cause}"))
        found.text = clean(_detail(item))
    elif item.accepted or item.word in ("not comparable", "missing", "broken in both"):
        why = f"{item.word}, accepted ({item.accepted})" if item.accepted else item.word
        Tree.SubElement(case, "skipped", message=clean(why))
    return case


def _sides(item: Judged) -> dict[str, str]:
    if isinstance(item, VerdictRow):
        return {"old": views.side(item.old), "new": views.side(item.new)}
    if isinstance(item, JudgedMatrixRow):
        return {"maker": item.row.maker, "runner": item.row.runner, "outcome": item.row.outcome_text}
    assert isinstance(item, JudgedLatency)
    return {
        "ratio": shown(item.row.ratio, "{:.4f}"),
        "interval": interval(item.row.low, item.row.high),
        "note": item.row.note,
    }


def _detail(item: Judged) -> str:
    if isinstance(item, VerdictRow):
        message = item.note or (item.new.message if item.new else "")
        return f"old: {views.side(item.old)}; new: {views.side(item.new)}. {message}"
    if isinstance(item, JudgedMatrixRow):
        return f"{item.row.outcome_text}. {item.row.message}"
    return "; ".join(f"{name}: {value}" for name, value in _sides(item).items())


def _problem(suite: Tree.Element, text: str) -> Tree.Element:
    case = Tree.SubElement(suite, "testcase", classname="vitgate.acceptance", name=clean(text), time="0")
    Tree.SubElement(case, "failure", type="acceptance", message=clean(text))
    return case


def _properties(parent: Tree.Element, values: dict[str, str]) -> None:
    found = Tree.SubElement(parent, "properties")
    for name, value in values.items():
        if value:
            Tree.SubElement(found, "property", name=name, value=clean(value))
