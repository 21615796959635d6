"""Diagnostic reports over time: what becomes of them when nothing comes, late, or too late."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tellus.audit.model import Actor
from tellus.commands.model import Command, Phase
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.kernel.files import Upload
from tellus.reports.files import FileService
from tellus.reports.model import Report, ReportState, Wanted
from tellus.reports.rules import NOT_UPLOADED, may_upload, settle
from tellus.reports.service import (
    REPORT_KEPT_MS,
    UPLOAD_PATH,
    Client,
    ReportService,
    UploadTerms,
)
from tellus.storage.database import Tx
from tests.unit.commands.conftest import CLIENT, OPERATOR, CommandBench, run_bench

__all__ = ["run_bench"]

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
WHO = Client(CLIENT, OPERATOR, Actor(CLIENT, "req_1"))


class ReportBench:
    """Reports over the bench of commands."""

    def __init__(self, bench: CommandBench, public_url: str | None = None) -> None:
        self.bench = bench
        self.clock = bench.clock
        self.files = FileService(bench.database, bench.clock)
        terms = UploadTerms(bytes(range(32)), public_url, 30 * DAY_MS)
        self.service = ReportService(
            bench.database, bench.directory, bench.service, self.files, terms, bench.clock
        )

    async def ask(self) -> tuple[str, str]:
        """A report that was asked for, and the secret that its charger was told."""
        await self.bench.database.write(_add_device)
        report, _ = await self.service.request("dvc_1", Wanted(), WHO)
        (command,) = await self.bench.heartbeat()
        address = str(command["params"]["upload_url"])
        return report.report_id, address.rpartition("/")[2]

    async def state(self, report_id: str) -> tuple[str, str | None]:
        """How a report stands, and why."""
        report = await self.service.read(report_id, OPERATOR)
        return report.state.value, report.reason

    async def stored(self, report_id: str) -> str:
        """What the store says of it by itself."""
        sql = f"SELECT state FROM diagnostic_reports WHERE report_id = '{report_id}'"
        return str((await self.bench.rows(sql))[0][0])


def _add_device(tx: Tx) -> None:
    tx.execute(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, active, created_ms, updated_ms)"
        " VALUES (1, 'dvc_1', 'SN1', $1, 'site_1', 'M', 'X', '1', 1, 0, 0) ON CONFLICT DO NOTHING",
        OPERATOR,
    )


def upload(*chunks: bytes) -> Upload:
    """A body."""

    async def pieces() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return Upload("application/zip", None, pieces())


def test_address__with_a_public_url__is_absolute(run_bench: Any) -> None:
    """Chargers are told the whole address where the installation knows its own."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench, "https://cloud.example.com/")
        report, _ = await reports.service.request("dvc_1", Wanted(), WHO)
        (command,) = await bench.heartbeat()
        address = command["params"]["upload_url"]
        assert address.startswith(f"https://cloud.example.com{UPLOAD_PATH}upl_")
        bench.clock.advance(31)
        (again,) = await bench.heartbeat()
        assert again["params"] == command["params"]
        stored = await bench.rows("SELECT params FROM commands")
        assert "upload" not in stored[0][0]
        assert address.rpartition("/")[2] not in repr(
            await bench.rows("SELECT * FROM diagnostic_reports")
        )
        assert report.report_id in stored[0][0]

    run_bench(check)


def test_report__nobody_comes__fails_when_its_time_is_over(run_bench: Any) -> None:
    """A charger that stays away has the report fail as expired, in the store too."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report, _ = await reports.service.request("dvc_1", Wanted(), WHO)
        bench.clock.advance(3599)
        assert await reports.state(report.report_id) == ("queued", None)
        bench.clock.advance(1)
        assert await reports.state(report.report_id) == ("failed", "expired")
        assert await reports.stored(report.report_id) == "queued"
        await reports.service.sweep()
        assert await reports.stored(report.report_id) == "failed"

    run_bench(check)


def test_report__completed_without_a_file__fails_as_not_uploaded(run_bench: Any) -> None:
    """A charger that says it is done and sent nothing is waited for, and then it was not."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        command_id = (await reports.service.read(report_id, OPERATOR)).command_id
        await bench.say(command_id, "accepted")
        await bench.say(command_id, "completed", at_s=1)
        assert await reports.state(report_id) == ("queued", None)
        bench.clock.advance(3600)
        assert await reports.state(report_id) == ("failed", NOT_UPLOADED)
        with pytest.raises(NotFound):
            await reports.service.take(secret, upload(b"late"))

    run_bench(check)


