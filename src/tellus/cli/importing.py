"""``tellus import records`` and ``tellus replay``: charging records from a file, through the API.

Each device of the file is provisioned and registered like a charger, and its records go in by the
batch endpoint. Its credentials are kept in a state file, so that a second run changes nothing.
"""

import asyncio
import json
import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from tellus.cli.client import (
    AdminAccess,
    Api,
    ApiClient,
    CommandFailed,
    ExitCode,
    data_dir_option,
    find_access,
)
from tellus.cli.recordfile import (
    DeviceRecords,
    cut_batches,
    derive_events,
    derive_samples,
    is_replayable,
    progress,
    read_records,
)

_STATE_FILE: Final = "import-state.json"
_DEVICES_AT_ONCE: Final = 8
_REJECTIONS_SHOWN: Final = 10
_RECORDS: Final = "charging-records"

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run was asked for."""

    site: str
    operator: str | None
    model: str
    reclaim: bool
    interval_s: float | None
    state_path: Path


@dataclass
class Tally:
    """What became of what was sent, by kind; energy (kWh) of the records that are stored now."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    energies_kwh: list[float] = field(default_factory=list)
    rejections: list[dict[str, Any]] = field(default_factory=list)

    def note(self, kind: str, item: dict[str, Any], outcome: dict[str, Any]) -> None:
        """Count one item."""
        what = outcome["outcome"]
        self.outcomes.setdefault(kind, Counter())[what] += 1
        if what == "rejected":
            named = {name: outcome.get(name) for name in ("code", "message", "details")}
            self.rejections.append({"kind": kind, "record_id": item.get("record_id"), **named})
        elif kind == _RECORDS:
            self.energies_kwh.append(float(item["energy"]))


class State:
    """The credentials of imported devices, by platform and serial number, in a 0600 file."""

    def __init__(self, path: Path, base_url: str) -> None:
        self._path = path
        self._base_url = base_url
        self._held: dict[str, dict[str, dict[str, str]]] = {}
        try:
            self._held = json.loads(path.read_text())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            message = f"The state file {path} cannot be read: {error}"
            raise CommandFailed(message, ExitCode.USAGE) from None

    def find(self, serial: str) -> dict[str, str] | None:
        """Return what is known of a device of this platform, or None."""
        return self._held.get(self._base_url, {}).get(serial)

    def put(self, serial: str, credentials: dict[str, str]) -> None:
        """Remember a device, at once and whole: a secret that is lost cannot be asked for again."""
        self._held.setdefault(self._base_url, {})[serial] = credentials
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}.new")
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(self._held, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)


