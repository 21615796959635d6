"""What webhooks are owed goes in the order of each alert, however often the sender breaks off."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tellus.alerts import store_deliveries, store_webhooks
from tellus.alerts.model_webhooks import (
    BACKLOG_FULL,
    OwedDelivery,
    Target,
    Webhook,
    WebhookEvent,
)
from tellus.alerts.operator_api_webhooks import show_event
from tellus.alerts.sending import STEPS, WebhookCourier, WebhookTargets
from tellus.alerts.webhooks import WebhookService
from tellus.audit.model import Actor
from tellus.delivery.engine import Outbox
from tellus.delivery.model import Outcome, PushState, Verdict
from tellus.identity.keys import create_key_file
from tests.unit.alerts.alert_bench import OPERATOR, AlertBench, finding, run_alerts

TAKEN, DOWN = Verdict(Outcome.ACCEPTED, 200), Verdict(Outcome.UNREACHABLE)
SECOND_MS = 1_000


class Courier:
    """A receiver that answers as told, and keeps what it was sent."""

    def __init__(self, answer: Callable[[OwedDelivery], Verdict]) -> None:
        self.answer = answer
        self.sent: list[OwedDelivery] = []
        self.taken: list[OwedDelivery] = []

    async def send(self, to: Target, push: OwedDelivery) -> Verdict:
        assert to.secrets
        self.sent.append(push)
        await asyncio.sleep(0)
        verdict = self.answer(push)
        if verdict == TAKEN:
            self.taken.append(push)
        return verdict

    async def close(self) -> None:
        """Nothing is held."""


class DeliveryBench:
    """Alerts with one webhook and a receiver that can be told how to answer."""

    def __init__(
        self, bench: AlertBench, keys_file: Path, answer: Callable[[OwedDelivery], Verdict]
    ) -> None:
        self.alerts = bench
        self.database, self.clock = bench.database, bench.clock
        self.keys = create_key_file(keys_file)
        self.courier = Courier(answer)
        self.webhooks = WebhookService(self.database, self.keys, self.clock, show_event)
        bench.service.in_tx.append(self.webhooks.owe)

    async def add(self, webhook_id: str = "whk_1", **more: Any) -> None:
        sealed = self.keys.seal(b"whsec_1", f"webhook:{webhook_id}")
        webhook = Webhook(
            webhook_id=webhook_id, operator_id=OPERATOR, name="W", url="https://x",
            sealed_secret=sealed, **more,
        )  # fmt: skip
        await self.database.write(store_webhooks.append_webhook, webhook)

    def engine(self) -> Outbox[OwedDelivery, Target]:
        targets = WebhookTargets(self.database, self.keys, self.clock)
        return Outbox(self.database, STEPS, targets, self.courier, self.clock)

    async def held(self, webhook_id: str = "whk_1") -> list[OwedDelivery]:
        """What the webhook was sent and is owed, oldest first."""
        found = await self.database.read(
            store_deliveries.list_deliveries, (webhook_id, None, ()), 0, 1_000
        )
        return found[1][::-1]

    async def turn_until_idle(self, engine: Outbox[OwedDelivery, Target]) -> None:
        while await engine.look():
            await engine.settled()


def run(
    path: Path,
    test: Callable[[DeliveryBench], Awaitable[None]],
    answer: Callable[[OwedDelivery], Verdict] = lambda _push: TAKEN,
) -> None:
    """Run a test over a bench of its own."""
    run_alerts(path / "a.db", lambda bench: test(DeliveryBench(bench, path / "keys.json", answer)))


def check_order(owed: list[OwedDelivery], taken: list[OwedDelivery]) -> None:
    """All was taken, and for the first time in the order of each alert."""
    assert {one.state for one in owed} == {PushState.ACCEPTED}
    for key in {one.ordering_key for one in owed}:
        in_order = [one.push_no for one in owed if one.ordering_key == key]
        firsts = dict.fromkeys(one.push_no for one in taken if one.ordering_key == key)
        assert list(firsts) == in_order


def test_engine__fails_and_breaks_off_at_random__order_of_each_alert_is_kept(
    tmp_path: Path,
) -> None:
    """Each change is taken at last, none before an earlier one of its alert."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add()
        keys = [f"k:{number}" for number in range(4)]
        engine = bench.engine()
        for _ in range(60):
            await bench.alerts.service.report([finding(key=chance.choice(keys))])
            live = [one for one in await bench.alerts.find_all() if one.is_live]
            alert = chance.choice(live)
            if alert.status == "open":
                await bench.alerts.change(alert, "acknowledged")
            elif chance.random() < 0.5:
                await bench.alerts.change(alert, "resolved")
            await engine.look()
            if chance.random() < 0.3:  # the process ends in the middle, and another begins
                for _, task in list(engine._sending.values()):
                    task.cancel()
                await asyncio.sleep(0)
                engine = bench.engine()
            await engine.settled()
            bench.clock.advance(chance.choice([0.1, 6.0, 40.0]))
        bench.courier.answer = lambda _push: TAKEN
        for _ in range(400):
            bench.clock.advance(60)
            await bench.turn_until_idle(engine)
        check_order(await bench.held(), bench.courier.taken)

    run(tmp_path, scenario, lambda _push: TAKEN if chance.random() < 0.5 else DOWN)


