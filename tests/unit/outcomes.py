"""Outcomes in rows that tests make up, written as a reader sees them."""

from __future__ import annotations

from typing import Any


def in_parts(**fields: Any) -> dict[str, Any]:
    """Return fields of a row in which `outcome` may be words such as `failed at script`, as the row has them."""
    kind, at, stage = str(fields.get("outcome", "")).partition(" at ")
    if not at:
        kind, at, stage = kind.partition(" by ")
    if str(fields.get("outcome", "")).startswith("FAILED: "):
        failed = tuple(fields["outcome"].removeprefix("FAILED: ").split(", "))
        return {**fields, "outcome": "failed", "failed": failed}
    return {**fields, "outcome": kind + at.rstrip(), "at": stage} if at else fields
