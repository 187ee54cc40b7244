"""What environments there are, what they cost, and removing those that nobody has used for long."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitgate.files import locks
from vitgate.files.disk_usage import Tally, Usage, usage
from vitgate.files.errors import MachineError
from vitgate.upgrade.environments import environments_folder, lock_of, MARKER, read_marker, remove

READY, BUSY, HALF_MADE, BEING_MADE = "ready", "in use", "half-made", "being made"


@dataclass(frozen=True)
class Row:
    """One environment. `own_bytes` become free with it; `shared_bytes` other environments or uv's cache hold too."""

    key: str
    name: str
    torch: str
    python: str
    state: str
    last_use: datetime.datetime
    own_bytes: int
    shared_bytes: int
    folder: Path
    usage: Usage = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the single files."""
        plain = ("key", "name", "torch", "python", "state", "own_bytes", "shared_bytes")
        shown = {name: getattr(self, name) for name in plain}
        return {**shown, "last_use": self.last_use.isoformat(), "folder": str(self.folder)}


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be, and how many bytes that frees."""

    rows: tuple[Row, ...]
    freed: int


def listing(cache: Path) -> list[Row]:
    """Return the environments in the cache, the one used last first, with half-made ones at their time of making."""
    home = environments_folder(cache)
    folders = [path for path in home.iterdir() if _is_environment(path)] if home.is_dir() else []
    rows = [row for row in map(_row, folders) if row is not None]
    return sorted(rows, key=lambda row: (row.last_use, row.key), reverse=True)


def disk_use(rows: Iterable[Row]) -> int:
    """Return the disk bytes of all these environments; files that they share count once."""
    return Tally(row.usage for row in rows).bytes


def prune(
    cache: Path,
    *,
    older_than: datetime.timedelta | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Remove half-made environments, then those not used for long, then the least recently used.

    Args:
        cache: vitgate's; an environment that is in use or being made stays.
        older_than: How long is long; None for no limit.
        max_bytes: Disk bytes that may stay, shared files counted once; None for no limit.
        dry_run: Remove nothing.

    Raises:
        MachineError: A folder cannot be removed.
    """
    rows = listing(cache)
    left, gone, removed = Tally(row.usage for row in rows), Tally(), []
    for row in reversed(rows):
        too_much = max_bytes is not None and left.bytes > max_bytes
        if (too_much or row.state == HALF_MADE or _is_old(row, older_than)) and _remove(row, dry_run):
            left.take(row.usage)
            gone.add(row.usage)
            removed.append(row)
    return Pruned(tuple(removed), gone.usage().own)


def discard(folder: Path) -> bool:
    """Remove this one environment unless somebody works with it; MachineError where the folder cannot be removed."""
    try:
        with locks.if_free(lock_of(folder)) as free:
            if free:
                remove(folder)
            return free
    except OSError as error:
        raise MachineError(f"cannot remove an environment: {error}", where=folder, do="remove it by hand") from None


def _is_old(row: Row, older_than: datetime.timedelta | None) -> bool:
    return older_than is not None and datetime.datetime.now(datetime.timezone.utc) - row.last_use > older_than


def _remove(row: Row, dry_run: bool) -> bool:
    """Remove it unless somebody works with it, or has since it was listed."""
    try:
        with locks.if_free(lock_of(row.folder)) as free:
            if not free or _last_use(row.folder) != row.last_use:
                return False
            if not dry_run:
                remove(row.folder)
            return True
    except OSError as error:
        raise MachineError(f"cannot remove an environment: {error}", where=row.folder, do="remove it by hand") from None


def _is_environment(path: Path) -> bool:
    return path.is_dir() and path.name != "locks" and not path.name.startswith(".")


def _row(folder: Path) -> Row | None:
    used = usage(folder)
    last_use = _last_use(folder)
    if last_use is None:  # removed meanwhile
        return None
    with locks.if_free(lock_of(folder)) as free:
        marker = read_marker(folder)
    state = (READY if free else BUSY) if marker else (HALF_MADE if free else BEING_MADE)
    name, torch = (marker.name, marker.torch) if marker else ("", "")
    python = marker.versions.get("python", "") if marker else ""
    return Row(folder.name, name, torch, python, state, last_use, used.own, used.shared, folder, used)


def _last_use(folder: Path) -> datetime.datetime | None:
    for path in (folder / MARKER, folder):
        try:
            return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.timezone.utc)
        except FileNotFoundError:
            continue
    return None
