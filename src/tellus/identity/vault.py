"""The vault: vehicle identification numbers, each under a key of its own.

A *subject* is one vehicle of one operator. Dropping its row drops its key, and with it the meaning
of everything that was sealed for it. Equal numbers are found by a blind index (keyed hash per
operator), without opening anything.
"""

import hashlib
import hmac
import os
import threading
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tellus.identity import store_keys
from tellus.identity.keys import KEY_BYTES, KeyRing
from tellus.kernel.ids import new_id
from tellus.storage.database import Tx

_NONCE_BYTES = 12
_FINGERPRINT_BYTES = 16
_KEYS_REMEMBERED = 8_192
_ERASED_REMEMBERED = 65_536


class Vault:
    """Seals, opens and finds; its methods run inside the caller's transaction, on any thread."""

    def __init__(self, keys: KeyRing, remembered: int = _KEYS_REMEMBERED) -> None:
        self._keys = keys
        self._index_key = keys.derive("vin-index")
        self._fingerprint_key = keys.derive("fingerprint")
        self._remembered = remembered
        self._ciphers: OrderedDict[str, AESGCM] = OrderedDict()
        self._erased: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()  # readers and the writer are threads

    def seal(self, tx: Tx, operator_id: str, vin: str, now_ms: int) -> tuple[str, bytes]:
        """Return the subject of ``vin``, made if it is new, and ``vin`` sealed for it."""
        index = self._blind_index(operator_id, vin)
        # Writing, not reading: a key that is being dropped for its age is kept or gone by then.
        subject_id = store_keys.see_subject(tx, operator_id, index, now_ms)
        if subject_id is None:
            subject_id = new_id("sub")
            sealed_key = self._keys.seal(os.urandom(KEY_BYTES), f"subject:{subject_id}")
            subject_id = store_keys.ensure_subject(
                tx, subject_id, operator_id, index, sealed_key, now_ms
            )
        sealed = self.seal_for(tx, subject_id, vin.encode("utf-8", "surrogatepass"))
        if sealed is None:  # pragma: no cover - the row was just read or written
            raise LookupError(subject_id)
        return subject_id, sealed

    def open(self, tx: Tx, subject_id: str, sealed: bytes) -> str | None:
        """Return the number sealed for ``subject_id``, or None once the subject is erased."""
        content = self.open_for(tx, subject_id, sealed)
        return None if content is None else content.decode("utf-8", "surrogatepass")

    def seal_for(self, tx: Tx, subject_id: str, content: bytes) -> bytes | None:
        """Return any ``content`` about a subject, sealed under its key; None once it is erased."""
        cipher = self._cipher(tx, subject_id)
        if cipher is None:
            return None
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, content, subject_id.encode())

    def open_for(self, tx: Tx, subject_id: str, sealed: bytes) -> bytes | None:
        """Return what ``seal_for`` was given, or None once the subject is erased."""
        cipher = self._cipher(tx, subject_id)
        if cipher is None:
            return None
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], subject_id.encode())
        except InvalidTag:
            return None

    def find_subject(self, tx: Tx, operator_id: str, vin: str) -> str | None:
        """Return the subject of ``vin`` with that operator, or None."""
        return store_keys.find_subject_id(tx, operator_id, self._blind_index(operator_id, vin))

    def erase(self, tx: Tx, operator_id: str, vin: str) -> str | None:
        """Drop the key of ``vin`` with that operator; return its subject, None where there is none.

        After the commit, ``forget`` it.
        """
        subject_id = self.find_subject(tx, operator_id, vin)
        if subject_id is None or not store_keys.delete_subject(tx, subject_id):
            return None
        return subject_id

    def forget(self, *subject_ids: str) -> None:
        """Drop the keys of subjects from memory; call it after the commit that erased their rows.

        Whoever has read such a key just before will not remember it any more.
        """
        with self._lock:
            for subject_id in subject_ids:
                self._ciphers.pop(subject_id, None)
                self._erased[subject_id] = None
            while len(self._erased) > _ERASED_REMEMBERED:
                self._erased.popitem(last=False)

    def forget_all(self) -> None:
        """Drop all keys from memory; those that are still stored are read again when needed."""
        with self._lock:
            self._ciphers.clear()

    def fingerprint(self, content: bytes) -> bytes:
        """Return a keyed digest of 16 bytes: equal for equal content, telling nothing else."""
        return hashlib.blake2b(
            content, digest_size=_FINGERPRINT_BYTES, key=self._fingerprint_key
        ).digest()

    def _blind_index(self, operator_id: str, vin: str) -> bytes:
        message = f"{operator_id}\0{vin.strip().upper()}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._index_key, message, "sha256")

    def _cipher(self, tx: Tx, subject_id: str) -> AESGCM | None:
        with self._lock:
            cipher = self._ciphers.get(subject_id)
            if cipher is not None:
                self._ciphers.move_to_end(subject_id)
                return cipher
        sealed_key = store_keys.find_subject_key(tx, subject_id)
        if sealed_key is None:
            return None
        cipher = AESGCM(self._keys.open(sealed_key, f"subject:{subject_id}"))
        with self._lock:
            if subject_id in self._erased:
                return None
            self._ciphers[subject_id] = cipher
            if len(self._ciphers) > self._remembered:
                self._ciphers.popitem(last=False)
        return cipher
