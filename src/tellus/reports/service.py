"""Diagnostic reports: asked for, uploaded by the charger under an address of one use, kept a while.

The secret in an upload address is made from the instance's key and the report, when the command is
handed to its charger. The store holds its digest alone, and nobody else gets to see it.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands.model import DEVICE_LEVEL, FETCH_LOGS, Command, Issued, Terms
from tellus.commands.repeats import make_key
from tellus.commands.service import CommandService
from tellus.consent.model import BIT, NotConsented, Service
from tellus.consent.service import Withdrawn
from tellus.fleet.directory import Directory
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, InvalidParameter, NotFound
from tellus.kernel.files import FileAnswer, Upload
from tellus.kernel.ids import new_id
from tellus.kernel.units import DAY_MS, MINUTE_MS, to_text
from tellus.reports import rules, store
from tellus.reports.files import FileService
from tellus.reports.model import Report, ReportState, StoredFile, Wanted
from tellus.storage.database import Database, Tx

UPLOAD_PATH: Final = "/v1/device/diagnostics/uploads/"
KIND: Final = "diagnostics"
NO_CONSENT: Final = "no_consent"
"""Why a report failed that was under way when its device's owner did not agree any more."""
REPORT_KEPT_MS: Final = 365 * DAY_MS

_TOUCH_EVERY_S: Final = 60.0
_SILENT_MS: Final = 5 * MINUTE_MS
_AT_ONCE: Final = 100
_ENDINGS: Final = {
    "application/zip": "zip",
    "application/gzip": "gz",
    "application/x-tar": "tar",
    "application/json": "json",
    "text/plain": "txt",
}


class UploadTerms(NamedTuple):
    """How uploads go: the key of their secrets, where the server is reached, how long they stay.

    Without ``public_url`` chargers are told a path, which they resolve against their base URL.
    """

    key: bytes
    public_url: str | None
    kept_ms: int


class Client(NamedTuple):
    """Who asks for a report, and under which key it may ask again."""

    client_id: str
    operator_id: str
    by: Actor
    idempotency_key: str = ""


class _TakenError(Exception):
    """Raised inside a transaction: another upload was first."""


