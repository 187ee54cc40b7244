"""Where vitgate keeps what outlives a run: environments, downloads, records, compiled programs."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from vitgate.files.errors import MachineError


def default_cache() -> Path:
    """Return the user's cache folder of vitgate; it need not exist. MachineError for a user without a home."""
    try:
        path = user_cache_path("vitgate")
    except RuntimeError:
        path = Path("~/.cache")
    if not path.is_absolute():  # an earlier platformdirs leaves the tilde as it is
        raise MachineError("this user has no home folder", where=path, do="set HOME or XDG_CACHE_HOME")
    return path
