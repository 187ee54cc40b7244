"""The stages run, and each file is written under the tutorial's name."""

from pathlib import Path

import pytest

from vitgate.observe.artifacts import artifact
from vitgate.plugin.fixtures import Check
from vitgate.spec.cases import read_cases


@pytest.mark.claim("build")
def test_build(check: Check) -> None:
    built = check.observer.get(artifact, check.cell).demand()
    path = Path(built.values["path"])
    expected = f"{read_cases()[check.cell.case].files}_{check.cell.form.file}"
    check.assert_that(
        holds=path.name == expected and path.stat().st_size == built.values["bytes"] > 0,
        message=f"got the file {path.name} of {path.stat().st_size} bytes, expected {expected}",
    )
