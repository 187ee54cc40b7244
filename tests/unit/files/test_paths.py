"""Where vitgate keeps what outlives a run."""

from __future__ import annotations

import pwd
from typing import NoReturn

import pytest

from vitgate.files.errors import MachineError
from vitgate.files.paths import default_cache


def test_missing_home_names_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_entry(_uid: int) -> NoReturn:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MachineError, match=r"no home folder .*: set HOME or XDG_CACHE_HOME"):
        default_cache()
