"""The client of every API test: each answer it gets is judged by the contract.

A violation raises `AssertionError` with the exchange in readable form, so that a test need only
assert what is its own subject.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from tests.contract.checker import Sent, check_exchange
from tests.contract.conformity import parse_strictly
from tests.contract.exchange_log import SESSION, ExchangeLog, Logged
from tests.contract.shapes import describe

_TIMEOUT_S = 75.0  # a long-poll may take 60 s
_SHOWN_BODY = 600


class Reply:
    """One answer: HTTP status, headers, the body's bytes, and the envelope taken apart."""

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, elapsed_s: float = 0.0
    ) -> None:
        self.status = status
        self.headers = httpx.Headers(headers)
        self.body = body
        self.elapsed_s = elapsed_s

    @property
    def json(self) -> Any:
        """The body as JSON, numbers as they were written. Raises ValueError for other bodies."""
        return parse_strictly(self.body)

    @property
    def code(self) -> int | None:
        """The code of the envelope, or None outside one."""
        body = self._object()
        return body.get("code")

    @property
    def data(self) -> Any:
        """The payload of the envelope."""
        return self._object().get("data")

    @property
    def details(self) -> dict[str, Any]:
        """The details of a failure; empty when it has none."""
        details: dict[str, Any] = self._object().get("details", {})
        return details

    @property
    def request_id(self) -> str:
        """The id that the server gave to this exchange."""
        return str(self.headers["x-request-id"])

    def _object(self) -> dict[str, Any]:
        try:
            body = self.json
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def __repr__(self) -> str:
        return f"<Reply {self.status} {describe(self.body, 200)}>"


class Refused(Exception):
    """An upgrade that the server refused; `reply` is its answer, which kept the contract."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(repr(reply))
        self.reply = reply


class ContractClient:
    """A synchronous client over real sockets that judges every exchange.

    `operator(token)` and `device(token)` give clients that share connections and log and carry a
    bearer token. An HTTP 500 is a violation unless `tolerated` names it. Paths are full request
    targets such as `/v1/operator/sites`; they go out as written, dots and percent signs included.
    Safe to be shared by threads.
    """

    def __init__(
        self,
        base_url: str,
        *,
        log: ExchangeLog = SESSION,
        tolerated: frozenset[int] = frozenset(),
        timeout_s: float = _TIMEOUT_S,
        http: httpx.Client | None = None,
        token: str | None = None,
        principal: str = "nobody",
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.log = log
        self.tolerated = tolerated
        self.principal = principal
        self._token = token
        self._owns_http = http is None
        self._http = http or httpx.Client(
            base_url=self.base_url,
            timeout=timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
        )

    def operator(self, token: str) -> "ContractClient":
        """The same client with an operator's bearer token."""
        return self._as("operator", token)

    def device(self, token: str) -> "ContractClient":
        """The same client with a charger's bearer token."""
        return self._as("device", token)

    def bearer(self, token: str, principal: str = "bearer") -> "ContractClient":
        """The same client with any other bearer token, such as an administrator's."""
        return self._as(principal, token)

    def _as(self, principal: str, token: str) -> "ContractClient":
        return ContractClient(
            self.base_url,
            log=self.log,
            tolerated=self.tolerated,
            http=self._http,
            token=token,
            principal=principal,
        )

    def get(self, target: str, **request: Any) -> Reply:
        """GET; takes the keywords of `request`."""
        return self.request("GET", target, **request)

    def post(self, target: str, json: Any = None, **request: Any) -> Reply:
        """POST with a JSON body, or none."""
        return self.request("POST", target, json=json, **request)

    def put(self, target: str, json: Any = None, **request: Any) -> Reply:
        """PUT with a JSON body, or none."""
        return self.request("PUT", target, json=json, **request)

    def patch(self, target: str, json: Any = None, **request: Any) -> Reply:
        """PATCH with a JSON body, or none."""
        return self.request("PATCH", target, json=json, **request)

    def delete(self, target: str, **request: Any) -> Reply:
        """DELETE; takes the keywords of `request`."""
        return self.request("DELETE", target, **request)

    def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        expect: int | None = None,
        code: int | None = None,
    ) -> Reply:
        """One request. `expect` and `code` also assert HTTP status and envelope code."""
        if params:
            target = f"{target}{'&' if '?' in target else '?'}{httpx.QueryParams(params)}"
        built = self._http.build_request(
            method, self.base_url + "/", json=json, data=form, headers=self._headers(headers)
        )
        auth = httpx.BasicAuth(*basic) if basic else None
        reply = self._exchange(built, target, auth)
        self._expect(reply, method, target, expect, code)
        return reply

    def raw(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        expect: int | None = None,
        code: int | None = None,
    ) -> Reply:
        """One request with exactly these bytes as body and no content type of its own."""
        built = self._http.build_request(
            method, self.base_url + "/", content=body, headers=self._headers(headers)
        )
        reply = self._exchange(built, target, None)
        self._expect(reply, method, target, expect, code)
        return reply

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        own = {"authorization": f"Bearer {self._token}"} if self._token else {}
        return {**own, **{name.lower(): value for name, value in (headers or {}).items()}}

    def _exchange(self, request: httpx.Request, target: str, auth: httpx.Auth | None) -> Reply:
        # The target is set past httpx, which would tidy up dots and percent signs.
        request.extensions["target"] = target.encode("ascii")
        response = self._http.send(request, auth=auth or httpx.USE_CLIENT_DEFAULT)
        elapsed_s = response.elapsed.total_seconds()
        reply = Reply(response.status_code, response.headers, response.content, elapsed_s)
        method = request.method
        self.log.add(Logged(method, target, reply.status, reply.code, self.principal))
        sent = Sent(dict(request.headers), request.content)
        found = check_exchange(
            method, target, sent, reply.status, dict(response.headers), reply.body
        )
        if reply.status == 500 and 500 not in self.tolerated:
            found.append("HTTP 500 is for bugs alone")
        if found:
            raise AssertionError(_readable(method, target, request.content, reply, found))
        return reply

    def _expect(
        self, reply: Reply, method: str, target: str, status: int | None, code: int | None
    ) -> None:
        got, wanted = (reply.status, reply.code), (status, code)
        if any(w is not None and w != g for w, g in zip(wanted, got, strict=True)):
            problem = f"expected status {status} and code {code}, got {got[0]} and {got[1]}"
            raise AssertionError(_readable(method, target, b"", reply, [problem]))

    def close(self) -> None:
        """Closes the connections, if this client opened them."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _readable(method: str, target: str, sent: bytes, reply: Reply, found: list[str]) -> str:
    lines = "\n".join(f"  - {line}" for line in found)
    return (
        f"{method} {target}\n{lines}\n"
        f"  sent: {describe(sent, _SHOWN_BODY)}\n"
        f"  got {reply.status}: {describe(reply.body, _SHOWN_BODY)}\n"
        f"  headers: {dict(reply.headers)}"
    )
