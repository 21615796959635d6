"""Checks of what is reached over the network: the port, the server behind it, its clock."""

import asyncio
import email.utils
import errno
import ipaddress
import socket
import time
from collections.abc import Iterator
from typing import Final

import aiohttp

from tellus.cli.checkup import Finding, Subject, skipped, well, wrong
from tellus.cli.client import ADMIN_FILE, Api, CommandFailed, find_access

_TIMEOUT_S: Final = 5.0
_CLOCK_TOLERANCE_S: Final = 60.0
_READY: Final = 200


def check_exposure(subject: Subject) -> Iterator[Finding]:
    """What is reachable from outside is protected; the server would not start otherwise."""
    server, registration = subject.settings.server, subject.settings.registration
    if _is_loopback(server.host):
        yield well("exposure", f"listens on {server.host} alone")
        return
    problems = []
    if server.tls_certificate is None and not server.allow_plain_http:
        problems.append("plain HTTP")
    if registration.mode == "open" and not registration.allow_open_beyond_loopback:
        problems.append("open registration")
    if problems:
        advice = "Serve TLS, or say explicitly in the configuration that this is meant."
        yield wrong("exposure", f"{' and '.join(problems)} on {server.host}", advice)
    else:
        yield well("exposure", f"listens on {server.host}")


def check_port(subject: Subject) -> Iterator[Finding]:
    """The configured port is free, or taken by a platform."""
    host, port = subject.settings.server.host, subject.settings.server.port
    if port == 0:
        yield skipped("port", "any free one is taken")
        return
    problem = try_port(host, port)
    if problem is None:
        yield well("port", f"{host}:{port} is free")
    elif asyncio.run(_is_platform(host, port)):
        yield well("port", f"a platform answers at {host}:{port}")
    else:
        advice = "Stop what holds it, or set another server.port."
        yield wrong("port", f"{host}:{port}: {problem}", advice)


def check_server(subject: Subject) -> Iterator[Finding]:
    """The platform of this data directory answers, is ready, lets its administrator in."""
    if not (subject.settings.data_dir / ADMIN_FILE).exists():
        yield skipped("server", "no service account in the data directory to ask it with")
        return
    yield from asyncio.run(_visit(subject))


async def _visit(subject: Subject) -> list[Finding]:
    try:
        access = find_access(subject.settings.data_dir)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{access.base_url}/readyz") as answer,
        ):
            ready, date = answer.status == _READY, answer.headers.get("Date")
            told = await answer.json(content_type=None)
        found = [_judge_clock(date)]
        if not ready:
            message = told.get("message", "not ready") if isinstance(told, dict) else "not ready"
            advice = "`tellus status` shows which part is not well."
            return [*found, wrong("server", str(message), advice)]
        async with Api(access.base_url) as api:
            await api.admin_token(access)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        advice = "Start it with `tellus serve`, or look into its log."
        return [wrong("server", f"does not answer: {error}", advice)]
    except CommandFailed as error:
        advice = "Replace the service account's secret in the data directory."
        return [wrong("server", f"does not let the service account in: {error.message}", advice)]
    return [*found, well("server", f"{access.base_url} is ready and knows its administrator")]


def _judge_clock(date: str | None) -> Finding:
    """Compare this machine's clock with the server's."""
    try:
        told_s = email.utils.parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return skipped("clock", "the server does not say what time it is")
    ahead_s = told_s - time.time()
    if abs(ahead_s) > _CLOCK_TOLERANCE_S:
        advice = "Set both clocks by NTP: chargers' times are judged by the server's."
        return wrong("clock", f"the server's is {ahead_s:+.0f} s off this machine's", advice)
    return well("clock", "agrees with the server's")


def try_port(host: str, port: int) -> str | None:
    """Return why nobody can listen there, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
            trial.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "in use by another program"
            return error.strerror or str(error)
    return None


async def _is_platform(host: str, port: int) -> bool:
    shown = f"[{host}]" if ":" in host else host
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
            session.get(f"http://{shown}:{port}/livez") as answer,
        ):
            held = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return isinstance(held, dict) and held.get("data") == {"status": "live"}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
