"""``tellus api``: one authenticated call, its answer as it came."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import click

from tellus.cli.client import (
    AdminAccess,
    Api,
    CommandFailed,
    ExitCode,
    data_dir_option,
    failure_of,
    find_access,
    unreachable,
)
from tellus.cli.environment import BASE_URL, CLIENT, find_variables

_TIMEOUT_S: Final = 75.0
_SUCCESS: Final = range(200, 300)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_NO_CLIENT: Final = (
    "Which client? Set TELLUS_BASE_URL, TELLUS_CLIENT_ID and TELLUS_CLIENT_SECRET"
    " (tellus api calls as the administrator with --as admin)"
)


class _Answer(NamedTuple):
    """What came back: the status, the head as lines, the body."""

    status: int
    head: list[str]
    body: bytes


@click.command()
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path")
@click.option(
    "--as",
    "role",
    type=click.Choice(["admin", "client", "nobody"]),
    help="Who calls; what fits the path by default.",
)
@click.option("-d", "--data", help="Body: JSON, @FILE, or @- for the standard input.")
@click.option("-i", "--include", is_flag=True, help="Print status and headers before the body.")
@data_dir_option
def api(
    method: str, path: str, role: str | None, data: str | None, data_dir: Path | None, *,
    include: bool,
) -> None:  # fmt: skip
    """Call PATH (such as /v1/operator/sites) and print the answer.

    Paths below /v1/admin are called as the service account, those below /v1/operator as the client
    of TELLUS_CLIENT_ID. A refusal is printed like any answer; the exit code tells it.
    """
    if not path.startswith("/"):
        raise click.UsageError("PATH begins with a slash, such as /v1/operator/sites")
    body = _read_body(data)
    answer = asyncio.run(_call(method, path, body, role or _role_for(path), data_dir))
    if include:
        click.echo("\n".join(answer.head) + "\n", err=False)
    _print(answer.body)
    if answer.status not in _SUCCESS:
        raise failure_of(_parsed(answer.body), answer.status)


def _role_for(path: str) -> str:
    if path.endswith("/oauth/token"):
        return "nobody"
    if path.startswith("/v1/admin/"):
        return "admin"
    return "client" if path.startswith("/v1/operator/") else "nobody"


def _read_body(data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "@-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise CommandFailed(f"{data[1:]}: {error.strerror}", ExitCode.USAGE) from None


async def _call(
    method: str, path: str, body: bytes | None, role: str, data_dir: Path | None
) -> _Answer:
    base_url, token = await _log_in(role, data_dir)
    headers = {} if body is None else {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                method, base_url + path, data=body, headers=headers, allow_redirects=False
            ) as response,
        ):
            head = [f"{response.status} {response.reason}"]
            head += [f"{name}: {value}" for name, value in response.headers.items()]
            return _Answer(response.status, head, await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise unreachable(base_url, error) from None


async def _log_in(role: str, data_dir: Path | None) -> tuple[str, str | None]:
    """Return where the platform answers and a token for the role."""
    if role == "client":
        return await log_in_client(data_dir)
    if role == "admin":
        access = find_access(data_dir)
        return access.base_url, await _admin_token(access)
    return _public_url(data_dir), None


async def log_in_client(data_dir: Path | None) -> tuple[str, str]:
    """Return where the platform answers and a token of the client that the environment names.

    Raises:
        CommandFailed: it names none, or the platform refuses it.
    """
    wanted = CLIENT if data_dir is not None else (BASE_URL, *CLIENT)
    found = find_variables(wanted)
    if found is None:
        raise CommandFailed(_NO_CLIENT, ExitCode.USAGE)
    *where, client_id, secret = found
    base_url = where[0].rstrip("/") if where else find_access(data_dir).base_url
    credentials = {"client_id": client_id, "client_secret": secret}
    body = {"grant_type": "client_credentials", **credentials}
    async with Api(base_url) as api_:
        data: Any = await api_.call("POST", "/v1/operator/oauth/token", body)
    return base_url, str(data["access_token"])


async def _admin_token(access: AdminAccess) -> str:
    async with Api(access.base_url) as api_:
        return await api_.admin_token(access)


def _public_url(data_dir: Path | None) -> str:
    found = None if data_dir is not None else find_variables((BASE_URL,))
    return find_access(data_dir).base_url if found is None else found[0].rstrip("/")


def _print(body: bytes) -> None:
    """Print a body: JSON indented where somebody looks, everything else as it came."""
    if sys.stdout.isatty():
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), indent=2, ensure_ascii=False).encode()
    click.echo(body, nl=not body.endswith(b"\n"))


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