class Import:
    """One run against one platform."""

    def __init__(self, api: Api, token: str, state: State, options: Options) -> None:
        self._api = api
        self._token = token
        self._state = state
        self._options = options
        self.tally = Tally()

    async def find_site(self) -> str:
        """Return the site that was named by id or name; create it where an operator is given.

        Raises:
            CommandFailed: there is none and no operator to create it for, or more than one.
        """
        wanted, operator = self._options.site, self._options.operator
        parameters = {} if operator is None else {"operator_id": operator}
        sites = [
            site
            async for site in self._api.pages(
                "/v1/admin/sites", token=self._token, parameters=parameters
            )
            if wanted in (site["site_id"], site["name"])
        ]
        exact = [site for site in sites if site["site_id"] == wanted] or sites
        if len(exact) > 1:
            message = f"{len(exact)} sites are named {wanted!r}; give the site's id"
            raise CommandFailed(message, ExitCode.CONFLICT)
        if exact:
            return str(exact[0]["site_id"])
        if operator is None:
            message = f"No site has the id or name {wanted!r}; --operator OP creates it"
            raise CommandFailed(message, ExitCode.NOT_FOUND)
        body = {"operator_id": operator, "name": wanted}
        site = await self._admin("POST", "/v1/admin/sites", body)
        return str(site["site_id"])

    async def send_device(self, device: DeviceRecords, site_id: str, told: Told) -> None:
        """Send the records of a device, and in a replay what is derived from them."""
        token = await self._device_token(device, site_id)
        interval_s = self._options.interval_s
        if interval_s is not None:
            sound = [record for record in device.records if is_replayable(record)]
            events = [event for record in sound for event in derive_events(record)]
            samples = [sample for record in sound for sample in derive_samples(record, interval_s)]
            await self._send(token, "events", events, None)
            await self._send(token, "telemetry", samples, None)
        await self._send(token, _RECORDS, device.records, told)

    async def _send(
        self, token: str, kind: str, items: list[dict[str, Any]], told: Told | None
    ) -> None:
        for part, body in cut_batches(items):
            answer = await self._api.call(
                "POST", f"/v1/device/{kind}/batch", body, token=token, patient=True
            )
            for item, outcome in zip(part, answer["items"], strict=True):
                self.tally.note(kind, item, outcome)
            if told is not None:
                told(len(part))

    async def _device_token(self, device: DeviceRecords, site_id: str) -> str:
        """Return a token of the device, which registers if it is not known yet."""
        credentials = self._state.find(device.serial)
        if credentials is not None:
            try:
                return await self._ask_token(credentials)
            except CommandFailed as error:
                if not error.is_unauthenticated:
                    raise
        credentials = await self._register(device, site_id)
        self._state.put(device.serial, credentials)
        return await self._ask_token(credentials)

    async def _ask_token(self, credentials: dict[str, str]) -> str:
        body = {**credentials, "grant_type": "client_credentials"}
        data = await self._api.call("POST", "/v1/device/token", body, patient=True)
        return str(data["access_token"])

    async def _register(self, device: DeviceRecords, site_id: str) -> dict[str, str]:
        enrolment_token = await self._enrol(device, site_id)
        body = {
            "sn": device.serial,
            "model": self._options.model,
            "manufacturer": "imported",
            "firmware_version": "imported",
        }
        data = await self._api.call(
            "POST", "/v1/device/register", body, token=enrolment_token, patient=True
        )
        return {"device_id": data["device_id"], "device_secret": data["device_secret"]}

    async def _enrol(self, device: DeviceRecords, site_id: str) -> str:
        """Return an enrolment token for a device, new or, where that was asked for, known.

        Raises:
            CommandFailed: the serial number is a device already whose secret is not known here.
        """
        body = {
            "sn": device.serial,
            "site_id": site_id,
            "model": self._options.model,
            "connectors": device.connectors,
        }
        try:
            data = await self._admin("POST", "/v1/admin/devices/provision", body)
        except CommandFailed as error:
            if not error.is_conflict:
                raise
            data = await self._reclaim(device)
        return str(data["enrolment_token"])

    async def _reclaim(self, device: DeviceRecords) -> Any:
        if not self._options.reclaim:
            message = (
                f"{device.serial} is a device already and its secret is not in the state file;"
                " --reclaim gives it a new secret"
            )
            raise CommandFailed(message, ExitCode.CONFLICT)
        parameters = {"sn": device.serial}
        found = await self._admin("GET", "/v1/admin/devices", parameters=parameters)
        device_id = found["items"][0]["device_id"]
        return await self._admin("POST", f"/v1/admin/devices/{device_id}/reclaim")

    async def _admin(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        return await self._api.call(method, path, body, token=self._token, patient=True, **options)


async def _run(
    access: AdminAccess, devices: list[DeviceRecords], options: Options
) -> dict[str, Any]:
    state = State(options.state_path, access.base_url)
    total = sum(len(device.records) for device in devices)
    async with Api(access.base_url) as api:
        work = Import(api, await api.admin_token(access), state, options)
        site_id = await work.find_site()
        turns = asyncio.Semaphore(_DEVICES_AT_ONCE)
        with progress(total, "Records") as bar:

            async def send(device: DeviceRecords) -> None:
                async with turns:
                    await work.send_device(device, site_id, bar.update)

            await asyncio.gather(*(send(device) for device in devices))
    return _summary(work.tally, site_id, devices)


def _summary(tally: Tally, site_id: str, devices: list[DeviceRecords]) -> dict[str, Any]:
    records = tally.outcomes.get(_RECORDS, Counter())
    summary: dict[str, Any] = {
        "site_id": site_id,
        "devices": len(devices),
        "records": records.total(),
        "stored": records["stored"],
        "duplicates": records["duplicate"],
        "rejected": records["rejected"],
        "energy_kwh": round(math.fsum(tally.energies_kwh), 6),
    }
    for kind in ("events", "telemetry"):
        if kind in tally.outcomes:
            summary[kind] = dict(sorted(tally.outcomes[kind].items()))
    if tally.rejections:
        summary["rejections"] = tally.rejections[:_REJECTIONS_SHOWN]
    return summary


def _import_file(path: Path, data_dir: Path | None, state_path: Path | None, **asked: Any) -> None:
    access = find_access(data_dir)
    if state_path is None:
        state_path = Path(_STATE_FILE) if data_dir is None else data_dir / _STATE_FILE
    options = Options(state_path=state_path, **asked)
    devices = read_records(path)
    with ApiClient(access) as client:
        summary = client.run(_run(access, devices, options))
    click.echo(json.dumps(summary, indent=2))
    rejected = len(summary.get("rejections", ()))
    if rejected:
        raise CommandFailed("Some items were rejected; see 'rejections'", ExitCode.FAILED)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both commands have."""
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="The summary is JSON in any case."),
        click.option("--reclaim", is_flag=True, help="Give known devices a new secret."),
        click.option(
            "--state-file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Where the devices' secrets are kept; in the data directory by default.",
        ),
        click.option(
            "--model", default="imported", show_default=True, help="Model of the devices."
        ),
        click.option("--operator", help="Operator for whom a site of this name is created."),
        click.option("--site", required=True, help="Id or name of the devices' site."),
        data_dir_option,
        click.argument(
            "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE"
        ),
    ):
        command = decorate(command)
    return command


@click.group("import")
def import_group() -> None:
    """Take over data from files."""


@import_group.command("records")
@_options
def import_records(
    file: Path, data_dir: Path | None, state_file: Path | None, *, as_json: bool, **asked: Any
) -> None:
    """Turn the charging records of FILE (JSON lines) into devices and records.

    Each line is a record as a charger uploads it, with an additional `device_key` that names its
    device. What is stored already stays as it is, so the command may be repeated.
    """
    del as_json
    _import_file(file, data_dir, state_file, interval_s=None, **asked)


@click.command()
@_options
@click.option(
    "--interval",
    "interval_s",
    default=300.0,
    show_default=True,
    type=click.FloatRange(1.0, 3600.0),
    help="Seconds between the samples derived from a record.",
)
def replay(
    file: Path, data_dir: Path | None, state_file: Path | None, *, as_json: bool, **asked: Any
) -> None:
    """Like `import records`, with the events and a coarse telemetry that each record implies.

    Both carry the record's own times. The telemetry is uniform and marked as `replayed`.
    """
    del as_json
    _import_file(file, data_dir, state_file, **asked)
