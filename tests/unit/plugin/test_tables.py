"""Where syrupy is told to look for accepted tables."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vitgate.files.schemas import fixtures_folder
from vitgate.plugin.tables import TableExtension
from vitgate.spec.cells import CellId


def location(params: dict[str, object] | None) -> SimpleNamespace:
    """Return what syrupy hands over for a test with these parameters, or without any."""
    item = SimpleNamespace() if params is None else SimpleNamespace(callspec=SimpleNamespace(params=params))
    return SimpleNamespace(item=item)


def test_tables_are_stored_in_folder_of_case() -> None:
    folder = TableExtension.dirname(test_location=location({"cell": CellId("digits", "x86", "original")}))
    assert folder == str(fixtures_folder() / "tables")


@pytest.mark.parametrize("params", [None, {"item": 1}, {"cell": object()}], ids=["none", "others", "an empty set"])
def test_newer_syrupy_handles_tests_without_cell(params: dict[str, object] | None) -> None:
    assert TableExtension.dirname(test_location=location(params)) == ""
