"""Committed records, by release."""

from __future__ import annotations

from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record, Record


def release(version: str) -> Record:
    """Return the committed record of a release."""
    return read_record(fixtures_folder() / "records" / f"{version}.json")
