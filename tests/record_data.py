"""A record's file as plain values that a test can edit: each finding and message written out, and folded again."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]
_OWN = ("value", "note")


def unfolded(data: Data) -> Data:
    """Return the values of a record's file with each finding and each message written out."""
    messages, statistics = data.get("messages", []), data["statistics"]
    rest = {name: value for name, value in data.items() if name not in ("messages", "statistics")}
    return {**rest, "claims": [_unfolded(row, messages, statistics) for row in data["claims"]]}


def _unfolded(row: Data, messages: list[str], statistics: list[Data]) -> Data:
    findings = [
        {**statistics[place], "value": value, "note": "".join(note)} for place, value, *note in row.get("findings", [])
    ]
    message = messages[row["message"]] if "message" in row else ""
    return {**row, "findings": findings, "message": message}


def folded(data: Data) -> Data:
    """Return the values of the file that `unfolded` gave, edits included."""
    messages: list[str] = []
    statistics: list[Data] = []
    claims = [_folded(row, messages, statistics) for row in data["claims"]]
    return {**data, "claims": claims, "messages": messages, "statistics": statistics}


def _folded(row: Data, messages: list[str], statistics: list[Data]) -> Data:
    findings = []
    for finding in row.get("findings", []):
        shared = {name: value for name, value in finding.items() if name not in _OWN}
        note = [finding["note"]] if finding.get("note") else []
        findings.append([_place(shared, statistics), finding["value"], *note])
    folded_ = {**row, "findings": findings}
    message = folded_.pop("message", "")
    return {**folded_, "message": _place(message, messages)} if message else folded_


def _place(value: Any, values: list[Any]) -> int:
    if value not in values:
        values.append(value)
    return values.index(value)
