"""Who the chargers are to the platform: device ids and secrets, kept across restarts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec


class Credentials(msgspec.Struct):
    """One charger's identity. The token is held in memory only."""

    device_id: str
    device_secret: str


class _StateFile(msgspec.Struct):
    chargers: dict[str, Credentials]


class Token(msgspec.Struct, frozen=True):
    """A bearer token and the real time (epoch seconds) at which to renew it."""

    text: str
    renew_at_s: float


class CredentialStore:
    """Credentials by serial number, in memory and, where a path is given, in a 0600 file.

    One store may serve several parties of one process (a live fleet and an upload of history):
    the lock per charger sees to it that only one of them registers.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, Credentials] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._is_dirty = False
        self.tokens: dict[str, Token] = {}
        if path is not None and path.exists():
            self._known = msgspec.json.decode(path.read_bytes(), type=_StateFile).chargers

    def find(self, sn: str) -> Credentials | None:
        """Return what is known of a charger."""
        return self._known.get(sn)

    def remember(self, sn: str, credentials: Credentials) -> None:
        """Keep new credentials; ``save`` writes them."""
        self._known[sn] = credentials
        self._is_dirty = True

    def forget(self, sn: str) -> None:
        """Drop credentials that the platform does not know any more."""
        self._known.pop(sn, None)
        self.tokens.pop(sn, None)
        self._is_dirty = True

    def lock(self, sn: str) -> asyncio.Lock:
        """Return the lock under which this charger registers and gets tokens."""
        return self._locks.setdefault(sn, asyncio.Lock())

    def save(self) -> None:
        """Write the state file if there is one and something changed; atomic, mode 0600."""
        if self._path is None or not self._is_dirty:
            return
        data = msgspec.json.format(msgspec.json.encode(_StateFile(self._known)), indent=1)
        draft = self._path.with_name(self._path.name + ".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        draft.replace(self._path)
        self._is_dirty = False
