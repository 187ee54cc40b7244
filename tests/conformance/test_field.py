"""Files that other releases made, and the user's own: they load, they run, their numbers stay."""

import pytest

from vitgate.inputs.field_files import seen
from vitgate.judge import findings
from vitgate.observe.outputs import field
from vitgate.plugin.fixtures import FieldCheck
from vitgate.spec.cases import read_cases


def _check(check: FieldCheck) -> None:
    item = check.item
    own = check.observer.get(field, check.claim.id, item.folder, item.row.id).demand()
    kind = read_cases()[item.row.case].returns.kind if item.row.case else "logits"
    check.assert_within(findings=findings.field(own, seen(item), kind))


@pytest.mark.claim("field")
def test_field(field_check: FieldCheck) -> None:
    _check(field_check)


@pytest.mark.claim("artifacts")
def test_artifacts(field_check: FieldCheck) -> None:
    _check(field_check)
