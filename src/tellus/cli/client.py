"""What every command shares that speaks to a running platform: access, calls, exit codes."""

import asyncio
import enum
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiohttp
import click

from tellus.cli.environment import ADMIN, BASE_URL, find_variables

T = TypeVar("T")

ADMIN_FILE: Final = "admin.json"
_TIMEOUT_S: Final = 60.0
_BUSY_TRIES: Final = 60
_WAIT_LARGEST_S: Final = 60.0
_PAGE_SIZE: Final = 100
_NO_ACCESS: Final = (
    "Where is the platform? Give --data-dir DIR, or set TELLUS_BASE_URL, TELLUS_ADMIN_ID and"
    " TELLUS_ADMIN_SECRET"
)


class ExitCode(enum.IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTHENTICATION = 4
    PERMISSION = 5
    CONFLICT = 6
    RATE_LIMITED = 7
    CHARGER_REFUSED = 8
    SERVER_ERROR = 9
    FINDINGS = 10
    TIMEOUT = 124
    INTERRUPTED = 130


_EXIT_OF_CODE: Final[Mapping[int, ExitCode]] = {
    1001: ExitCode.USAGE,
    1002: ExitCode.USAGE,
    2001: ExitCode.AUTHENTICATION,
    2002: ExitCode.AUTHENTICATION,
    2003: ExitCode.PERMISSION,
    3001: ExitCode.NOT_FOUND,
    4001: ExitCode.CONFLICT,
    5001: ExitCode.RATE_LIMITED,
    9001: ExitCode.SERVER_ERROR,
}
_CONFLICT: Final = 4001
_UNAUTHENTICATED: Final = frozenset({2001, 2002})
_BUSY: Final = frozenset({429, 503})


class CommandFailed(click.ClickException):
    """A command ends here: a message for people, an exit code for scripts.

    ``code`` and ``details`` are those of the API's answer, where it was one.
    """

    def __init__(
        self,
        message: str,
        exit_code: int = ExitCode.FAILED,
        code: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click reads it of the instance too
        self.code = code
        self.details = dict(details or {})

    @property
    def is_conflict(self) -> bool:
        """Tell whether the API answered 4001."""
        return self.code == _CONFLICT

    @property
    def is_unauthenticated(self) -> bool:
        """Tell whether the API answered 2001 or 2002."""
        return self.code in _UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class AdminAccess:
    """Where a platform answers, and the service account to use."""

    base_url: str
    account_id: str
    secret: str


def find_access(data_dir: Path | None) -> AdminAccess:
    """Return the access in ``data_dir``, that of the environment, or that of ``.env.tellus``.

    Raises:
        CommandFailed: neither says enough (usage), or the file cannot be read.
    """
    if data_dir is not None:
        return _read_access(data_dir / ADMIN_FILE)
    found = find_variables((BASE_URL, *ADMIN))
    if found is None:
        raise CommandFailed(_NO_ACCESS, ExitCode.USAGE)
    base_url, account_id, secret = found
    return AdminAccess(base_url.rstrip("/"), account_id, secret)


def _read_access(path: Path) -> AdminAccess:
    try:
        held = json.loads(path.read_text())
        return AdminAccess(
            held["base_url"].rstrip("/"),
            held["service_account_id"],
            held["service_account_secret"],
        )
    except FileNotFoundError:
        message = f"{path} does not exist; has the platform been started with this data directory?"
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{path} is not a service account's file"
    raise CommandFailed(message, ExitCode.USAGE)


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data-dir`` to a command that administers a platform."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Data directory of the platform; else TELLUS_BASE_URL and the admin variables.",
    )(command)


class Api:
    """Calls to a platform, as coroutines. Not to be shared between event loops."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        patient: bool = False,
    ) -> Any:
        """Return ``data`` of the answer; ``patient`` waits while the server is busy (429, 503).

        Raises:
            CommandFailed: the API refused, or no answer came.
        """
        for _ in range(_BUSY_TRIES if patient else 1):
            answer, status = await self._send(method, path, body, token, parameters)
            if status not in _BUSY:
                break
            if patient:
                await asyncio.sleep(_retry_s(answer))
        if status == 200 and answer.get("code", 0) == 0:  # noqa: PLR2004 - the status of success
            return answer.get("data", answer)
        raise failure_of(answer, status)

    async def pages(
        self, path: str, *, token: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield all items of a list."""
        page, seen = 1, 0
        while True:
            asked = {**(parameters or {}), "page": page, "size": _PAGE_SIZE}
            data = await self.call("GET", path, token=token, parameters=asked, patient=True)
            for item in data["items"]:
                yield item
            seen += len(data["items"])
            if not data["items"] or seen >= data["total"]:
                return
            page += 1

    async def admin_token(self, access: AdminAccess) -> str:
        """Return a bearer token of the service account."""
        body = {
            "grant_type": "client_credentials",
            "service_account_id": access.account_id,
            "service_account_secret": access.secret,
        }
        data = await self.call("POST", "/v1/admin/oauth/token", body, patient=True)
        return str(data["access_token"])

    async def _send(
        self,
        method: str,
        path: str,
        body: Any,
        token: str | None,
        parameters: Mapping[str, Any] | None,
    ) -> tuple[dict[str, Any], int]:
        if self._session is None:
            raise RuntimeError("use the client as a context manager")
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None and type(body) is not bytes else body
        try:
            async with self._session.request(
                method, self.base_url + path, data=data, headers=headers, params=parameters
            ) as response:
                answer = await response.json(content_type=None)
                return answer if isinstance(answer, dict) else {}, response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable(self.base_url, error) from None
        except ValueError:
            message = f"{self.base_url}{path} did not answer in JSON"
            raise CommandFailed(message, ExitCode.SERVER_ERROR) from None


class ApiClient:
    """The same for commands that do one thing after the other, as a service account.

    Use as a context manager; a token is fetched at the first call.
    """

    def __init__(self, access: AdminAccess) -> None:
        self.access = access
        self._runner = asyncio.Runner()
        self._api = Api(access.base_url)
        self._token: str | None = None

    @classmethod
    def find(cls, data_dir: Path | None) -> Self:
        """Return a client for the platform that ``data_dir`` or the environment names."""
        return cls(find_access(data_dir))

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self.run(self._api.__aenter__())
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(KeyboardInterrupt):
            self._runner.run(self._api.__aexit__())
        self._runner.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """Return ``data`` of a GET; parameters that are None are left out."""
        return self._call("GET", path, parameters=_given(parameters))

    def post(self, path: str, body: Any = None) -> Any:
        """Return ``data`` of a POST."""
        return self._call("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        """Return ``data`` of a PUT."""
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        """Return ``data`` of a PATCH."""
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        """Return ``data`` of a DELETE."""
        return self._call("DELETE", path)

    def items(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield all items of a list, page by page."""
        pages = self._api.pages(path, token=self.token(), parameters=_given(parameters))
        while True:
            try:
                yield self.run(_next(pages))
            except StopAsyncIteration:
                return

    def token(self) -> str:
        """Return the service account's bearer token."""
        if self._token is None:
            self._token = self.run(self._api.admin_token(self.access))
        return self._token

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end.

        Raises:
            CommandFailed: it failed, or was interrupted (exit code 130).
        """
        try:
            return self._runner.run(work)
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise CommandFailed("Interrupted", ExitCode.INTERRUPTED) from None

    def _call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        return self.run(self._api.call(method, path, body, token=self.token(), **options))


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _retry_s(answer: Mapping[str, Any]) -> float:
    details = answer.get("details")
    asked = details.get("retry_after_seconds", 1) if isinstance(details, dict) else 1
    return min(_WAIT_LARGEST_S, float(asked))


def unreachable(base_url: str, error: Exception) -> CommandFailed:
    """Return how a command ends that got no answer: 124 after a timeout, else 1."""
    if isinstance(error, TimeoutError):
        message = f"{base_url} did not answer in time"
        return CommandFailed(message, ExitCode.TIMEOUT)
    if isinstance(error, aiohttp.InvalidURL):
        message = f"{base_url} is no address of a platform, such as http://127.0.0.1:8600"
        return CommandFailed(message, ExitCode.USAGE)
    return CommandFailed(f"{base_url} cannot be reached: {error}")


def failure_of(answer: Mapping[str, Any], status: int) -> CommandFailed:
    """Return how a command ends that the API refused; the message names the field at fault."""
    code = answer.get("code")
    message = str(answer.get("message") or f"HTTP {status}")
    held = answer.get("details")
    details = held if isinstance(held, dict) else {}
    fault = details.get("field")
    if fault is not None and str(fault) not in message:
        message = f"{message} (field: {fault})"
    if "retry_after_seconds" in details:
        message = f"{message}; try again in {details['retry_after_seconds']} s"
    known = _EXIT_OF_CODE.get(code) if isinstance(code, int) else None
    if known is None:
        known = ExitCode.SERVER_ERROR if status >= 500 else ExitCode.FAILED  # noqa: PLR2004
    return CommandFailed(message, known, code, details)
