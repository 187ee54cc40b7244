"""Where vitgate keeps what outlives a run: environments, downloads, records, compiled programs."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def default_cache() -> Path:
    """Return the user's cache folder of vitgate; it need not exist."""
    return user_cache_path("vitgate")
