"""What peers tell of their orders is kept, and does not fill the disk."""

import asyncio
from pathlib import Path

from tellus.kernel.clock import SystemClock
from tellus.legacy import store
from tellus.legacy.foreign import ForeignService
from tellus.legacy.model import Peer
from tellus.legacy.wire import WorkStatusRequest
from tests.databases import open_database

NOW_MS = 1_742_031_000_000
KEPT = 300


def test_prune__peer_told_of_too_many_orders__its_oldest_go(
    database_kind: str, tmp_path: Path
) -> None:
    """The newest of each peer stay; what one tells costs no other its own."""
    del database_kind

    async def scene() -> None:
        async with open_database(tmp_path / "tellus.db", SystemClock()) as database:
            foreign = ForeignService(database, orders_kept=KEPT)
            for peer_id, count in (("loud", KEPT + 250), ("calm", 2)):
                peer = Peer(peer_id=peer_id, operator_id="op_1", name=peer_id)
                await database.write(store.append_peer, peer)
                for number in range(count):
                    said = WorkStatusRequest(
                        f"order-{number}", "v", "cp", 1, "2026-05-01 18:30:00", "COMPLETED"
                    )
                    assert await foreign.take_order(peer_id, said, NOW_MS + number)
            await foreign.prune()
            total, newest = await foreign.list_orders("op_1", {"peer_id": "loud"}, 0, 1)
            assert (total, newest[0].order_id) == (KEPT, f"order-{KEPT + 249}")
            total, oldest = await foreign.list_orders("op_1", {"peer_id": "loud"}, KEPT - 1, 1)
            assert oldest[0].order_id == "order-250"
            total, _ = await foreign.list_orders("op_1", {"peer_id": "calm"}, 0, 1)
            assert total == 2

    asyncio.run(scene())