def test_report__silent_charger_uploads_all_the_same__is_healed(run_bench: Any) -> None:
    """No answer to the command fails the report for now; an upload in time makes it ready."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        for _ in range(2):
            bench.clock.advance(31)
            await bench.heartbeat()
        bench.clock.advance(31)
        assert await reports.state(report_id) == ("failed", "no_response")
        await reports.service.sweep()
        assert await reports.stored(report_id) == "queued"
        taken = await reports.service.take(secret, upload(b"logs"))
        assert (taken.state, taken.size) == (ReportState.READY, 4)
        assert await reports.state(report_id) == ("ready", None)

    run_bench(check)


def test_report__file_past_its_time__is_gone_and_said_so(run_bench: Any) -> None:
    """After 30 days there is no download; after a year no report."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        await reports.service.take(secret, upload(b"logs"))
        bench.clock.advance(30 * 86_400 - 1)
        answer = await reports.service.download(report_id, OPERATOR)
        assert b"".join([piece async for piece in answer.pieces]) == b"logs"
        bench.clock.advance(1)
        with pytest.raises(NotFound):
            await reports.service.download(report_id, OPERATOR)
        await reports.files.sweep()
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(0,)]
        report = await reports.service.read(report_id, OPERATOR)
        assert report.state is ReportState.READY
        assert (report.expires_ms or 0) <= bench.clock.now_ms()
        bench.clock.advance(REPORT_KEPT_MS / 1000)
        await reports.service.sweep()
        with pytest.raises(NotFound):
            await reports.service.read(report_id, OPERATOR)

    run_bench(check)


def test_report__upload_of_a_dead_process__is_queued_again(run_bench: Any) -> None:
    """What says `uploading` and brings nothing any more waits for another upload."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        report = await reports.service.read(report_id, OPERATOR)
        await reports.service._set_state(report, ReportState.UPLOADING)
        bench.clock.advance(240)
        await reports.service.sweep()
        assert await reports.state(report_id) == ("uploading", None)
        bench.clock.advance(61)
        await reports.service.sweep()
        assert (await reports.stored(report_id)) == "queued"
        assert (await reports.service.take(secret, upload(b"x"))).state is ReportState.READY

    run_bench(check)


def test_upload__empty_or_of_a_device_that_left__is_refused(run_bench: Any) -> None:
    """An empty file is none; a device that is gone or another operator's has no address."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        with pytest.raises(InvalidParameter):
            await reports.service.take(secret, upload())
        assert await reports.state(report_id) == ("queued", None)
        device = bench.directory.by_id("dvc_1")
        assert device is not None
        device.operator_id = "op_2"
        with pytest.raises(NotFound):
            await reports.service.take(secret, upload(b"x"))
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(0,)]

    run_bench(check)


