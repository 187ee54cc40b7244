"""What a claim says of itself in pytest's XML."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from vitgate.judge.deviations import read_deviations
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.report.junit import describe_suite, properties
from vitgate.spec.run_config import RunConfig


def test_claim_properties_have_cell_numbers_and_no_empty_value(claim_row: Callable[..., ClaimRow]) -> None:
    findings = (
        FindingRow(statistic="sqnr", value=23.8125, unit="dB", lower=20.0, against="original"),
        FindingRow(statistic="size_ratio", value=None, unit="1", upper=1.5),
        FindingRow(statistic="sqnr at head", value=1.0, unit="dB", judged=False),
    )

    assert properties(claim_row("label", status="failed", outcome="failed", findings=findings)) == [
        ("claim", "label"),
        ("case", "digits"),
        ("engine", "qnnpack"),
        ("variant", "lite"),
        ("status", "failed"),
        ("outcome", "failed"),
        ("sqnr against original", "23.8125 dB, expected [20, inf]"),
        ("size_ratio", "nan 1, expected [-inf, 1.5]"),
    ]


def test_deviation_is_reported_with_advice(claim_row: Callable[..., ClaimRow]) -> None:
    known = next(row for row in read_deviations().rows if row.id == "xnnpack-gone")

    found = dict(properties(claim_row("build", status="declared", outcome="failed at x", deviation="xnnpack-gone")))

    assert (found["deviation"], found["advice"], found["link"]) == (known.id, known.advice, known.link)


class Writer:
    """As much of pytest's XML writer as is used."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {}

    def add_global_property(self, name: str, value: object) -> None:
        self.found[name] = value


class Config:
    """As much of pytest's configuration as is used."""

    def __init__(self, *plugins: object) -> None:
        self.pluginmanager = self
        self._plugins = plugins

    def get_plugins(self) -> set[object]:
        return set(self._plugins)


def test_suite_properties_name_what_was_tested(plan: Callable[..., RunConfig]) -> None:
    writer = Writer()

    describe_suite(cast(pytest.Config, Config(object(), writer)), plan())

    assert {"torch", "torchvision", "timm", "vitgate", "python", "machine"} <= set(writer.found)
    assert (writer.found["cases"], writer.found["engines"], writer.found["weights"]) == ("digits", "qnnpack", "auto")


@pytest.mark.parametrize("plugins", [(), (object(),)], ids=["no plugin", "another"])
def test_run_without_xml_adds_no_properties(plan: Callable[..., RunConfig], plugins: tuple[object, ...]) -> None:
    describe_suite(cast(pytest.Config, Config(*plugins)), plan())
