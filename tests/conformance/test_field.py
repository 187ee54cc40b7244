"""Files that other releases made, and the user's own: they load, they run, their numbers stay."""

import pytest

from vitgate.inputs.field_files import seen
from vitgate.judge import findings
from vitgate.plugin.check import FieldCheck


def _check(check: FieldCheck) -> None:
    outputs = check.observer.field(check.claim.id, check.item).demand()
    check.assert_within(findings=findings.field(outputs, seen(check.item)))


@pytest.mark.claim("field")
def test_field(field_check: FieldCheck) -> None:
    _check(field_check)


@pytest.mark.claim("artifacts")
def test_artifacts(field_check: FieldCheck) -> None:
    _check(field_check)
