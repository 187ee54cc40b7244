"""Files from the network, each fetched once and never trusted unchecked, so that a run on a poor network ends well.

A large file breaks off, a proxy answers with a page of its own, two workers want the same bytes at once, a disk is
full: each must end in the right file or in one clear line. Nothing here imports torch.
"""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from vitgate.files.errors import MachineError, UsageError
from vitgate.files.hashing import sha256_of, verified
from vitgate.files.locks import locked
from vitgate.inputs.network import in_short, obstacle

_CHUNK = 1 << 20  # bytes per read
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # RFC 9110 and 6585: worth another try
_NOT_SATISFIABLE = 416  # RFC 9110: the range starts at or past the end, so nothing is left to fetch
_HOPELESS = (  # faults of the address, the certificates or the settings: another try gives the same
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
    requests.exceptions.TooManyRedirects,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)


@dataclass(frozen=True)
class Patience:
    """How long to try. All in seconds, except `attempts`.

    `connect` bounds the whole first contact (name resolution, all addresses, one repetition), so that a machine without
    a network knows it soon; `read` bounds the silence between two pieces; `pause` stands before the second attempt and
    doubles before each further one. `total`, where it is set, bounds all of it, the wait for another process's download
    included.
    """

    connect: float = 5.0
    read: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    total: float | None = None


PATIENT = Patience()
"""What callers get who do not say otherwise; with these values a machine without a network knows it within 5 s."""


class DownloadError(MachineError):
    """The file cannot be had on this machine now; `reason` says why in a few words, without address and advice."""

    def __init__(self, reason: str, *, where: object, do: str) -> None:
        """Keep the reason apart, for callers that go on without the file and say why."""
        self.reason = " ".join(reason.split())
        super().__init__(f"cannot download: {reason}", where=where, do=do)


class _Broken(Exception):
    """An attempt failed in a way that another one may mend; `str` is the reason."""


@dataclass(frozen=True)
class _Job:
    """One wanted file. `part` holds the bytes that have come so far; it stays after a break, to be resumed."""

    url: str
    destination: Path
    sha256: str
    size_hint: int | None
    limit: int | None
    replace: bool
    patience: Patience
    check: Callable[[Path], str] | None = None

    def problem(self, path: Path) -> str:
        """Say why what came is not the wanted file; nothing where it is."""
        if self.check is not None:
            return self.check(path)
        found = sha256_of(path)
        if found.startswith(self.sha256):
            return ""
        begins = f"a sha256 beginning with {found[: len(self.sha256)]}, not {self.sha256}"
        return f"what came ({path.stat().st_size} bytes) has {begins}"

    @property
    def part(self) -> Path:
        return self.destination.with_name(f".{self.destination.name}.part")

    def error(self, reason: str, do: str = "") -> DownloadError:
        advice = f"check the network and its proxy settings, or place the file at {self.destination}"
        return DownloadError(reason, where=self.url, do=do or advice)

    def disk_error(self, error: OSError) -> DownloadError:
        reason = f"cannot write to {self.destination.parent}: {error.strerror or error}"
        return self.error(reason, "free disk space there, make it writable, or move the cache")


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str,
    size_hint: int | None = None,
    limit: int | None = None,
    replace: bool = False,
    patience: Patience = PATIENT,
) -> Path:
    """Return `destination`, downloaded unless it is there already.

    Concurrent calls for one destination download once; an interrupted download is resumed by the next call.

    Args:
        url: An http or https address.
        destination: The file; one that does not match `sha256` never appears there.
        sha256: The whole digest or its first digits, at least 8, in lower case.
        size_hint: Bytes, for the progress bar where the server does not tell.
        limit: Bytes; a longer body is given up.
        replace: Overwrite a file of another sha256 at `destination`.
        patience: How long to try.

    Raises:
        UsageError: `destination` has another sha256, and `replace` is not set.
        DownloadError: What network, server or disk do, a MachineError.
    """
    job = _Job(url, destination, sha256, size_hint, limit, replace, patience)
    if _is_there(job):
        return destination
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise job.error("not an http or https address", "correct the address")
    _within(job)
    return destination


def fetch_unpinned(
    url: str, destination: Path, *, check: Callable[[Path], str], limit: int, patience: Patience = PATIENT
) -> Path:
    """Return `destination`, downloaded unless it is there, where nobody has published its sha256; otherwise as `fetch`.

    Args:
        url: An http or https address.
        destination: The file; one there that is not the wanted one is overwritten.
        check: Says in a few words why a file is not the wanted one, nothing where it is; it sees a download under
            another name before that appears at `destination`.
        limit: Bytes; a longer body is given up.
        patience: How long to try.

    Raises:
        DownloadError: What network, server or disk do, a MachineError.
    """
    job = _Job(url, destination, "", None, limit, True, patience, check)
    if not _is_there(job):
        _within(job)
    return destination


def _is_there(job: _Job) -> bool:
    if job.check is not None:
        return job.destination.is_file() and not job.check(job.destination)
    try:
        return verified(job.destination, job.sha256)
    except UsageError:
        if not job.replace:
            raise
        return False


