"""The stream's channel of alerts: what becomes of them, to those who asked for it.

What is told is read from the store, by every node for its own subscribers: a message that gets lost
costs a second at most. Each subscriber gets an alert as it is now; what it does not take in time is
replaced by what comes later of the same alert.
"""

import asyncio
from typing import Final

import structlog

from tellus.alerts.operator_api_stream import AlertFeed, AlertNews, encode_news
from tellus.bus.port import Keys
from tellus.kernel.errors import ApiError
from tellus.surfaces.guard.streamsocket import text_frame
from tellus.surfaces.hub import Hub, Subscriber

LOOK_EVERY_S: Final = 1.0
WAITING_MOST: Final = 1_000
"""How many alerts may wait for one subscriber; it can read them as a list, too."""

_FRAMES_AT_ONCE: Final = 100

log = structlog.get_logger(__name__)


class AlertChannel:
    """Passes changes of alerts on, on the event loop; ``run`` goes on until cancelled."""

    def __init__(self, hub: Hub, feed: AlertFeed) -> None:
        self._hub = hub
        self._feed = feed
        self._woken = asyncio.Event()
        self._has_begun = False

    def on_changed(self, keys: Keys) -> None:
        """Look soon: some alert has changed, here or on another node."""
        del keys
        self._woken.set()

    async def run(self) -> None:
        """Look for changes as long as somebody wants to hear of them, until cancelled."""
        while True:
            await self._wait()
            try:
                await self.look()
            except ApiError as error:
                log.warning("stream.alerts_failed", error=error.message)

    async def look(self) -> None:
        """Tell everybody what they have not been told."""
        if not self._hub.followers:
            self._has_begun = False
            return
        if not self._has_begun:
            await self._feed.begin(min(one.opened_ms for one in self._hub.followers))
            self._has_begun = True
        for number, news in enumerate(await self._feed.look(), 1):
            self._mark(news)
            if number % _FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)
        for subscriber in tuple(self._hub.followers):
            self._hub.send_alerts(subscriber)

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), LOOK_EVERY_S)
        except TimeoutError:
            return
        self._woken.clear()

    def _mark(self, news: AlertNews) -> None:
        if not self._hub.may_tell_of(news.alert.device_no):
            return
        frame: bytes | None = None
        for subscriber in self._hub.followers:
            if _is_for(subscriber, news):
                frame = frame or text_frame(encode_news(news))
                subscriber.alerts.pop(news.alert.alert_no, None)
                subscriber.alerts[news.alert.alert_no] = frame
                if len(subscriber.alerts) > WAITING_MOST:
                    del subscriber.alerts[next(iter(subscriber.alerts))]


def _is_for(subscriber: Subscriber, news: AlertNews) -> bool:
    """Tell whether an alert is the subscriber's, and about a device that it named, if any."""
    alert = news.alert
    if alert.operator_id != subscriber.principal.operator_id:
        return False
    named = subscriber.device_nos
    return not named or alert.device_no is None or alert.device_no in named
