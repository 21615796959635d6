"""What the log of connections asks of a database, on both."""

from tellus.fleet import store_network
from tellus.fleet.model_network import Change, ConnectionEntry, ConnectionKind
from tests.unit.reports.conftest import FileBench, Run

ONLINE, OFFLINE, SHUTDOWN, RECONNECT = ConnectionKind

ENTRIES = [
    ConnectionEntry(1, 100, ONLINE),
    ConnectionEntry(1, 200, OFFLINE),
    ConnectionEntry(1, 300, ONLINE),
    ConnectionEntry(1, 300, RECONNECT),
    ConnectionEntry(1, 350, RECONNECT),
    ConnectionEntry(1, 400, SHUTDOWN),
    ConnectionEntry(2, 150, ONLINE),
]


def test_log__written_twice_read_counted_and_removed__is_the_same_everywhere(
    run_files: Run[None],
) -> None:
    """Entries are kept once, told in order with what was before, counted, and dropped by age."""

    async def check(bench: FileBench) -> None:
        read, write = bench.database.read, bench.database.write
        await write(store_network.remove_entries_before, 10**15, 1_000)
        for _ in range(2):
            await write(store_network.append_entries, ENTRIES)
        assert await read(store_network.count_entries, 1, 0) == 6
        changes = [Change(200, False), Change(300, True), Change(400, False)]
        assert await read(store_network.list_changes, 1, 250, 0) == changes
        assert await read(store_network.list_changes, 1, 250, 201) == changes[1:]
        assert await read(store_network.list_changes, 3, 0, 0) == []
        assert await read(store_network.count_reconnects, 1, 300) == 2
        assert await read(store_network.count_reconnects, 1, 301) == 1
        newest = await read(store_network.list_entries, 1, 0, (1, 2))
        assert newest == [ENTRIES[4], ENTRIES[2]]
        assert (await read(store_network.sum_entries_before, 300))[::2] == (3, 100)
        assert await write(store_network.remove_entries_before, 300, 2) == 2
        assert await read(store_network.find_oldest_entry) == 200
        assert await write(store_network.remove_entries_of, 1, 9) == 4 + 1
        assert await read(store_network.count_entries, 1, 0) == 0

    run_files(check)
