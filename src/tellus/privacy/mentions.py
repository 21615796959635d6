"""Finding and hiding the texts in which a vehicle's masked number stands."""

from typing import Final

from tellus.identity.vault import Vault
from tellus.kernel.vins import find_vin, mask_vin
from tellus.privacy import store_mentions, store_subjects
from tellus.privacy.record import load_record
from tellus.privacy.rules import hide_mask
from tellus.storage.database import Database, Tx

_AT_ONCE: Final = 32


def mask_of(vin: str) -> str | None:
    """Return how texts mention ``vin``; None where they do not, as it has another shape."""
    plain = vin.strip()
    return mask_vin(plain) if find_vin(plain) == plain else None


class Mentions:
    """Texts that mention vehicles."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._tables = tuple(table for table in load_record() if table.texts)

    def list_mentions(self, tx: Tx, operator_id: str, vin: str) -> list[store_mentions.Mention]:
        """Return the texts of an operator that mention a vehicle, or one like it."""
        mask = mask_of(vin)
        if mask is None:
            return []
        return store_mentions.list_mentions(tx, self._tables, operator_id, mask)

    def is_shared(self, tx: Tx, operator_id: str, subject_id: str, vin: str) -> bool:
        """Tell whether another vehicle that the operator knows is mentioned the same way."""
        mask = mask_of(vin)
        for other_id, sealed in store_subjects.list_sealed_numbers(tx, operator_id, subject_id):
            number = self._vault.open(tx, other_id, sealed)
            if number is not None and mask is not None and mask_of(number) == mask.upper():
                return True
        return False

    async def forget(self, operator_id: str, vin: str) -> dict[str, int]:
        """Hide a vehicle in all texts; return how many rows of which tables were concerned.

        With them are counted the rows that are sealed under its key, which is dropped after this.
        """
        counts, mentions = await self._database.read(self._look, operator_id, vin)
        for start in range(0, len(mentions), _AT_ONCE):
            part = mentions[start : start + _AT_ONCE]
            for table in await self._database.write(self._hide, part, mask_of(vin) or ""):
                counts[table] = counts.get(table, 0) + 1
        return counts

    def _look(
        self, tx: Tx, operator_id: str, vin: str
    ) -> tuple[dict[str, int], list[store_mentions.Mention]]:
        subject_id = self._vault.find_subject(tx, operator_id, vin)
        counts = {}
        if subject_id is not None:
            counts = store_subjects.count_sealed(tx, operator_id, subject_id)
        return counts, self.list_mentions(tx, operator_id, vin)

    @staticmethod
    def _hide(tx: Tx, mentions: list[store_mentions.Mention], mask: str) -> list[str]:
        return [
            mention.table
            for mention in mentions
            if store_mentions.hide_mention(tx, mention, hide_mask(mention.text, mask))
        ]
