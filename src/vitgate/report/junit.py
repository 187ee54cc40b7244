"""What pytest's own `--junitxml` shows of a claim: the properties that GitLab, Jenkins and GitHub's readers list.

The row of a claim itself travels in another attribute of the report, since all of `user_properties` goes into the XML.
"""

from __future__ import annotations

import platform

import pytest

from vitgate.files.text import clean
from vitgate.judge.deviations import read_deviations
from vitgate.records.rows import ClaimRow, FindingRow
from vitgate.report.formats import shown
from vitgate.spec.outcome import bounds
from vitgate.spec.run_config import RunConfig
from vitgate.spec.versions import machine, packages

_OF_ROW = ("claim", "case", "engine", "variant", "status", "outcome", "error", "deviation")
_PACKAGES = ("vitgate", "torch", "torchvision", "timm")


def properties(row: ClaimRow) -> list[tuple[str, object]]:
    """Return what a test case says of its claim; what is empty is left out."""
    known = next((each for each in read_deviations().rows if each.id == row.deviation), None)
    values = {**{name: getattr(row, name) for name in _OF_ROW}, "outcome": row.outcome_text}
    advice = {"advice": known.advice, "link": known.link} if known else {}
    numbers = {_name(finding): _number(finding) for finding in row.findings if finding.judged}
    return [(name, clean(value)) for name, value in {**values, **advice, **numbers}.items() if value]


def _name(finding: FindingRow) -> str:
    return clean(f"{finding.statistic} against {finding.against}" if finding.against else finding.statistic)


def _number(finding: FindingRow) -> str:
    """Return value, unit and bounds, such as `23.8 dB, expected [20, inf]`."""
    return f"{shown(finding.value, '{:.6g}', 'nan')} {finding.unit}, expected {bounds(finding.lower, finding.upper)}"


def describe_suite(config: pytest.Config, plan: RunConfig) -> None:
    """Say in the XML, if there will be one, which PyTorch was tested, where, and of what.

    pytest's fixture for that does not work under xdist; what it calls does.
    """
    writer = next((each for each in config.pluginmanager.get_plugins() if hasattr(each, "add_global_property")), None)
    if writer is None:
        return
    found = {name: packages().get(name, "missing") for name in _PACKAGES}
    found |= {"python": platform.python_version(), "machine": machine()}
    found |= {"cases": ", ".join(plan.cases), "engines": ", ".join(plan.engines), "weights": plan.weights}
    for name, value in found.items():
        writer.add_global_property(name, value)
