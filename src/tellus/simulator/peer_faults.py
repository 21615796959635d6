"""How the platform of another operator can misbehave when it is pushed to."""

from __future__ import annotations

import asyncio
import enum

from aiohttp import web

_HUGE_BYTES = 1_000_000


class PeerFault(enum.Enum):
    """What is wrong with it. ``DOWN`` does not listen at all; the others answer, if at all, so."""

    SLOW = "slow"
    DOWN = "down"
    ERROR = "error"
    REJECT = "reject"
    GARBAGE = "garbage"
    HUGE = "huge"
    REDIRECT = "redirect"


async def misbehave(fault: PeerFault, slow_s: float) -> web.Response | None:
    """Return the answer that a fault makes, or None where an ordinary one is to follow."""
    if fault is PeerFault.SLOW:
        await asyncio.sleep(slow_s)
        return None
    answers = {
        PeerFault.ERROR: (500, "text/plain", b"internal error"),
        PeerFault.REJECT: (200, "application/json", b'{"Status": "Reject"}'),
        PeerFault.GARBAGE: (200, "text/html", b"<html>\xff\xfe Maintenance"),
        PeerFault.HUGE: (200, "application/json", b" " * _HUGE_BYTES + b'{"Status":"Accept"}'),
        PeerFault.REDIRECT: (302, "text/plain", b""),
    }
    if fault not in answers:
        return None
    status, content_type, content = answers[fault]
    response = web.Response(status=status, body=content, content_type=content_type)
    if fault is PeerFault.REDIRECT:
        response.headers["Location"] = "/v1/elsewhere"
    return response
