"""The platform of another operator as a client: it asks, starts, stops and pushes.

Paths, methods and names are those of the published contract's legacy operations, written down here
anew: whatever speaks them can be called.
"""

from __future__ import annotations

from typing import Any, Self

import aiohttp

_TIMEOUT_S = 15.0
_PAGES_LARGEST = 1_000


class PeerCallFailed(Exception):
    """A call had no good answer; ``status`` is that of the answer, 0 where there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class PeerClient:
    """Calls one operator's platform at ``base_url``, such as ``http://127.0.0.1:8600/v1``.

    Use as a context manager; the token is fetched at the first call and after a 401.
    """

    def __init__(self, base_url: str, client_id: str, client_secret: str) -> None:
        self._base = base_url.rstrip("/")
        self._credentials = client_id, client_secret
        self._token: str | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    # ------------------------------------------------------------------ what it asks

    async def query_station_info(
        self, last_query_time: str = "", page_no: int = 1, page_size: int = 10
    ) -> dict[str, Any]:
        """Return a page of the charge points whose description changed since, all where empty."""
        asked = {"LastQueryTime": last_query_time, "PageNo": page_no, "PageSize": page_size}
        answer: dict[str, Any] = await self.call("PUT", "/customer/query_station_info", asked)
        return answer

    async def query_all_stations(self, page_size: int = 50) -> list[dict[str, Any]]:
        """Return all charge points, page by page."""
        found: list[dict[str, Any]] = []
        for page_no in range(1, _PAGES_LARGEST):
            page = await self.query_station_info("", page_no, page_size)
            found += page["ChargePoints"]
            if page_no >= page["PageCount"]:
                break
        return found

    async def query_station_status(self, charge_point_ids: list[str]) -> list[dict[str, Any]]:
        """Return up to 50 charge points as they are now."""
        answer: list[dict[str, Any]] = await self.call(
            "PUT", "/cp/query_station_status", charge_point_ids
        )
        return answer

    # ------------------------------------------------------------------ what it orders

    async def start_charging(
        self, order_id: str, charge_point_id: str, connector_id: int, **more: Any
    ) -> dict[str, Any]:
        """Start charging; returns ``Status`` and ``DeviceVendorOrderId``."""
        return await self._start("start_charging", order_id, charge_point_id, connector_id, more)

    async def start_discharging(
        self, order_id: str, charge_point_id: str, connector_id: int, **more: Any
    ) -> dict[str, Any]:
        """Start discharging; ``more`` may hold ``LimitMinSOC`` (%) and ``LimitMaxEnergy`` (kWh)."""
        return await self._start("start_discharging", order_id, charge_point_id, connector_id, more)

    async def stop_charging(self, charge_point_id: str, connector_id: int) -> str:
        """Stop charging; returns Accept or Reject."""
        return await self._stop("stop_charging", charge_point_id, connector_id)

    async def stop_discharging(self, charge_point_id: str, connector_id: int) -> str:
        """Stop discharging; returns Accept or Reject."""
        return await self._stop("stop_discharging", charge_point_id, connector_id)

    # ------------------------------------------------------------------ what it pushes

    async def notification_station_status(self, charge_point: dict[str, Any]) -> str:
        """Tell how a charge point of its own is; returns Accept or Reject."""
        path = "/customer/notification_stationStatus"
        return _status_of(await self.call("PUT", path, charge_point))

    async def notify_work_status(self, work_status: dict[str, Any]) -> str:
        """Tell how an order goes that runs on its side; returns Accept or Reject."""
        return _status_of(await self.call("POST", "/customer/notify_work_status", work_status))

    # ------------------------------------------------------------------ HTTP

    async def call(self, method: str, path: str, body: Any) -> Any:
        """Return the body of a good answer.

        Raises:
            PeerCallFailed: there was none.
        """
        for is_last in (False, True):
            if self._token is None:
                self._token = await self._fetch_token()
            status, answer = await self._send(method, path, body, self._token)
            if status == 401 and not is_last:
                self._token = None
                continue
            if status != 200:
                raise PeerCallFailed(f"{method} {path} answered {status}: {answer}", status)
            return answer
        raise PeerCallFailed("no token is good", 401)

    async def _start(
        self, name: str, order_id: str, point: str, connector_id: int, more: dict[str, Any]
    ) -> dict[str, Any]:
        body = {"OrderId": order_id, "ChargePointId": point, "ConnectorId": connector_id, **more}
        answer: dict[str, Any] = await self.call("POST", f"/cp/{name}", body)
        return answer

    async def _stop(self, name: str, charge_point_id: str, connector_id: int) -> str:
        body = {"ChargePointId": charge_point_id, "ConnectorId": connector_id}
        return _status_of(await self.call("POST", f"/cp/{name}", body))

    async def _fetch_token(self) -> str:
        client_id, client_secret = self._credentials
        asked = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        status, answer = await self._send("POST", "/operator/oauth/token", asked, None)
        if status != 200:
            raise PeerCallFailed(f"no token: {status}", status)
        return str(answer["access_token"])

    async def _send(self, method: str, path: str, body: Any, token: str | None) -> tuple[int, Any]:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.request(
                method, self._base + path, json=body, headers=headers
            ) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PeerCallFailed(f"{method} {path}: {type(error).__name__}: {error}") from error


def _status_of(answer: dict[str, Any]) -> str:
    return str(answer["Status"])