def _within(job: _Job) -> None:
    """Fetch under the lock, in a thread that is given up after `total` seconds where those are set.

    Timeouts of requests bound neither the name lookup nor the number of addresses tried nor a body that drips. A thread
    that was given up can do no harm: only a file with the right digest ever reaches its destination.
    """
    if job.patience.total is None:
        return _fetch(job)
    errors: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            _fetch(job)
            errors.put(None)
        except Exception as error:  # not handled here: raised again in the caller's thread
            errors.put(error)

    threading.Thread(target=work, name=f"download {job.url}", daemon=True).start()  # never awaited at exit
    try:
        error = errors.get(timeout=job.patience.total)
    except queue.Empty:
        raise job.error(f"it took longer than {job.patience.total:g} s") from None
    if error is not None:
        raise error
    return None


def _fetch(job: _Job) -> None:
    _check_folder(job)
    with locked(job.destination.with_name(f".{job.destination.name}")):
        if not _is_there(job):  # nobody fetched it while this process waited
            _download(job)


def _check_folder(job: _Job) -> None:
    """Make the destination's folder; MachineError if nothing can be written there."""
    folder = job.destination.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # asks the file system itself: root, read-only mounts and quotas make a mode bit worthless
    except OSError as error:
        raise job.disk_error(error) from None


def _download(job: _Job) -> None:
    """Bring the file to its destination in at most `attempts` tries, resuming where the server can."""
    reason = ""
    for attempt in range(job.patience.attempts):
        if attempt:
            time.sleep(job.patience.pause * 2 ** (attempt - 1))
        try:
            _attempt(job, first=attempt == 0)
            return
        except _Broken as error:
            reason = str(error)
    raise job.error(f"{reason}, after {job.patience.attempts} attempts")


def _attempt(job: _Job, *, first: bool) -> None:
    """Make one try. A host out of reach ends all tries at the first one, and is a passing break in later ones."""
    found = obstacle(job.url, job.patience.connect)
    if found and first:
        raise job.error(found)
    if found:
        raise _Broken(found)
    try:
        resumed = _transfer(job)
        _settle(job, resumed)
    except DownloadError:
        job.part.unlink(missing_ok=True)  # nothing in it can be gone on from
        raise
    except _HOPELESS as error:
        raise job.error(in_short(error)) from None
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        raise _Broken(in_short(error)) from None
    except OSError as error:  # after requests' errors, which are OSErrors too: what is left comes from the disk
        job.part.unlink(missing_ok=True)
        raise job.disk_error(error) from None


def _transfer(job: _Job) -> bool:
    """Bring the missing bytes to `part`; return whether it began with bytes of an earlier attempt."""
    have = job.part.stat().st_size if job.part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the digest and the length are those of the file itself
    if have:
        headers["Range"] = f"bytes={have}-"
    timeout = (job.patience.connect, job.patience.read)
    with requests.Session() as session, session.get(job.url, headers=headers, stream=True, timeout=timeout) as answer:
        if have and answer.status_code == _NOT_SATISFIABLE:
            return True  # whole already, or longer than the file: the digest decides
        _check_status(job, answer)
        resumed = have > 0 and _continues(answer, have)
        _receive(job, answer, have if resumed else 0)
    return resumed


def _check_status(job: _Job, answer: requests.Response) -> None:
    if answer.status_code in (200, 206):
        return
    reason = f"the server answered {answer.status_code} {answer.reason or ''}".rstrip()
    if answer.status_code in _TRANSIENT_STATUS:
        raise _Broken(reason)
    raise job.error(reason)


def _continues(answer: requests.Response, have: int) -> bool:
    """Whether the body starts at byte `have`; a server that ignores ranges answers 200 with the whole file."""
    if answer.status_code == 200:
        return False
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise _Broken("the server sent another part of the file than was asked for")
    return True


def _receive(job: _Job, answer: requests.Response, start: int) -> None:
    """Write the body to `part` from byte `start` on, and compare its length with the announced one."""
    answer.raw.enforce_content_length = False  # else urllib3 drops the last bytes before a break
    announced = answer.headers.get("Content-Length", "")
    if answer.headers.get("Content-Encoding", "identity") != "identity":  # against our asking: requests unpacks it
        announced = ""  # which counts the packed bytes
    total = start + int(announced) if announced.isdecimal() else None
    free = shutil.disk_usage(job.part.parent).free
    if total is not None and total - start > free:
        raise job.error(f"{_mega(total - start)} do not fit on the disk, {_mega(free)} are free", "free disk space")
    bar = tqdm(
        total=total or job.size_hint, initial=start, desc=job.destination.name, unit="B", unit_scale=True, leave=False,
        disable=None,  # silent where standard error is not a terminal
    )  # fmt: skip
    with bar, job.part.open("ab" if start else "wb") as file:
        for piece in answer.iter_content(_CHUNK):
            file.write(piece)
            bar.update(len(piece))
            if job.limit is not None and file.tell() > job.limit:
                raise job.error(f"the server gave more than {job.limit} bytes")
    size = job.part.stat().st_size
    if total is not None and size != total:
        raise _Broken(f"the connection was cut off after {size} of {total} bytes")


def _settle(job: _Job, resumed: bool) -> None:
    """Move `part` to the destination if it is the wanted file; else drop it, and after a resumption start clean."""
    reason = job.problem(job.part)
    if not reason:
        os.replace(job.part, job.destination)
        return
    is_page = _is_page(job.part)
    job.part.unlink()
    if is_page:
        do = f"log in to the network, mend its proxy settings, or place the file at {job.destination}"
        raise job.error("a web page came instead of the file", do)
    if resumed:
        raise _Broken(reason)
    raise job.error(reason)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _mega(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
