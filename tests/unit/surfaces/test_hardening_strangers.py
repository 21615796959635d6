"""What needs no token is limited by address too: the pages, and browsers' preflight requests."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.kernel.clock import ManualClock
from tellus.kernel.limits import UNAUTHENTICATED_PER_ADDRESS
from tellus.logs import LogRecorder
from tellus.surfaces.application import Application

BURST = int(UNAUTHENTICATED_PER_ADDRESS.burst)
PREFLIGHT = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
ASKED = {
    "page": ("GET", "/livez", {}),
    "preflight": ("OPTIONS", "/v1/operator/sites", PREFLIGHT),
}


async def flood(app: Application, address: str, what: str, times: int) -> list[httpx.Response]:
    """The same request over and over from one address."""
    method, path, headers = ASKED[what]
    transport = httpx.ASGITransport(app=app, client=(address, 50_000))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return [await client.request(method, path, headers=headers) for _ in range(times)]


def build(tmp_path: Path) -> tuple[Application, ManualClock]:
    """The application as it is served, on a clock that stands still."""
    settings = load_configuration({"data_dir": str(tmp_path)}, environment={}).settings
    clock = ManualClock()
    return Application(Platform(settings, LogRecorder(), clock=clock)), clock


@pytest.mark.parametrize("what", ASKED)
def test_stranger__more_than_the_burst__is_turned_away_until_there_is_room(
    tmp_path: Path, what: str
) -> None:
    """The request beyond the burst is 429 in the envelope, and another address is not hit."""

    async def check() -> None:
        app, clock = build(tmp_path)
        *good, last = await flood(app, "203.0.113.7", what, BURST + 1)
        assert {answer.status_code for answer in good} == {good[0].status_code}
        assert good[0].status_code in {200, 204}
        body: Any = last.json()
        assert (last.status_code, body["code"], body["data"]) == (429, 5001, None)
        assert last.headers["retry-after"] == str(body["details"]["retry_after_seconds"])
        (other,) = await flood(app, "203.0.113.8", what, 1)
        assert other.status_code == good[0].status_code
        clock.advance(1)
        (again,) = await flood(app, "203.0.113.7", what, 1)
        assert again.status_code == good[0].status_code

    asyncio.run(check())


@pytest.mark.parametrize("what", ASKED)
def test_stranger__on_this_machine__is_not_limited(tmp_path: Path, what: str) -> None:
    """Probes and scrapers beside the platform may ask as often as they like."""

    async def check() -> None:
        app, _ = build(tmp_path)
        answers = await flood(app, "127.0.0.1", what, BURST + 1)
        assert len({answer.status_code for answer in answers}) == 1

    asyncio.run(check())
