"""A folder of records that cannot be written is one line, and what it held before stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitgate.files.errors import MachineError
from vitgate.files.schemas import fixtures_folder
from vitgate.records.record import read_record
from vitgate.upgrade.record_cache import open_folder, Place


def test_impossible_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError) as caught:
        open_folder(tmp_path / "file" / "records")

    text = str(caught.value)
    assert text.startswith("cannot make this folder: ")
    assert text.endswith("name another with --records")


def test_unwritable_key_is_machine_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, record = Place(tmp_path, "2.12.1"), read_record(fixtures_folder() / "records" / "2.12.1.json")
    (tmp_path / "2.12.1.key").mkdir()

    with pytest.raises(MachineError, match="cannot write the record's key: .*name another folder with --records"):
        place.keep(record, "question")

    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