@pytest.mark.parametrize("knows", [True, False])
def test_upload__device_leaves_in_the_middle__is_refused(run_bench: Any, *, knows: bool) -> None:
    """What a charger says after it changed hands is not for whom it left, whichever node knows."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        device = bench.directory.by_id("dvc_1")
        assert device is not None

        async def pieces() -> AsyncIterator[bytes]:
            yield b"of the one"
            if knows:
                device.operator_id = "op_2"
            sql = "UPDATE devices SET operator_id = 'op_2'"
            await bench.database.write(lambda tx: tx.execute(sql))
            yield b"of the other"

        with pytest.raises(NotFound):
            await reports.service.take(secret, Upload("application/zip", None, pieces()))
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(0,)]
        assert (await reports.state(report_id))[0] == "queued"

    run_bench(check)


def test_erasing__reports_of_a_device__go_with_it(run_bench: Any) -> None:
    """A device that is erased leaves neither reports nor files."""

    async def check(bench: CommandBench) -> None:
        reports = ReportBench(bench)
        report_id, secret = await reports.ask()
        await reports.service.take(secret, upload(b"logs"))
        while (await reports.files.erase_some(1, 10)).more:
            pass
        assert await bench.database.write(reports.service.erase_some, 1, 10) == 1
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(0,)]
        with pytest.raises(NotFound):
            await reports.service.read(report_id, OPERATOR)

    run_bench(check)


# ------------------------------------------------------------------------------ rules

REPORT = Report(
    "rpt_1", OPERATOR, 1, "dvc_1", "cmd_1", "digest", HOUR_MS,
    ReportState.QUEUED, None, Wanted(), 0, 0,
)  # fmt: skip


def command(phase: Phase, reason: str | None = None) -> Command:
    """The command of a report in a phase."""
    return Command(
        command_id="cmd_1", device_no=1, device_id="dvc_1", connector_id=0, operator_id=OPERATOR,
        client_id=CLIENT, command="fetch_logs", params="{}", transaction_id=None, created_ms=0,
        updated_ms=0, expires_ms=HOUR_MS, phase=phase,
        result=None if reason is None else {"reason": reason},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "now_ms", "state", "reason", "open_"),
    [
        (command(Phase.QUEUED), 0, "queued", None, True),
        (command(Phase.ACCEPTED), 0, "queued", None, True),
        (command(Phase.COMPLETED), HOUR_MS - 1, "queued", None, True),
        (command(Phase.COMPLETED), HOUR_MS, "failed", NOT_UPLOADED, False),
        (command(Phase.FAILED), 0, "failed", "refused", False),
        (command(Phase.FAILED, "rejected"), 0, "failed", "rejected", False),
        (command(Phase.LAPSED, "no_response"), 0, "failed", "no_response", True),
        (command(Phase.LAPSED, "expired"), HOUR_MS, "failed", "expired", False),
        (command(Phase.LAPSED, "cancelled"), 0, "failed", "cancelled", False),
        (None, 0, "failed", "cancelled", False),
    ],
)
def test_settle__by_its_command__says_state_reason_and_whether_it_is_open(
    given: Command | None, now_ms: int, state: str, reason: str | None, *, open_: bool
) -> None:
    """Each phase of the command and moment has one meaning for the report."""
    settled = settle(REPORT, given, now_ms)
    assert (settled.state.value, settled.reason) == (state, reason)
    assert may_upload(REPORT, given, now_ms) is open_


@pytest.mark.parametrize("state", [ReportState.READY, ReportState.FAILED, ReportState.UPLOADING])
def test_settle__not_waiting__stays_as_it_is(state: ReportState) -> None:
    """What has come, is coming or has failed for good does not depend on the command."""
    report = REPORT._replace(state=state)
    assert settle(report, command(Phase.FAILED), HOUR_MS) == report


def test_upload__at_two_nodes_at_once__one_of_them_wins(run_bench: Any) -> None:
    """The store decides: the first to finish is the report, the other finds nothing."""

    async def check(bench: CommandBench) -> None:
        one = ReportBench(bench)
        report_id, secret = await one.ask()
        other = ReportBench(bench)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"of the first node"
            await other.service.take(secret, upload(b"of the second node"))

        with pytest.raises(NotFound):
            await one.service.take(secret, Upload("application/zip", None, pieces()))
        answer = await one.service.download(report_id, OPERATOR)
        assert b"".join([piece async for piece in answer.pieces]) == b"of the second node"
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(1,)]

    run_bench(check)


def test_upload__same_bytes_at_two_nodes__both_are_answered_alike(run_bench: Any) -> None:
    """A repeat that overtakes the first at another node is no loss for either."""

    async def check(bench: CommandBench) -> None:
        one = ReportBench(bench)
        _, secret = await one.ask()
        other = ReportBench(bench)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"logs"
            await other.service.take(secret, upload(b"logs"))

        taken = await one.service.take(secret, Upload("application/zip", None, pieces()))
        assert taken == await other.service.read(taken.report_id, OPERATOR)
        assert await bench.rows("SELECT count(*) FROM stored_files") == [(1,)]

    run_bench(check)