def test_owe__change_undone__owes_nothing(tmp_path: Path) -> None:
    """What is owed is written with the change: a change that is undone is told to nobody."""

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add()
        bench.alerts.service.in_tx.append(lambda _tx, _changes: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await bench.alerts.service.report([finding()])
        assert await bench.held() == []
        assert await bench.alerts.find_all() == []

    run(tmp_path, scenario)


def test_owe__too_many_wait__the_new_ones_can_only_be_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that is gone does not fill the store with what it will never get in time."""
    monkeypatch.setattr("tellus.alerts.webhooks.WAITING_MOST", 3)

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add()
        for number in range(5):
            await bench.alerts.service.report([finding(key=f"k:{number}")])
        owed = await bench.held()
        assert [one.state.value for one in owed] == ["waiting"] * 3 + ["given_up"] * 2
        assert {one.last_error for one in owed[3:]} == {BACKLOG_FULL}

    run(tmp_path, scenario)


def test_engine__webhook_not_active__keeps_what_it_owes(tmp_path: Path) -> None:
    """What is owed to one that is not active waits until it is."""

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add()
        await bench.alerts.service.report([finding()])
        webhook = (await bench.webhooks.list_webhooks(OPERATOR))[0]
        off = {"active": False}
        await bench.webhooks.update_webhook(OPERATOR, webhook.webhook_id, off, Actor("cl_1"))
        engine = bench.engine()
        assert await engine.look() == 0
        on = {"active": True}
        await bench.webhooks.update_webhook(OPERATOR, webhook.webhook_id, on, Actor("cl_1"))
        await bench.turn_until_idle(engine)
        assert [one.state for one in await bench.held()] == [PushState.ACCEPTED]

    run(tmp_path, scenario)


def test_courier__address_of_this_network__is_never_called(tmp_path: Path) -> None:
    """A name that leads to this machine is refused when it is resolved, before any connection."""

    async def scenario(bench: DeliveryBench) -> None:
        asked: list[str] = []

        def lookup(host: str, port: int) -> list[tuple[Any, ...]]:
            asked.append(host)
            return [(2, 1, 6, "", ("127.0.0.1", port))]

        courier = WebhookCourier(bench.clock, lookup=lookup)
        await bench.add()
        await bench.alerts.service.report([finding()])
        [push] = await bench.held()
        for url in ("https://inside.example/x", "https://127.0.0.1/x", "http://a.example/x"):
            verdict = await courier.send(Target(url=url, secrets=("s",)), push)
            assert verdict.outcome is Outcome.ADDRESS_REFUSED, url
        unsigned = await courier.send(Target(url="https://x", secrets=()), push)
        assert unsigned.outcome is Outcome.UNAUTHENTICATED
        await courier.close()
        assert asked == ["inside.example"]

    run(tmp_path, scenario)


def test_event__of_each_kind__has_its_own_id(tmp_path: Path) -> None:
    """Two webhooks of one operator get the same event under the same id."""

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add("whk_1")
        await bench.add("whk_2", events=(WebhookEvent.OPENED,))
        await bench.alerts.service.report([finding()])
        await bench.alerts.change(await bench.alerts.only(), "resolved")
        first, second = await bench.held("whk_1"), await bench.held("whk_2")
        assert [one.event for one in first] == [WebhookEvent.OPENED, WebhookEvent.CLOSED]
        assert [one.event_id for one in second] == [first[0].event_id]
        assert first[0].event_id != first[1].event_id

    run(tmp_path, scenario)


def test_owe__owner_does_not_agree__nothing_is_told(tmp_path: Path) -> None:
    """Alerts about a device whose owner does not agree to be looked at are owed to nobody."""

    async def scenario(bench: DeliveryBench) -> None:
        await bench.add()
        bench.webhooks.withheld = lambda _tx, about: {one for one in about if one == 1}
        await bench.alerts.service.report([finding(key="hidden")])
        await bench.alerts.service.report([finding(key="site_network:1", device_no=None)])
        assert [one.event for one in await bench.held()] == [WebhookEvent.OPENED]

    run(tmp_path, scenario)
