"""Alerts as the stream tells of them."""

from typing import Literal

import msgspec

from tellus.alerts.feed import AlertFeed, AlertNews
from tellus.alerts.model import ChangeKind
from tellus.alerts.operator_api import AlertItem, to_item

__all__ = ["AlertFeed", "AlertFrame", "AlertNews", "encode_news"]


class AlertFrame(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is now, and what became of it; ``type`` tells it from telemetry."""

    type: Literal["alert"] = "alert"
    change: ChangeKind
    alert: AlertItem


def encode_news(news: AlertNews) -> bytes:
    """Return the frame of a change as JSON."""
    return msgspec.json.encode(AlertFrame(change=news.kind, alert=to_item(news.alert)))
