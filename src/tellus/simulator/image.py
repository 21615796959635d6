"""The image of a firmware release: fetched and checked where that touches this machine alone.

A simulated charger sends nothing to the outside: an image on any other host counts as downloaded,
and as good. Only what ``http`` serves on the loopback interface is really fetched.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from urllib.parse import urlsplit

_AT_ONCE = 4
_CHUNK_BYTES = 65_536
_SILENCE_S = 10.0
_WITHIN_S = 60.0


class Image:
    """An image on its way; it arrives, or fails to, within about a minute of real time."""

    def __init__(self, url: str, sha256: str, size_bytes: int) -> None:
        self._problem: Future[str | None] | None = None
        if is_on_this_machine(url):
            self._problem = workers().submit(_fetch, url, sha256, size_bytes)

    @property
    def is_settled(self) -> bool:
        """Return whether ``problem`` can be asked for without waiting."""
        return self._problem is None or self._problem.done()

    @property
    def problem(self) -> str | None:
        """Return what is wrong with the image, None where it is good; waits for its arrival."""
        return None if self._problem is None else self._problem.result()


def is_on_this_machine(url: str) -> bool:
    """Tell whether an address is plain HTTP on the loopback interface."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


@cache
def workers() -> ThreadPoolExecutor:
    """Return the threads in which chargers fetch and send files."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="charger-files")


def _fetch(url: str, sha256: str, size_bytes: int) -> str | None:
    try:
        return _check(url, sha256, size_bytes)
    except (HTTPException, OSError, ValueError) as error:
        return f"the image cannot be downloaded: {type(error).__name__} {error}".rstrip()


def _check(url: str, sha256: str, size_bytes: int) -> str | None:
    # Neither proxies nor redirects: both could lead elsewhere.
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_SILENCE_S)
    digest, received, until_s = hashlib.sha256(), 0, time.monotonic() + _WITHIN_S
    try:
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/")
        answer = connection.getresponse()
        if answer.status != 200:
            return f"the image cannot be downloaded: HTTP status {answer.status}"
        while received <= size_bytes and (chunk := answer.read(_CHUNK_BYTES)):
            digest.update(chunk)
            received += len(chunk)
            if time.monotonic() > until_s:
                return "the image cannot be downloaded: it takes too long"
    finally:
        connection.close()
    if received != size_bytes:
        found = "more" if received > size_bytes else f"{received} bytes"
        return f"the image has {found} instead of {size_bytes} bytes"
    if digest.hexdigest() != sha256:
        return "the image does not have the digest that was announced"
    return None
