"""The hot door of charging records: many uploads in few statements.

Runs on the writer. Of one record sent twice the first stands, whether both are in one batch, in one
commit or a year apart.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tellus.identity.vault import Vault
from tellus.sessions import store
from tellus.sessions.model import (
    ChargingRecord,
    Content,
    Flag,
    Outcome,
    RecordsStored,
    Source,
)
from tellus.sessions.rules import (
    flags_of,
    open_content,
    same_extras,
    subject_of,
    vin_in_extras,
    write_content,
    write_extras,
)
from tellus.sessions.store import Known, NewRecord, Private
from tellus.storage.database import Tx

Key = tuple[int, str]


class Upload(NamedTuple):
    """One request: the records of one charger, in order."""

    source: Source
    contents: Sequence[Content]
    received_ms: int


class RecordUploads:
    """The kind of operation (see ``HotKind``) that stores uploads; an outcome per record."""

    name = "charging_records"

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.in_tx: list[Callable[[Tx, RecordsStored], None]] = []
        """Called with the records that are new, in the transaction that stores them."""

    def apply_many(self, tx: Tx, operations: Sequence[Upload]) -> list[list[Outcome]]:
        """Store what is new, keep what contradicts, and return the outcomes of each upload."""
        keys = {
            (upload.source.device_no, content.record_id)
            for upload in operations
            for content in upload.contents
        }
        # Of one record sent twice the first stands, also where two processes take them in.
        tx.lock(*{f"records:{upload.source.device_no}" for upload in operations})
        known = store.list_known(tx, sorted(keys))
        new: dict[Key, NewRecord] = {}
        outcomes = [
            [self._judge(tx, upload, content, known, new) for content in upload.contents]
            for upload in operations
        ]
        store.append_records(tx, list(new.values()))
        if new and self.in_tx:
            fact = RecordsStored(
                tuple(
                    ChargingRecord(one.source, one.content, one.flags, one.received_ms)
                    for one in new.values()
                )
            )
            for react in self.in_tx:
                react(tx, fact)
        return outcomes

    def after_commit(self, operations: Sequence[Upload], outcomes: Sequence[list[Outcome]]) -> None:
        """Nothing in memory follows records."""

    def _judge(
        self,
        tx: Tx,
        upload: Upload,
        content: Content,
        known: dict[Key, Known],
        new: dict[Key, NewRecord],
    ) -> Outcome:
        key = (upload.source.device_no, content.record_id)
        fingerprint = self._vault.fingerprint(open_content(content))
        first = known.get(key)
        if first is None:
            record = self._prepare(tx, upload, content, fingerprint)
            new[key] = record
            known[key] = Known(fingerprint, record.private, record.flags)
            return Outcome.STORED
        if first.fingerprint == fingerprint and self._same_private(tx, first.private, content):
            return Outcome.DUPLICATE
        self._keep_conflict(tx, upload, content, key)
        if Flag.REPEATED_DIFFERENTLY not in first.flags:
            flags = (*first.flags, Flag.REPEATED_DIFFERENTLY.value)
            known[key] = first._replace(flags=flags)
            if key in new:
                new[key] = new[key]._replace(flags=flags)
            else:
                store.update_flags(tx, key, flags)
        return Outcome.CONFLICT

    def _prepare(self, tx: Tx, upload: Upload, content: Content, fingerprint: bytes) -> NewRecord:
        extras = write_extras(content)
        private = Private()
        subject_vin = subject_of(content)
        if subject_vin is not None:
            operator_id = upload.source.operator_id
            subject_id, sealed = self._vault.seal(tx, operator_id, subject_vin, upload.received_ms)
            private = Private(subject_id, sealed if content.vin is not None else None)
            if extras is not None and vin_in_extras(content) is not None:
                private = private._replace(
                    sealed_extras=self._vault.seal_for(tx, subject_id, extras)
                )
                extras = None
        return NewRecord(
            upload.source,
            content,
            flags_of(content, upload.received_ms),
            None if extras is None else extras.decode(),
            private,
            fingerprint,
            upload.received_ms,
        )

    def _same_private(self, tx: Tx, private: Private, content: Content) -> bool:
        """Tell whether the VINs agree; what was erased since cannot be compared and agrees."""
        subject_id = private.subject_id
        if subject_id is None:
            return subject_of(content) is None
        extras = write_extras(content) if vin_in_extras(content) is not None else None
        if (private.sealed_vin is None) != (content.vin is None):
            return False
        if (private.sealed_extras is None) != (extras is None):
            return False
        if private.sealed_vin is not None:
            vin = self._vault.open(tx, subject_id, private.sealed_vin)
            if vin is not None and vin != content.vin:
                return False
        if private.sealed_extras is not None and extras is not None:
            opened = self._vault.open_for(tx, subject_id, private.sealed_extras)
            return opened is None or same_extras(opened, extras)
        return True

    def _keep_conflict(self, tx: Tx, upload: Upload, content: Content, key: Key) -> None:
        text = write_content(content)
        subject_vin = subject_of(content)
        private = Private()
        plain: str | None = text.decode()
        subject_id = ""
        if subject_vin is not None:
            operator_id = upload.source.operator_id
            subject_id, _ = self._vault.seal(tx, operator_id, subject_vin, upload.received_ms)
            sealed = self._vault.seal_for(tx, subject_id, text)
            private, plain = Private(subject_id, None, sealed), None
        # The subject stands for the VIN: repeats that differ in nothing else are two.
        fingerprint = self._vault.fingerprint(open_content(content) + subject_id.encode())
        store.append_conflict(tx, key, fingerprint, plain, private, upload.received_ms)
