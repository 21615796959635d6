"""What is known of devices beyond their operation: connection, life, product."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import pytest

from tellus.fleet.catalogue import ChargerModel
from tellus.fleet.connectivity import Connectivity
from tellus.fleet.model_metadata import NO_LINK, ActivationStatus, Lifecycle, Link
from tellus.fleet.rules_metadata import activation_status, is_news, merge_link, usage_days
from tellus.fleet.store_metadata import read_links
from tellus.kernel.clock import SystemClock
from tellus.kernel.redaction import HIDDEN, redact
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database
from tests.databases import open_database

T = TypeVar("T")
Run = Callable[[Callable[[Database], Awaitable[None]]], None]

CELL = Link("cellular", -71, "356938035643809")


class Said(NamedTuple):
    """What a heartbeat says."""

    link: Link | None


@pytest.fixture
def run_store(tmp_path: Path, database_kind: str) -> Run:
    """Run a coroutine function over a fresh store."""

    def run(test: Callable[[Database], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_database(tmp_path / "tellus.db", SystemClock()) as database:
                await asyncio.wait_for(test(database), 30)

        assert database_kind
        asyncio.run(whole())

    return run


@pytest.mark.parametrize(
    ("known", "said", "merged"),
    [
        (NO_LINK, CELL, CELL),
        (CELL, Link(signal_dbm=-90), Link("cellular", -90, CELL.imei)),
        (CELL, Link("cellular"), CELL),
        (CELL, Link("ethernet"), Link("ethernet", None, CELL.imei)),
        (CELL, Link("wifi", -40), Link("wifi", -40, CELL.imei)),
        (
            CELL,
            Link("cellular", -71, "356938035643817"),
            Link("cellular", -71, "356938035643817"),
        ),
    ],
)
def test_link__said_in_part__keeps_what_still_holds(known: Link, said: Link, merged: Link) -> None:
    """What is left out stays, but a signal of one kind of connection says nothing of another."""
    assert merge_link(known, said) == merged


@pytest.mark.parametrize(
    ("said", "news"),
    [
        (CELL, False),
        (Link(signal_dbm=-75), False),
        (Link(signal_dbm=-76), True),
        (Link(signal_dbm=-66), True),
        (Link("wifi"), True),
        (Link(imei="356938035643817"), True),
        (NO_LINK, False),
    ],
)
def test_link__said_again__is_news_only_where_it_matters(said: Link, *, news: bool) -> None:
    """A signal that trembles is not written; one that moved by 5 dB is."""
    assert is_news(CELL, said) is news


def test_connection__said_with_every_heartbeat__is_written_where_it_changes(
    run_store: Run,
) -> None:
    """Of two nodes each writes what it is first to hear, and neither anything twice."""

    async def check(database: Database) -> None:
        nodes = [Connectivity(database), Connectivity(database)]
        writes = 0

        async def hear(node: int, link: Link | None, now_ms: int) -> None:
            nonlocal writes
            waiting = nodes[node].hear(7, Said(link), now_ms)
            if waiting is not None:
                writes += 1
                await waiting

        await hear(0, CELL, 1)
        await hear(0, CELL, 2)
        await hear(0, None, 3)
        assert writes == 1
        await hear(1, CELL, 4)  # to this node it is new, to the store it is not
        await hear(1, CELL, 5)
        assert writes == 2
        nodes.append(Connectivity(database))
        await nodes[2].start()
        await hear(2, CELL, 5)
        assert writes == 2
        await hear(1, Link("ethernet"), 6)
        await nodes[0].forget_heard([7])
        await hear(0, CELL, 7)
        links = await database.read(read_links, [7])
        assert links == {7: CELL}
        rows = await database.read(lambda tx: tx.rows("SELECT told_ms FROM device_connectivity"))
        assert rows == [(7,)]

    run_store(check)


@pytest.mark.parametrize(
    ("decommissioned_ms", "is_active", "is_site_active", "status"),
    [
        (None, True, True, ActivationStatus.ACTIVATED),
        (None, False, True, ActivationStatus.SUSPENDED),
        (None, True, False, ActivationStatus.SUSPENDED),
        (99, True, True, ActivationStatus.DECOMMISSIONED),
        (100, False, False, ActivationStatus.DECOMMISSIONED),
        (101, True, True, ActivationStatus.ACTIVATED),
    ],
)
def test_activation__of_a_device__follows_its_registration_site_and_end(
    decommissioned_ms: int | None, *, is_active: bool, is_site_active: bool, status: Any
) -> None:
    """In use is what is registered at an active site and has not come to its end."""
    lifecycle = Lifecycle(decommissioned_ms=decommissioned_ms)
    told = activation_status(lifecycle, 100, is_active=is_active, is_site_active=is_site_active)
    assert told is status


def test_usage__from_activation_to_end__is_in_whole_days() -> None:
    """Days count from the activation to now or the end, never below nought."""
    assert usage_days(Lifecycle(), 5 * DAY_MS) is None
    assert usage_days(Lifecycle(DAY_MS), 5 * DAY_MS - 1) == 3
    assert usage_days(Lifecycle(DAY_MS, decommissioned_ms=3 * DAY_MS), 5 * DAY_MS) == 2
    assert usage_days(Lifecycle(6 * DAY_MS), 5 * DAY_MS) == 0


def test_imei__in_a_log_line__is_hidden() -> None:
    """What identifies a modem is not written down, filed under its name or within a text."""
    assert redact({"connectivity": {"imei": CELL.imei}}) == {"connectivity": {"imei": HIDDEN}}
    assert CELL.imei not in redact(f"refused imei={CELL.imei}")


def test_model__with_all_that_may_be_known__is_read() -> None:
    """Housing and screen of a model may stand in the catalogue."""
    text = """
    current = "dc"
    rated_power_kw = 60.0
    connectors = 2
    phases = 3
    v2g = false
    brand = "Brand"
    product_name = "Name"
    connector_types = ["CCS2", "CHAdeMO"]
    ip_rating = "IP54"
    screen_resolution = "1024x600"
    screen_size_inches = 10.1
    """
    model = msgspec.toml.decode(text, type=ChargerModel)
    assert (model.ip_rating, model.screen_size_inches) == ("IP54", 10.1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(text + "\nscreen_colour = 'red'", type=ChargerModel)