class ReportService:
    """Use cases of diagnostic reports; ``sweep`` is to be called now and then, on duty."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        commands: CommandService,
        files: FileService,
        terms: UploadTerms,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._commands = commands
        self._files = files
        self._terms = terms
        self._clock = clock
        self._claims: dict[str, object] = {}
        commands.completions.add(FETCH_LOGS, self._complete)

    # ------------------------------------------------------------------ operators

    async def request(
        self, device_id: str, wanted: Wanted, client: Client
    ) -> tuple[Report, Issued]:
        """Ask a device for its logs; return the report and the command.

        Raises:
            NotFound: the device is absent or another operator's.
            KeyReused: the key stands for another request.
            TooManyRequests: 50 commands of the device are pending.
        """
        now_ms = self._clock.now_ms()
        report_id = new_id("rpt")
        content = ("diagnostics", device_id, wanted)
        key = make_key(client.client_id, client.idempotency_key, *content)
        issued = await self._commands.issue_command(
            FETCH_LOGS,
            device_id,
            DEVICE_LEVEL,
            _params(report_id, wanted),
            (client.client_id, client.operator_id),
            now_ms,
            Terms(key, client.by, partial(self._append, report_id, wanted, client.by)),
        )
        first_id = str(msgspec.json.decode(issued.command.params)["report_id"])
        return await self.read(first_id, client.operator_id), issued

    def _append(self, report_id: str, wanted: Wanted, by: Actor, tx: Tx, command: Command) -> None:
        made = Report(
            report_id, command.operator_id, command.device_no, command.device_id,
            command.command_id, _digest(self._secret_of(report_id)), command.expires_ms,
            ReportState.QUEUED, None, wanted, command.created_ms, command.created_ms,
        )  # fmt: skip
        store.append_report(tx, made)
        record(
            tx, by.name, "device.diagnostics_requested", "device", command.device_id,
            command.operator_id, by.request_id, command.created_ms, report_id=report_id,
        )  # fmt: skip

    async def read(self, report_id: str, operator_id: str) -> Report:
        """Return a report as it stands now.

        Raises:
            NotFound: it is absent or another operator's.
        """
        report = await self._database.read(store.find_report, report_id)
        if report is None or report.operator_id != operator_id:
            raise NotFound
        return await self._settled(report)

    async def list_reports(
        self, device_id: str, operator_id: str, offset: int, size: int
    ) -> tuple[int, list[Report]]:
        """Return how many reports a device was asked for and a page of them, newest first.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device_no = await self._commands.find_device_no(device_id, operator_id)
        total, reports = await self._database.read(_load_page, operator_id, device_no, size, offset)
        return total, [await self._settled(report) for report in reports]

    async def download(self, report_id: str, operator_id: str) -> FileAnswer:
        """Return the file of a report.

        Raises:
            NotFound: report or file is absent, expired or another operator's.
        """
        report = await self.read(report_id, operator_id)
        if report.file_id is None:
            raise NotFound
        return await self._files.answer(report.file_id, operator_id)

    # ------------------------------------------------------------------- chargers

    async def take(self, secret: str, upload: Upload) -> Report:
        """Store what a charger uploads; return the report, ready (rule U8).

        The same upload again, because its answer got lost, is answered like the first.

        Raises:
            NotFound: the address is unknown, used or its time is over; the three look alike.
            NotConsented: the device's owner has not agreed, or no longer does.
            InvalidParameter: the body is empty, or ended before it was complete.
        """
        report = await self._database.read(store.find_by_digest, _digest(secret))
        if report is None:
            raise NotFound
        if report.file_id is not None:
            return await _repeat(report, upload)
        command = await self._find_command(report)
        if not rules.may_upload(report, command, self._clock.now_ms()):
            raise NotFound
        self._check_device(report)
        return await self._take(report, upload)

    def _check_device(self, report: Report) -> None:
        """Raise where a report's device is not its operator's any more, or its owner objects."""
        device = self._directory.owned(report.device_id, report.operator_id)
        if device is None:
            raise NotFound
        if not device.allows(Service.DIAGNOSTICS, self._clock.now_ms()):
            raise NotConsented(Service.DIAGNOSTICS)

    async def _take(self, report: Report, upload: Upload) -> Report:
        claim = self._claims[report.report_id] = object()
        digest = hashlib.sha256()
        now_ms = self._clock.now_ms()
        await self._set_state(report, ReportState.UPLOADING)
        try:
            await self._files.store(
                report.operator_id,
                KIND,
                _name(report, upload.media_type, now_ms),
                upload.media_type,
                self._watch(report, claim, upload, digest),
                now_ms + self._terms.kept_ms,
                device_no=report.device_no,
                along=partial(self._finish, report.report_id),
            )
        except _TakenError:
            return await self._compare(report, digest.hexdigest())
        except BaseException:
            if self._claims.get(report.report_id) is claim:
                await asyncio.shield(asyncio.ensure_future(self._give_up(report)))
            raise
        finally:
            if self._claims.get(report.report_id) is claim:
                del self._claims[report.report_id]
        return await self.read(report.report_id, report.operator_id)

    async def _watch(
        self, report: Report, claim: object, upload: Upload, digest: "hashlib._Hash"
    ) -> AsyncIterator[bytes]:
        """Yield the pieces of an upload until a newer one of the same report begins here."""
        touched_s = self._clock.monotonic_s()
        is_empty = True
        async for piece in upload.pieces:
            if self._claims.get(report.report_id) is not claim:
                raise NotFound
            self._check_device(report)  # an upload may take long
            if self._clock.monotonic_s() - touched_s > _TOUCH_EVERY_S:
                touched_s = self._clock.monotonic_s()
                await self._set_state(report, ReportState.UPLOADING)
            digest.update(piece)
            is_empty = False
            yield piece
        if is_empty:
            message = "The body is empty"
            raise InvalidParameter(message, "body")

    def _finish(self, report_id: str, tx: Tx, file: StoredFile) -> None:
        """Make the report ready, unless another upload was first."""
        tx.lock(f"report:{report_id}")
        report = store.find_report(tx, report_id)
        if report is None or report.file_id is not None:
            raise _TakenError
        if report.reason == NO_CONSENT:
            raise NotConsented(Service.DIAGNOSTICS)
        if store.find_owner(tx, report.device_no) != report.operator_id:
            raise NotFound
        store.set_file(tx, report_id, file, self._clock.now_ms())

    async def _compare(self, report: Report, sha256: str) -> Report:
        stored = await self._database.read(store.find_report, report.report_id)
        if stored is None or stored.sha256 != sha256:
            raise NotFound
        return stored

    async def _give_up(self, report: Report) -> None:
        with contextlib.suppress(ApiError):  # the sweep sees it otherwise
            await self._set_state(report, ReportState.QUEUED)

    @staticmethod
    def withdraw(tx: Tx, withdrawn: Withdrawn) -> None:
        """Let open reports fail in the transaction in which their devices' consent ends."""
        bit = BIT[Service.DIAGNOSTICS]
        gone = sorted(number for number, held in withdrawn.services.items() if not held & bit)
        store.withdraw(tx, gone, NO_CONSENT, withdrawn.now_ms)

    async def _set_state(
        self, report: Report, state: ReportState, reason: str | None = None
    ) -> None:
        now_ms = self._clock.now_ms()
        await self._database.write(store.set_state, report.report_id, state, reason, now_ms)

    def _complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the charger is told beside the stored parameters of its command."""
        report_id = params.get("report_id")
        if report_id is None:
            return {}
        base_url = (self._terms.public_url or "").rstrip("/")
        return {"upload_url": base_url + UPLOAD_PATH + self._secret_of(report_id)}

    def _secret_of(self, report_id: str) -> str:
        made = hmac.digest(self._terms.key, report_id.encode(), "sha256")
        return "upl_" + base64.urlsafe_b64encode(made).rstrip(b"=").decode()

    # -------------------------------------------------------------------- by itself

    async def sweep(self) -> None:
        """Let reports follow what became of their commands and uploads; drop the oldest."""
        last_id = ""
        while reports := await self._database.read(store.list_open, last_id, _AT_ONCE):
            last_id = reports[-1].report_id
            for report in reports:
                await self._follow(report)
        before_ms = self._clock.now_ms() - REPORT_KEPT_MS
        await self._database.write(store.remove_before, before_ms, _AT_ONCE)

    @staticmethod
    def erase_some(tx: Tx, device_no: int, limit: int) -> int:
        """Delete up to ``limit`` reports of a device, as a part of erasing it; return how many."""
        return store.remove_of(tx, device_no, limit)

    async def _follow(self, report: Report) -> None:
        now_ms = self._clock.now_ms()
        if report.state is ReportState.UPLOADING:
            if now_ms - report.touched_ms < _SILENT_MS:
                return
            report = report._replace(state=ReportState.QUEUED)
            await self._set_state(report, ReportState.QUEUED)
        command = await self._find_command(report)
        settled = rules.settle(report, command, now_ms)
        if settled.state is ReportState.FAILED and rules.is_final(report, command, now_ms):
            await self._set_state(report, ReportState.FAILED, settled.reason)

    async def _settled(self, report: Report) -> Report:
        if report.state is not ReportState.QUEUED:
            return report
        return rules.settle(report, await self._find_command(report), self._clock.now_ms())

    async def _find_command(self, report: Report) -> Command | None:
        now_ms = self._clock.now_ms()
        try:
            found = await self._commands.read_command(report.command_id, report.operator_id, now_ms)
        except NotFound:
            return None
        return found[0]


async def _repeat(report: Report, upload: Upload) -> Report:
    """Read what may be the same upload again; raises NotFound where it is not."""
    if upload.size not in {None, report.size}:
        raise NotFound
    digest = hashlib.sha256()
    async for piece in upload.pieces:
        digest.update(piece)
    if digest.hexdigest() != report.sha256:
        raise NotFound
    return report


def _params(report_id: str, wanted: Wanted) -> dict[str, Any]:
    """Return what goes out with the command, and may be seen by operators."""
    params: dict[str, Any] = {"report_id": report_id}
    if wanted.from_ms is not None:
        params["from"] = to_text(wanted.from_ms)
    if wanted.to_ms is not None:
        params["to"] = to_text(wanted.to_ms)
    return params


def _name(report: Report, media_type: str, now_ms: int) -> str:
    day = to_text(now_ms)[:10]
    return f"diagnostics-{report.device_id}-{day}.{_ENDINGS.get(media_type, 'bin')}"


def _load_page(
    tx: Tx, operator_id: str, device_no: int, size: int, offset: int
) -> tuple[int, list[Report]]:
    reports = store.list_of_device(tx, operator_id, device_no, size, offset)
    return store.count_of_device(tx, operator_id, device_no), reports


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
