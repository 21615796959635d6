"""The key file: two random keys from which everything secret on this instance hangs.

The *pepper* turns secrets into verifiers; the *instance key* seals what must be readable again
(signing keys, keys of the vault). Whoever has the database without this file has no secret.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_FILE_VERSION = 1
_LARGEST_FILE_BYTES = 4096
_FEWEST_DISTINCT_BYTES = 8


class KeyFileRefused(Exception):
    """The key file is missing, malformed, readable by others, or not that of this database."""


class KeyRing:
    """The instance's keys and what is done with them."""

    def __init__(self, pepper: bytes, instance_key: bytes) -> None:
        self._cipher = AESGCM(_derive(instance_key, "seal"))
        self._verifier_key = _derive(pepper, "verifier")
        self._pepper = pepper

    def verifier(self, kind: str, principal_id: str, secret: str) -> bytes:
        """Return the keyed hash (HMAC-SHA-256) of a secret, good for that principal alone."""
        message = f"{kind}\0{principal_id}\0{secret}"
        return hmac.digest(self._verifier_key, message.encode("utf-8", "replace"), "sha256")

    def derive(self, purpose: str) -> bytes:
        """Return a 32-byte key for one ``purpose``, which tells nothing about the others."""
        return _derive(self._pepper, purpose)

    def seal(self, content: bytes, context: str) -> bytes:
        """Return ``content`` encrypted (AES-256-GCM), to be opened in the same ``context`` only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what ``seal`` was given.

        Raises:
            KeyFileRefused: it was sealed with another instance's key, or for another context.
        """
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, content, context.encode())
        except (InvalidTag, ValueError):
            message = "The key file is not the one this database was written with; restore it"
            raise KeyFileRefused(message) from None


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    pepper: str
    instance_key: str


def create_key_file(path: Path) -> KeyRing:
    """Write fresh random keys to ``path`` (0600), whole or not at all, and return them.

    Raises:
        FileExistsError: there is one already; it is left as it is.
    """
    pepper, instance_key = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
    content = _KeyFile(
        _FILE_VERSION, base64.b64encode(pepper).decode(), base64.b64encode(instance_key).decode()
    )
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, path)  # unlike a rename, this never replaces an existing file
    finally:
        unfinished.unlink()
    _sync_folder(path.parent)
    return KeyRing(pepper, instance_key)


def load_key_file(path: Path) -> KeyRing:
    """Return the keys in ``path``.

    Raises:
        KeyFileRefused: it is missing, readable by others than its owner, or malformed.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LARGEST_FILE_BYTES)
    except OSError as error:
        raise KeyFileRefused(f"The key file {path} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileRefused(
            f"The key file {path} is open to others (mode {stat.S_IMODE(mode):04o}): chmod 600 it"
        )
    try:
        parsed = msgspec.json.decode(content, type=_KeyFile)
        keys = [
            base64.b64decode(text, validate=True) for text in (parsed.pepper, parsed.instance_key)
        ]
    except (msgspec.DecodeError, binascii.Error, ValueError, UnicodeDecodeError):
        raise KeyFileRefused(f"The key file {path} is malformed; restore it") from None
    if parsed.version != _FILE_VERSION or not _are_sound(keys):
        raise KeyFileRefused(f"The key file {path} does not hold two random keys of 32 bytes")
    return KeyRing(*keys)


def _are_sound(keys: list[bytes]) -> bool:
    """Tell whether these may be random keys: right length, distinct, no constant."""
    distinct = all(len(set(key)) >= _FEWEST_DISTINCT_BYTES for key in keys)
    return distinct and keys[0] != keys[1] and all(len(key) == KEY_BYTES for key in keys)


def _derive(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, b"tellus:" + purpose.encode(), hashlib.sha256)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
