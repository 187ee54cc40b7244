"""A small disk for a test, which can be filled up and write-protected: root minds no permissions, but both of these."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest


class SmallDisk:
    """A disk of 4 MB for one test, which can be filled up and write-protected."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, at which the disk is mounted."""
        self.folder = folder

    def fill(self, leave: int = 0) -> None:
        """Take all room but that many bytes."""
        with (self.folder / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(self.folder).free - leave)

    def clear(self) -> None:
        """Give the room back."""
        (self.folder / "filler").unlink()

    def protect(self, how: Literal["ro", "rw"] = "ro") -> None:
        """Let nobody write to it, not even root; or everybody again."""
        assert _run("mount", "-o", f"remount,{how}", str(self.folder))


def _run(name: str, *arguments: str) -> bool:
    """Whether that program is there and does it."""
    program = shutil.which(name)
    return (
        bool(program) and subprocess.run([str(program), *arguments], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a disk that fills up."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    if not _run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)):
        pytest.skip("a small disk is a tmpfs, and mounting one needs root")
    yield SmallDisk(folder)
    assert _run("umount", "--lazy", str(folder))
