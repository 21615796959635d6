"""Requests that may be repeated: the same key and body within a day get the first answer.

What is kept is the digest of a key, never the key, and it is written in the transaction of what the
request did: either both are there after a crash or neither is.
"""

import hashlib
from typing import Any, Final

import msgspec

from tellus.commands import store_keys
from tellus.commands.model import RequestKey
from tellus.kernel.errors import Conflict
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Tx

REMEMBERED_MS: Final = DAY_MS


class KeyReused(Conflict):
    """4001: the client used this ``Idempotency-Key`` within 24 h for something else."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request")


def make_key(client_id: str, text: str, *content: Any) -> RequestKey | None:
    """Return the key of a request with that ``content``, None where the client gave no text."""
    if not text:
        return None
    return RequestKey(client_id, _digest(text.encode()), _digest(msgspec.json.encode(content)))


def recall(tx: Tx, key: RequestKey, now_ms: int) -> Any:
    """Return what was remembered under a key, None if nothing was; whoever asks holds its lock.

    Raises:
        KeyReused: it was for another request.
    """
    found = store_keys.find_answer(tx, key.client_id, key.key_digest, now_ms - REMEMBERED_MS)
    if found is None:
        return None
    body_digest, answer = found
    if body_digest != key.body_digest:
        raise KeyReused
    return msgspec.json.decode(answer)


def remember(tx: Tx, key: RequestKey, answer: Any, now_ms: int) -> None:
    """Keep what a request is to be answered with for a day; what is older is forgotten."""
    store_keys.delete_answers(tx, now_ms - REMEMBERED_MS)
    store_keys.append_answer(tx, key, msgspec.json.encode(answer).decode(), now_ms)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
