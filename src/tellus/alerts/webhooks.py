"""Use cases of webhooks: who is told of alerts, what they are owed, and sending that again."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from tellus.alerts import rules_webhooks as rules
from tellus.alerts import store_deliveries, store_webhooks
from tellus.alerts.model import Alert, AlertChange
from tellus.alerts.model_webhooks import (
    BACKLOG_FULL,
    WAITING_MOST,
    WEBHOOKS_MOST,
    NewSecret,
    OwedDelivery,
    Webhook,
    WebhookEvent,
)
from tellus.alerts.sending import STEPS
from tellus.alerts.withdrawal import Withheld, nobody
from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands import repeats
from tellus.commands.model import RequestKey
from tellus.delivery.addresses import check_url
from tellus.delivery.model import PushState
from tellus.identity.keys import KeyRing
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id, new_secret
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Database, Tx

ShowEvent = Callable[[str, WebhookEvent, int, Alert | None], str]
"""Return the body of an event as JSON: its id, what it is, when it happened (ms), the alert."""

OVERLAP_S: Final = 3_600
"""For how long what goes out is signed with the old secret too, if nothing else is asked for."""


class TooManyWebhooks(Conflict):
    """4001: the operator has as many webhooks as there may be."""

    def __init__(self) -> None:
        super().__init__(f"An operator may have {WEBHOOKS_MOST} webhooks", most=WEBHOOKS_MOST)


class WebhookService:
    """Webhooks of all operators; each sees its own and nothing else exists for it.

    ``show`` writes what is sent. ``wake`` is called when something may be sent at once.
    ``withheld`` says which devices' owners do not agree that alerts about them are told.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        clock: Clock,
        show: ShowEvent,
        *,
        allows_private: bool = False,
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._show = show
        self._allows_private = allows_private
        self.wake: Callable[[], None] = lambda: None
        self.withheld: Withheld = nobody

    # ------------------------------------------------------------------ what is owed

    def owe(self, tx: Tx, changes: Sequence[AlertChange]) -> None:
        """Owe each change of an alert to the webhooks that want it, in that transaction."""
        now_ms = self._clock.now_ms()
        held: dict[str, list[Webhook]] = {}
        owed: list[OwedDelivery] = []
        full: dict[str, bool] = {}
        about = {one.after.device_no for one in changes if one.after.device_no is not None}
        withheld = self.withheld(tx, about)
        for change in changes:
            if change.after.device_no in withheld:
                continue
            operator_id = change.after.operator_id
            if operator_id not in held:
                held[operator_id] = store_webhooks.list_of(tx, operator_id)
            event_id = new_id("evt")
            for webhook in held[operator_id]:
                if rules.wants(webhook, change):
                    number = webhook.webhook_id
                    if number not in full:
                        full[number] = store_deliveries.is_full(tx, number, WAITING_MOST)
                    one = self._deliver(webhook, event_id, rules.event_of(change), change, now_ms)
                    owed.append(_dropped(one) if full[number] else one)
        store_deliveries.append_deliveries(tx, owed)

    def _deliver(
        self,
        webhook: Webhook,
        event_id: str,
        event: WebhookEvent,
        change: AlertChange | None,
        now_ms: int,
    ) -> OwedDelivery:
        alert = None if change is None else change.after
        push_id = new_id("dlv")
        return OwedDelivery(
            push_no=0,
            push_id=push_id,
            receiver_id=webhook.webhook_id,
            ordering_key=push_id if alert is None else alert.alert_id,
            body=self._show(event_id, event, now_ms, alert),
            state=PushState.WAITING,
            attempts=0,
            due_ms=now_ms,
            lease_id=None,
            created_ms=now_ms,
            updated_ms=now_ms,
            last_status=None,
            last_error=None,
            history=(),
            ended_ms=None,
            operator_id=webhook.operator_id,
            event_id=event_id,
            event=event,
            alert_no=None if alert is None else alert.alert_no,
        )

    # ------------------------------------------------------------------ webhooks

    async def create_webhook(
        self, operator_id: str, settings: dict[str, Any], by: Actor, key_text: str = ""
    ) -> NewSecret:
        """Let an operator's alerts be told of at an address; return it with its secret.

        ``settings`` are fields of ``Webhook``. ``key_text`` makes a repeat within 24 hours return
        the first webhook.

        Raises:
            InvalidParameter: the address is not one that deliveries may go to.
            TooManyWebhooks: the operator has as many as there may be.
            KeyReused: the key stands for another request.
        """
        self._check_url(settings["url"])
        key = repeats.make_key(by.name, key_text, "webhook", sorted(settings.items()))
        return await self._database.write(self._create, operator_id, settings, by, key)

    def _create(
        self,
        tx: Tx,
        operator_id: str,
        settings: dict[str, Any],
        by: Actor,
        key: RequestKey | None,
    ) -> NewSecret:
        tx.lock(f"webhooks:{operator_id}")
        now_ms = self._clock.now_ms()
        if key is not None and (first := repeats.recall(tx, key, now_ms)) is not None:
            return self._show_again(_get(tx, operator_id, str(first)))
        if len(store_webhooks.list_of(tx, operator_id)) >= WEBHOOKS_MOST:
            raise TooManyWebhooks
        webhook_id, secret = new_id("whk"), new_secret("whsec")
        webhook = Webhook(
            webhook_id=webhook_id,
            operator_id=operator_id,
            sealed_secret=self._seal(webhook_id, secret),
            created_ms=now_ms,
            updated_ms=now_ms,
            **settings,
        )
        store_webhooks.append_webhook(tx, webhook)
        if key is not None:
            repeats.remember(tx, key, webhook_id, now_ms)
        self._audit(tx, by, "webhook.created", webhook, name=webhook.name)
        return NewSecret(webhook, secret)

    async def list_webhooks(self, operator_id: str) -> list[Webhook]:
        """Return an operator's webhooks, oldest first."""
        return await self._database.read(store_webhooks.list_of, operator_id)

    async def get_webhook(self, operator_id: str, webhook_id: str) -> Webhook:
        """Return a webhook.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.read(_get, operator_id, webhook_id)

    async def update_webhook(
        self, operator_id: str, webhook_id: str, changes: dict[str, Any], by: Actor
    ) -> Webhook:
        """Change fields of a webhook; one that is not active is owed nothing new.

        Raises:
            NotFound: it is absent or another operator's.
            InvalidParameter: the address is not one that deliveries may go to.
        """
        if "url" in changes:
            self._check_url(changes["url"])
        webhook = await self._database.write(self._update, operator_id, webhook_id, changes, by)
        self.wake()
        return webhook

    def _update(
        self, tx: Tx, operator_id: str, webhook_id: str, changes: dict[str, Any], by: Actor
    ) -> Webhook:
        tx.lock(f"webhooks:{operator_id}")
        before = _get(tx, operator_id, webhook_id)
        webhook = replace(before, **changes, updated_ms=self._clock.now_ms())
        store_webhooks.update_webhook(tx, webhook)
        self._audit(tx, by, "webhook.updated", webhook, changed=sorted(changes))
        return webhook

    async def rotate_secret(
        self, operator_id: str, webhook_id: str, overlap_s: int, by: Actor
    ) -> NewSecret:
        """Give a webhook a new secret; for ``overlap_s`` what goes out is signed with both.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.write(self._rotate, operator_id, webhook_id, overlap_s, by)

    def _rotate(
        self, tx: Tx, operator_id: str, webhook_id: str, overlap_s: int, by: Actor
    ) -> NewSecret:
        tx.lock(f"webhooks:{operator_id}")
        before = _get(tx, operator_id, webhook_id)
        secret, now_ms = new_secret("whsec"), self._clock.now_ms()
        webhook = replace(
            before,
            sealed_secret=self._seal(webhook_id, secret),
            sealed_old=before.sealed_secret if overlap_s else None,
            old_until_ms=now_ms + overlap_s * SECOND_MS if overlap_s else None,
            updated_ms=now_ms,
        )
        store_webhooks.update_webhook(tx, webhook)
        self._audit(tx, by, "webhook.secret_rotated", webhook, overlap_s=overlap_s)
        return NewSecret(webhook, secret)

    async def delete_webhook(self, operator_id: str, webhook_id: str, by: Actor) -> None:
        """End a webhook with all that it is still owed, at once.

        Raises:
            NotFound: it is absent or another operator's.
        """
        await self._database.write(self._delete, operator_id, webhook_id, by)

    def _delete(self, tx: Tx, operator_id: str, webhook_id: str, by: Actor) -> None:
        tx.lock(f"webhooks:{operator_id}")
        webhook = _get(tx, operator_id, webhook_id)
        store_deliveries.lock_receiver(tx, webhook_id)
        store_deliveries.cancel_of(tx, webhook_id, self._clock.now_ms())
        store_webhooks.delete_webhook(tx, webhook_id)
        self._audit(tx, by, "webhook.deleted", webhook, name=webhook.name)

    # ------------------------------------------------------------------ deliveries

    async def test_webhook(self, operator_id: str, webhook_id: str, by: Actor) -> OwedDelivery:
        """Have a ``ping`` sent to a webhook, on the same way as everything else.

        Raises:
            NotFound: it is absent or another operator's.
        """
        delivery = await self._database.write(self._test, operator_id, webhook_id, by)
        self.wake()
        return delivery

    def _test(self, tx: Tx, operator_id: str, webhook_id: str, by: Actor) -> OwedDelivery:
        webhook = _get(tx, operator_id, webhook_id)
        now_ms = self._clock.now_ms()
        one = self._deliver(webhook, new_id("evt"), WebhookEvent.PING, None, now_ms)
        if store_deliveries.is_full(tx, webhook_id, WAITING_MOST):
            one = _dropped(one)
        store_deliveries.append_deliveries(tx, [one])
        self._audit(tx, by, "webhook.tested", webhook, delivery_id=one.push_id)
        return one

    async def list_deliveries(
        self,
        operator_id: str,
        webhook_id: str,
        state: PushState | None,
        page: tuple[int, int],
        withheld: tuple[int, ...] = (),
    ) -> tuple[int, list[OwedDelivery]]:
        """Return how many deliveries match and a page (offset, size) of them, newest first.

        Those about the devices that are ``withheld`` are left out.

        Raises:
            NotFound: the webhook is absent or another operator's.
        """
        wanted = (webhook_id, state, withheld)
        return await self._database.read(_list_deliveries, operator_id, wanted, page)

    async def replay_delivery(
        self, operator_id: str, webhook_id: str, delivery_id: str, by: Actor
    ) -> OwedDelivery:
        """Have a delivery sent at once, whatever became of it; one that ended begins anew.

        Raises:
            NotFound: it is absent or another operator's.
            PushInFlight: it is being sent.
        """
        delivery = await self._database.write(
            self._replay, operator_id, webhook_id, delivery_id, by
        )
        self.wake()
        return delivery

    def _replay(
        self, tx: Tx, operator_id: str, webhook_id: str, delivery_id: str, by: Actor
    ) -> OwedDelivery:
        webhook = _get(tx, operator_id, webhook_id)
        if store_deliveries.find_delivery(tx, operator_id, webhook_id, delivery_id) is None:
            raise NotFound
        driven = STEPS.drive_again(tx, delivery_id, self._clock.now_ms(), even_accepted=True)
        self._audit(tx, by, "webhook.replayed", webhook, delivery_id=delivery_id)
        return driven

    # ------------------------------------------------------------------ private

    def _check_url(self, url: str) -> None:
        """Check an address; where a name leads to is judged each time something is sent."""
        fault = check_url(url, allows_private=self._allows_private)
        if fault is not None:
            message = f"Parameter 'url' {fault}; give one such as https://alerts.example/tellus"
            raise InvalidParameter(message, "url")  # the value may hold a password

    def _show_again(self, webhook: Webhook) -> NewSecret:
        """Return a webhook as it was answered with, to one who did not hear the answer."""
        sealed, context = webhook.sealed_secret, _context(webhook.webhook_id)
        return NewSecret(webhook, self._keys.open(sealed, context).decode())

    def _seal(self, webhook_id: str, secret: str) -> bytes:
        return self._keys.seal(secret.encode(), _context(webhook_id))

    def _audit(self, tx: Tx, by: Actor, action: str, webhook: Webhook, **details: Any) -> None:
        resource = ("webhook", webhook.webhook_id, webhook.operator_id)
        record(tx, by.name, action, *resource, by.request_id, self._clock.now_ms(), **details)


def _context(webhook_id: str) -> str:
    return f"webhook:{webhook_id}"


def _get(tx: Tx, operator_id: str, webhook_id: str) -> Webhook:
    webhook = store_webhooks.find_webhook(tx, operator_id, webhook_id)
    if webhook is None:
        raise NotFound
    return webhook


def _list_deliveries(
    tx: Tx,
    operator_id: str,
    wanted: tuple[str, PushState | None, tuple[int, ...]],
    page: tuple[int, int],
) -> tuple[int, list[OwedDelivery]]:
    _get(tx, operator_id, wanted[0])
    return store_deliveries.list_deliveries(tx, wanted, *page)


def _dropped(one: OwedDelivery) -> OwedDelivery:
    """Return a delivery for which there is no room: it is not sent, and may be replayed."""
    return replace(
        one,
        state=PushState.GIVEN_UP,
        due_ms=None,
        last_error=BACKLOG_FULL,
        ended_ms=one.created_ms,
    )
