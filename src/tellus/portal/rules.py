"""Decisions of the portal: when a customer's consents covered a charger, and with what."""

from collections.abc import Iterable, Sequence
from typing import Final

from tellus.consent.model import Consent, Scope
from tellus.kernel.units import DAY_MS
from tellus.portal.model import Covered, FormerSite, Span, Stay

_FOREVER: Final = 2**62


def span_of(consent: Consent) -> Span:
    """Return when a consent holds, or held; empty where it was revoked before it began."""
    ends = [end for end in (consent.to_ms, consent.revoked_ms) if end is not None]
    return Span(consent.from_ms, min(ends) if ends else None)


def stays_of(site_id: str, since_ms: int, former: Iterable[FormerSite]) -> list[Stay]:
    """Return the sites of a charger since it is its operator's, the present one last."""
    stays, from_ms = [], since_ms
    for left in sorted(former):
        if left.to_ms > from_ms:
            stays.append(Stay(left.site_id, Span(from_ms, left.to_ms)))
            from_ms = left.to_ms
    return [*stays, Stay(site_id, Span(from_ms, None))]


def covered_by(consents: Iterable[Consent], stays: Sequence[Stay]) -> Covered:
    """Return when consents that name a charger, its operator or one of its sites covered it."""
    spans: list[Span] = []
    covering: list[Consent] = []
    for consent in consents:
        found = [
            both
            for stay in stays
            if consent.scope is not Scope.SITE or consent.scope_id == stay.site_id
            if (both := _overlap(span_of(consent), stay.span)) is not None
        ]
        if found:
            spans += found
            covering.append(consent)
    return Covered(tuple(merged(spans)), tuple(covering))


def agreed_at(covered: Covered, site_id: str, now_ms: int) -> int:
    """Return the services, as bits, that consents turn on now for a charger under a site."""
    bits = 0
    for consent in covered.consents:
        is_here = consent.scope is not Scope.SITE or consent.scope_id == site_id
        if is_here and span_of(consent).holds(now_ms):
            bits |= consent.services
    return bits


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one."""
    result: list[Span] = []
    for span in sorted(spans, key=_by_ends):
        last = result[-1] if result else None
        if last is None or (last.to_ms is not None and last.to_ms < span.from_ms):
            result.append(span)
        elif last.to_ms is not None:
            result[-1] = Span(last.from_ms, _later(last.to_ms, span.to_ms))
    return result


def until(spans: Iterable[Span], now_ms: int) -> list[Span]:
    """Return what of spans is over by now."""
    cut = (_overlap(span, Span(0, now_ms)) for span in spans)
    return [span for span in cut if span is not None]


def days_of(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """Return the days since 1970 (UTC, both included) that spans touch."""
    return [
        (span.from_ms // DAY_MS, _FOREVER if span.to_ms is None else (span.to_ms - 1) // DAY_MS)
        for span in spans
    ]


def _overlap(one: Span, other: Span) -> Span | None:
    from_ms = max(one.from_ms, other.from_ms)
    ends = [end for end in (one.to_ms, other.to_ms) if end is not None]
    to_ms = min(ends) if ends else None
    return Span(from_ms, to_ms) if to_ms is None or from_ms < to_ms else None


def _later(end: int, other: int | None) -> int | None:
    return None if other is None else max(end, other)


def _by_ends(span: Span) -> tuple[int, int]:
    return span.from_ms, _FOREVER if span.to_ms is None else span.to_ms
