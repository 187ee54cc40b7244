"""The stages run, and each file is written under the tutorial's name."""

from pathlib import Path

import pytest

from vitgate.plugin.check import Check
from vitgate.spec.cases import read_cases


@pytest.mark.claim("build")
def test_build(check: Check) -> None:
    artifact = check.observer.artifact(check.cell).demand()
    path = Path(artifact.values["path"])
    expected = f"{read_cases()[check.cell.case].files}_{check.cell.form.file}"
    check.assert_that(
        holds=path.name == expected and path.stat().st_size == artifact.values["bytes"] > 0,
        message=f"got the file {path.name} of {path.stat().st_size} bytes, expected {expected}",
    )
