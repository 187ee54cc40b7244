"""Every test in the repository is run: pytest leaves out folders by their names without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
FOLDERS = sorted({path.parent for path in TESTS.rglob("test_*.py")})


def test_no_test_folder_is_ignored_by_pytest(pytestconfig: Any) -> None:
    left_out = pytestconfig.getini("norecursedirs")

    names = {part for folder in FOLDERS for part in folder.relative_to(TESTS).parts}
    assert {"unit", "pipeline", "conformance"} <= names
    assert [name for name in names if any(Path(name).match(pattern) for pattern in left_out)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_folders_of_tests_are_packages(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()  # so that files of one name in two of them do not stand for one another
