"""Whether a host can be reached at all, and in short words why a download broke."""

from __future__ import annotations

import queue
import socket
import threading
import time
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy


def obstacle(url: str, seconds: float) -> str:
    """Say what keeps this machine from the host that requests would contact (the proxy, if there is one), or nothing.

    Neither name resolution nor the sum over a host's addresses can be bounded by requests' timeouts; hence a thread.
    """
    host, port = _peer(url)
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def knock() -> None:
        answers.put(_knock(host, port, seconds / 2) and _knock(host, port, seconds / 2, after=min(0.5, seconds / 10)))

    threading.Thread(target=knock, name=f"connect to {host}", daemon=True).start()
    try:
        why = answers.get(timeout=seconds)
    except queue.Empty:
        why = f"no answer within {seconds:g} s"
    return f"no connection to {host}:{port}: {why}" if why else ""


def _knock(host: str, port: int, seconds: float, after: float = 0.0) -> str:
    time.sleep(after)
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be encoded for DNS
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""


def _peer(url: str) -> tuple[str, int]:
    """Return host and port that requests would connect to: the environment's proxy for this address, or the host."""
    proxy = select_proxy(url, get_environ_proxies(url))
    parts = urlsplit(prepend_scheme_if_needed(proxy, "http") if proxy else url)  # type: ignore[no-untyped-call]  # its stub
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def in_short(error: Exception) -> str:
    """Return a network error in a few words, without the object addresses and nested texts of the libraries."""
    if isinstance(error, (requests.Timeout, TimeoutError)) or "Read timed out" in str(error):
        return "the server stopped answering"
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects without end"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut off"
    return f"{type(error).__name__}: {str(error).rpartition('>: ')[2] or error}"[:200]
