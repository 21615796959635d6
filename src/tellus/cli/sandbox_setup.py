"""Setting up the sandbox's world on a fresh platform, as any administrator would: over the API."""

from pathlib import Path
from typing import Any, Final

from tellus.cli.client import AdminAccess, Api, CommandFailed
from tellus.cli.environment import (
    ADMIN,
    BASE_URL,
    CLIENT,
    DEVICE_ID,
    ENV_FILE,
    OPERATOR_ID,
    PEER,
    read_env_file,
    write_env_file,
)
from tellus.cli.sandbox_world import SITES, DemoCharger

_REMARK: Final = "Written by `tellus sandbox`. For play only: never use these for anything real."
_CLIENT_NAME: Final = "Demo client (sandbox)"
_PEER_NAME: Final = "Demo partner platform (sandbox)"
_PROFILES: Final[dict[str, dict[str, Any]]] = {
    "standard": {"max_power_pct": 100, "heartbeat_s": 30},
    "reduced": {"max_power_pct": 60, "heartbeat_s": 30},
}
_PAGE_SIZE: Final = 100
_PAGES_READ: Final = 5

ReadingsKwh = dict[str, dict[int, float]]


class SandboxSetup:
    """One platform that is to become, or is, the sandbox."""

    def __init__(self, api: Api, access: AdminAccess, token: str) -> None:
        self._api = api
        self._access = access
        self._token = token

    async def find_operator(self) -> str:
        """Return the built-in operator: the oldest."""
        page = await self._admin("GET", "/v1/admin/operators", parameters={"size": 1})
        return str(page["items"][0]["operator_id"])

    async def build_world(self, operator_id: str, chargers: list[DemoCharger]) -> None:
        """Make the sites, the first of them out of the built-in one, and expect the chargers."""
        parameters = {"operator_id": operator_id, "size": 1}
        page = await self._admin("GET", "/v1/admin/sites", parameters=parameters)
        site_ids = {}
        for index, site in enumerate(SITES):
            if index == 0:
                path = f"/v1/admin/sites/{page['items'][0]['site_id']}"
                made = await self._admin("PATCH", path, site.body)
            else:
                body = {"operator_id": operator_id, **site.body}
                made = await self._admin("POST", "/v1/admin/sites", body)
            site_ids[site.name] = made["site_id"]
        for charger in chargers:
            body = {
                "sn": charger.sn,
                "model": charger.past.model,
                "site_id": site_ids[charger.site.name],
            }
            await self._admin("POST", "/v1/admin/devices/provision", body)

    async def find_access(self, operator_id: str, *, keep: bool) -> dict[str, str]:
        """Return the variables that let clients in.

        With ``keep`` the client and the peer in ``.env.tellus`` stay, as long as the platform knows
        them.
        """
        held = read_env_file(Path(ENV_FILE)) if keep else {}
        client_id, secret = (held.get(name, "") for name in CLIENT)
        if not await self._is_known(client_id, secret):
            client_id, secret = await self._create_client(operator_id)
        peer_id, peer_secret = (held.get(name, "") for name in PEER)
        if not await self._is_known(peer_id, peer_secret):
            peer_id, peer_secret = await self._create_peer(operator_id)
        return {
            BASE_URL: self._access.base_url,
            CLIENT[0]: client_id,
            CLIENT[1]: secret,
            OPERATOR_ID: operator_id,
            ADMIN[0]: self._access.account_id,
            ADMIN[1]: self._access.secret,
            PEER[0]: peer_id,
            PEER[1]: peer_secret,
        }

    def write_environment(self, access: dict[str, str], free_device_id: str) -> None:
        """Write ``.env.tellus``, where it is news; it also names a charger to try things on."""
        path = Path(ENV_FILE)
        variables = {**access, DEVICE_ID: free_device_id}
        if variables != read_env_file(path):
            write_env_file(path, variables, _REMARK)

    async def assign_profiles(self, variables: dict[str, str], chargers: list[DemoCharger]) -> None:
        """Give the chargers of a story the configuration profiles that it names."""
        token = await self._client_token(*(variables[name] for name in CLIENT))
        made: dict[str, str] = {}
        for charger in chargers:
            name = "" if charger.part is None else charger.part.profile
            if not name:
                continue
            if name not in made:
                body = {"name": f"Demo, {name}", "values": _PROFILES[name]}
                path = "/v1/operator/config-profiles"
                profile = await self._api.call("POST", path, body, token=token)
                made[name] = profile["config_profile_id"]
            path = f"/v1/operator/devices/{await self.find_device(charger.sn)}/config-profile"
            await self._api.call("PUT", path, {"config_profile_id": made[name]}, token=token)

    async def read_meters(self, variables: dict[str, str]) -> ReadingsKwh:
        """Return the newest meter readings of records, by serial number and connector id (kWh)."""
        serials = {
            device["device_id"]: device["sn"]
            async for device in self._api.pages(
                "/v1/admin/devices",
                token=self._token,
                parameters={"operator_id": variables[OPERATOR_ID]},
            )
        }
        token = await self._client_token(*(variables[name] for name in CLIENT))
        readings_kwh: ReadingsKwh = {}
        parameters: dict[str, Any] = {"size": _PAGE_SIZE}
        for _ in range(_PAGES_READ):
            page = await self._api.call(
                "GET", "/v1/operator/charging-records", token=token, parameters=parameters
            )
            for record in page["items"]:
                known_kwh = readings_kwh.setdefault(serials.get(record["device_id"], ""), {})
                known_kwh.setdefault(record["connector_id"], record.get("meter_end", 0.0))
            if "next_cursor" not in page:
                break
            parameters["cursor"] = page["next_cursor"]
        return readings_kwh

    async def count_online(self, operator_id: str) -> int:
        """Return how many of the operator's chargers are online."""
        parameters = {"operator_id": operator_id, "status": "online", "size": 1}
        page = await self._admin("GET", "/v1/admin/devices", parameters=parameters)
        return int(page["total"])

    async def find_device(self, sn: str) -> str:
        """Return the id of the device with a serial number."""
        page = await self._admin("GET", "/v1/admin/devices", parameters={"sn": sn})
        return str(page["items"][0]["device_id"])

    async def _create_client(self, operator_id: str) -> tuple[str, str]:
        body = {"operator_id": operator_id, "name": _CLIENT_NAME, "scopes": ["read", "write"]}
        made = await self._admin("POST", "/v1/admin/clients", body)
        return made["client_id"], made["client_secret"]

    async def _create_peer(self, operator_id: str) -> tuple[str, str]:
        """Make a partner platform that the first site is shared with; it gets no pushes."""
        site = SITES[0]
        body = {"operator_id": operator_id, "name": _PEER_NAME, "timezone": site.timezone}
        made = await self._admin("POST", "/v1/admin/peers", body)
        parameters = {"operator_id": operator_id, "size": 1}
        page = await self._admin("GET", "/v1/admin/sites", parameters=parameters)
        share = {"site_id": page["items"][0]["site_id"]}
        await self._admin("POST", f"/v1/admin/peers/{made['peer_id']}/shares", share)
        return made["peer_id"], made["peer_secret"]

    async def _is_known(self, client_id: str, secret: str) -> bool:
        if not client_id or not secret:
            return False
        try:
            await self._client_token(client_id, secret)
        except CommandFailed as error:
            if error.is_unauthenticated:
                return False
            raise
        return True

    async def _client_token(self, client_id: str, secret: str) -> str:
        body = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }
        data = await self._api.call("POST", "/v1/operator/oauth/token", body)
        return str(data["access_token"])

    async def _admin(
        self, method: str, path: str, body: Any = None, parameters: dict[str, Any] | None = None
    ) -> Any:
        return await self._api.call(
            method, path, body, token=self._token, parameters=parameters, patient=True
        )
