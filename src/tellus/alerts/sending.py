"""Sending deliveries: where they go, how they are signed, and what counts as taken."""

import ssl
from typing import Final

from tellus.alerts import rules_webhooks as rules
from tellus.alerts import store_deliveries, store_webhooks
from tellus.alerts.model_webhooks import INTERVALS_MS, OwedDelivery, Target, Webhook
from tellus.delivery.addresses import Lookup, system_lookup
from tellus.delivery.client import Failed, GuardedClient
from tellus.delivery.model import Outcome, Verdict
from tellus.delivery.steps import Names, Shelf, Steps
from tellus.identity.keys import KeyFileRefused, KeyRing
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Database

_TAKEN: Final = range(200, 300)
_SHELF: Final[Shelf[OwedDelivery]] = store_deliveries

STEPS: Final = Steps(_SHELF, INTERVALS_MS, Names("alerts", "webhook"))


class WebhookCourier:
    """Makes one attempt at a delivery: any answer of 200 to 299 says that it was taken."""

    def __init__(
        self,
        clock: Clock,
        *,
        allows_private: bool = False,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._client = GuardedClient(allows_private=allows_private, lookup=lookup, tls=tls)

    async def send(self, to: Target, push: OwedDelivery) -> Verdict:
        """Return how it went; whatever the receiver does is an outcome, not an error."""
        return await self._client.judge(self._attempt(to, push))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    async def _attempt(self, to: Target, push: OwedDelivery) -> Verdict:
        if not to.secrets:
            return Verdict(Outcome.UNAUTHENTICATED)
        body = push.body.encode()
        headers = {
            rules.EVENT: push.event.value,
            rules.EVENT_ID: push.event_id,
            rules.SIGNATURE: rules.sign(to.secrets, body, self._clock.now_ms() // SECOND_MS),
        }
        try:
            status, _ = await self._client.ask("POST", to.url, body, headers)
        except Failed as failure:
            # What it answers beside its status is nobody's concern.
            if failure.verdict.outcome is not Outcome.TOO_LARGE:
                raise
            status = failure.verdict.http_status or 0
        return Verdict(Outcome.ACCEPTED if status in _TAKEN else Outcome.BAD_STATUS, status)


class WebhookTargets:
    """Reads webhooks from the store, so that a change bites at the next delivery."""

    def __init__(self, database: Database, keys: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    async def find_destination(self, receiver_id: str, /) -> Target | None:
        """Return where deliveries of a webhook go, or None while they go nowhere."""
        webhook = await self._database.read(store_webhooks.find_by_id, receiver_id)
        if webhook is None or not webhook.active:
            return None
        try:
            secrets = self._open(webhook)
        except KeyFileRefused:
            # Unsigned it is not sent: the attempts fail, visibly, and those of others go on.
            secrets = ()
        return Target(url=webhook.url, secrets=secrets)

    def _open(self, webhook: Webhook) -> tuple[str, ...]:
        sealed = [webhook.sealed_secret]
        if webhook.sealed_old is not None and self._clock.now_ms() < (webhook.old_until_ms or 0):
            sealed.append(webhook.sealed_old)
        context = f"webhook:{webhook.webhook_id}"
        return tuple(self._keys.open(one, context).decode() for one in sealed)
