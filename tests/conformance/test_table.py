"""The benchmark table of each case and engine, held against the accepted one."""

import pytest
from syrupy.assertion import SnapshotAssertion

from vitgate.judge.table import judged, render
from vitgate.observe.timing import latency_of
from vitgate.plugin.fixtures import Check
from vitgate.plugin.tables import accepted_table, own_table, TableExtension


@pytest.mark.claim("table")
def test_table(check: Check, snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> None:
    observer, cell = check.observer, check.cell
    latency_of(observer, cell, check.latency_bounds())
    table = own_table(check)
    matches = render(table) == snapshot.use_extension(TableExtension)
    accepted = table if request.config.getoption("update_snapshots") else accepted_table(cell)
    check.assert_within(findings=judged(table, accepted, check.tolerances))
    assert matches
