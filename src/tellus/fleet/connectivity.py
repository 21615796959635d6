"""How chargers say they are connected: written where it changes, remembered where it does not."""

from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

from tellus.fleet import store_metadata
from tellus.fleet.model_metadata import NO_LINK, Link
from tellus.fleet.rules_metadata import is_news, merge_link
from tellus.storage.database import Database, Tx


class HasLink(Protocol):
    """What a charger says, among it perhaps how it is connected."""

    @property
    def link(self) -> Link | None:
        """Return that, None where it does not say."""
        ...


class LinkSaid(NamedTuple):
    """How a device says it is connected at ``now_ms``."""

    device_no: int
    link: Link
    now_ms: int


class LinkWriter:
    """Writes how devices are connected, many at a time (see ``HotKind``).

    ``heard`` is what the store holds, by device, as far as this process knows.
    """

    name = "connectivity"

    def __init__(self) -> None:
        self.heard: dict[int, Link] = {}

    def apply_many(self, tx: Tx, operations: Sequence[LinkSaid]) -> list[Link]:
        """Write what is news; returns what is known of each device after all of them."""
        known = store_metadata.read_links(tx, sorted({said.device_no for said in operations}))
        changed: dict[int, int] = {}
        for said in operations:
            before = known.get(said.device_no, NO_LINK)
            if is_news(before, said.link):
                known[said.device_no] = merge_link(before, said.link)
                changed[said.device_no] = said.now_ms
        if changed:
            rows = [(device_no, known[device_no], changed[device_no]) for device_no in changed]
            store_metadata.upsert_links(tx, rows)
        return [known.get(said.device_no, NO_LINK) for said in operations]

    def after_commit(self, operations: Sequence[LinkSaid], outcomes: Sequence[Link]) -> None:
        """Remember what the store holds."""
        for said, link in zip(operations, outcomes, strict=True):
            self.heard[said.device_no] = link


class Connectivity:
    """Takes what heartbeats say of a charger's connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = LinkWriter()

    async def start(self) -> None:
        """Read back what chargers last said, so that a fleet that comes back writes nothing."""
        self._writer.heard |= await self._database.read(store_metadata.list_links)

    def hear(self, device_no: int, more: HasLink, now_ms: int) -> Awaitable[Any] | None:
        """Take what a device says of its connection; None where it says nothing new."""
        link = more.link
        if link is None:
            return None
        known = self._writer.heard.get(device_no)
        if known is not None and (known == link or not is_news(known, link)):
            return None
        return self._database.submit(self._writer, LinkSaid(device_no, link, now_ms))

    async def forget_heard(self, device_nos: Sequence[int]) -> None:
        """Compare these devices' next words with the store: another node has written of them."""
        for device_no in device_nos:
            self._writer.heard.pop(device_no, None)

    async def forget_all_heard(self) -> None:
        """Compare every device's next word with the store."""
        self._writer.heard.clear()
