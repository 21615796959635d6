"""Use case: what cannot be believed of a fleet's samples and charging records."""

from typing import NamedTuple

from tellus.consent.model import Service
from tellus.energy import store_quality
from tellus.energy.model_sessions import DoubtCount, DoubtFilter, DoubtView
from tellus.energy.sessions import SessionService
from tellus.storage.database import Tx


class Quality(NamedTuple):
    """Counts over all that was wanted, and a part of the list."""

    counts: list[DoubtCount]
    doubts: list[DoubtView]

    @property
    def total(self) -> int:
        """Return how many samples and records there are."""
        return sum(count.found for count in self.counts)


class QualityService:
    """Implausible samples and flagged records, read."""

    def __init__(self, sessions: SessionService) -> None:
        self._sessions = sessions

    async def list_page(self, wanted: DoubtFilter, *, limit: int, offset: int) -> Quality:
        """Return the counts and a page, newest first.

        Raises:
            NotFound: the device or the site is another operator's or does not exist.
        """
        if wanted.device_id is not None:
            await self._sessions.find_device_no(wanted.device_id, wanted.operator_id)
        if wanted.site_id is not None:
            await self._sessions.require_site(wanted.site_id, wanted.operator_id)
        withheld = self._sessions.list_withheld(wanted.operator_id, Service.DIAGNOSTICS)
        wanted = wanted._replace(withheld=withheld)
        return await self._sessions.read_settled(wanted.operator_id, _load, wanted, limit, offset)


def _load(tx: Tx, wanted: DoubtFilter, limit: int, offset: int) -> Quality:
    return Quality(
        store_quality.count_doubts(tx, wanted),
        store_quality.list_doubts(tx, wanted, limit, offset),
    )
