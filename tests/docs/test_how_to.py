"""The how-to pages work as printed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tellus.cli.serve import check_exposure
from tellus.config import load_configuration
from tests.docs.conftest import CHARGERS
from tests.docs.markdown import REPOSITORY, Block, read_blocks
from tests.docs.pasting import Pasted, paste_into_shell

HOW_TO = REPOSITORY / "docs" / "how-to"


def find(steps: list[Pasted], part: str) -> str:
    """What the first block that holds ``part`` printed."""
    return next(step.output for step in steps if part in step.block.text)


def test_connect_a_charger__as_printed__takes_it_from_provisioning_to_rotation(
    reader_folder: Path,
) -> None:
    """A charger spoken by curl registers, reports, takes a command and rotates its secret."""
    steps = paste_into_shell(read_blocks(HOW_TO / "connect-a-charger.md", "sh"), reader_folder)
    success = '{"code":0,"message":"success","data":null}\n'
    assert '"data":{"commands":[]}' in find(steps, "send heartbeat")
    assert find(steps, "send telemetry ") == success
    assert find(steps, "send events ") == success
    assert find(steps, "send charging-records ") == success
    polled = find(steps, "command.json &")
    assert '"command":"start_charging","params":{"connector_id":1,"charge_power":50' in polled
    assert re.search(r'"status": ?"completed"', find(steps, "command-status"))
    batch = json.loads(find(steps, "send telemetry/batch"))
    outcomes = [item["outcome"] for item in batch["data"]["items"]]
    assert outcomes == ["stored", "stored", "rejected"]


def test_rehearse_failures__as_printed__shows_the_fault_and_the_refusal(
    reader_folder: Path,
) -> None:
    """A fleet of its own is told to break down and to refuse, and the platform says so."""
    steps = paste_into_shell(read_blocks(HOW_TO / "rehearse-failures.md", "sh"), reader_folder)
    assert '"F-0203"' in find(steps, "clear-fault")
    refused = find(steps, "clear_cache")
    assert re.search(r'"reason": ?"rejected"', refused), refused
    assert "acknowledged" in find(steps, "kill")


def test_tls_and_proxies__as_printed__answers_over_tls(reader_folder: Path) -> None:
    """The trial of direct TLS serves with the certificate made for it, and ends."""
    steps = paste_into_shell(read_blocks(HOW_TO / "tls-and-proxies.md", "sh"), reader_folder)
    assert '{"status":"ready"}' in find(steps, "--cacert")
    assert '"items"' in find(steps, "tellus api GET /v1/operator/sites")


def test_import_and_replay__as_printed__stores_once_and_derives_the_rest(
    reader_folder: Path,
) -> None:
    """The first run stores three records, the second none; a replay adds events and samples."""
    blocks = read_blocks(HOW_TO / "import-and-replay.md", "sh")
    _, first, second, queried, replayed = paste_into_shell(blocks, reader_folder)
    assert _summary(first)["stored"] == 3
    assert _summary(first)["energy_kwh"] == 42.75
    assert (_summary(second)["stored"], _summary(second)["duplicates"]) == (0, 3)
    page = json.loads(queried.output)["data"]
    assert [item["record_id"] for item in page["items"]] == ["w1-0002", "w2-0001", "w1-0001"]
    assert _summary(replayed)["duplicates"] == 3
    assert _summary(replayed)["events"]["stored"] == 12
    assert _summary(replayed)["telemetry"]["stored"] > 20


def test_export_data__as_printed__writes_whole_files(reader_folder: Path) -> None:
    """Command line and curl give files with a header, named as the page says."""
    steps = paste_into_shell(read_blocks(HOW_TO / "export-data.md", "sh"), reader_folder)
    heads = find(steps, "head -n 2")
    assert "record_id,device_id,connector_id,site_id,start_time" in heads
    assert "time,charge_energy,discharge_energy,max_power,avg_power" in heads
    assert "timestamp,device_id,connector_id,measurand,phase,value" in heads
    piped = find(steps, "tail -n 3")
    assert "bytes written to the standard output" in piped
    assert "timestamp,device_id" in piped or "Power.Active.Import" in piped
    assert re.search(r"charging-records-\d{8}T\d{6}Z\.csv", find(steps, "Accept: text/csv"))


def test_fetch_logs__as_printed__asks_uploads_and_downloads(reader_folder: Path) -> None:
    """The report is queued, the bundle comes in, and what is downloaded is what was sent."""
    steps = paste_into_shell(read_blocks(HOW_TO / "fetch-logs.md", "sh"), reader_folder)
    assert re.search(r'"status": ?"queued"', find(steps, "stuck since Monday"))
    assert '"sha256"' in find(steps, "--data-binary")
    fetched = find(steps, "gunzip")
    assert re.search(r'"status": ?"ready"', fetched)
    assert "boot 1: watchdog" in fetched
    assert re.search(r'"total": ?1', fetched)


def test_read_energy__as_printed__counts_the_night_when_clocks_change(
    reader_folder: Path,
) -> None:
    """Hours, a local day of 25 hours and sites are answered with the figures of the records."""
    steps = paste_into_shell(read_blocks(HOW_TO / "read-energy.md", "sh"), reader_folder)
    hours = json.loads(find(steps, "granularity=hour"))["data"]
    assert [point["charge_energy"] for point in hours["series"]] == [4.0, 6.0, 0.5]
    days = json.loads(find(steps, "granularity=day"))["data"]["series"]
    assert [day["time"] for day in days] == ["2025-10-25", "2025-10-26"]
    assert [day["charge_energy"] for day in days] == [10.0, 60.5]
    assert days[1]["avg_power"] == pytest.approx((60.5 - 9.0) / 25)
    months = json.loads(find(steps, "group_by=site"))["data"]
    assert max(group["total"]["charge_energy"] for group in months["groups"]) == 70.5


def test_keep_configurations_in_step__as_printed__assigns_compares_and_takes_away(
    reader_folder: Path,
) -> None:
    """A profile is kept, assigned to a charger and its site, compared, changed and taken away."""
    blocks = read_blocks(HOW_TO / "keep-configurations-in-step.md", "sh")
    steps = paste_into_shell(blocks, reader_folder)
    assert '"running_config_hash"' in find(steps, "PROFILE=$(")
    assigned = find(steps, "sites/$SITE/config-profile")
    queued = re.search(r'"queued": ?(\d+), ?"refused": ?0\b', assigned)
    # Readers of other pages may have connected chargers of their own.
    assert queued is not None, assigned
    assert int(queued[1]) >= CHARGERS
    compared = find(steps, "?state=drifted")
    assert re.search(r'"state": ?"(applying|in_sync|drifted)"', compared)
    assert re.search(r'"status": ?"queued"', find(steps, "config-profile/apply"))
    changed = find(steps, "/versions")
    assert re.search(r'"total": ?2', changed)
    assert '"data":null' in find(steps, "DELETE").replace(" ", "")


def test_erase__as_printed__gives_receipts_and_a_plan(reader_folder: Path) -> None:
    """A vehicle is erased with a receipt that does not name it; old data is planned and dropped."""
    steps = paste_into_shell(read_blocks(HOW_TO / "erase.md", "sh"), reader_folder)
    receipt = find(steps, "tellus erase vin")
    assert re.search(r"erasure_id +era_\w+", receipt)
    assert re.search(r"removed.keys +0", receipt)
    assert "WVWZZZ1JZXW000001" not in receipt
    assert re.search(r"era_\w+ +vehicle ", find(steps, "tellus erase list"))
    kept = find(steps, "tellus retention plan")
    assert re.search(r"raw_samples +30 ", kept)
    assert re.search(r"status +done", kept)


def test_answer_a_data_subject__as_printed__exports_then_forgets(reader_folder: Path) -> None:
    """What is held of a vehicle comes out as one file; once erased, nothing comes any more."""
    pages = read_blocks(HOW_TO / "answer-a-data-subject.md", "sh")
    steps = paste_into_shell(pages, reader_folder)
    assert re.search(r"charging_records +vehicle, driver, charger", find(steps, "privacy record"))
    assert "'charging_records': 1" in find(steps, "subject.json\npython")
    receipt = find(steps, "tellus erase vin")
    assert re.search(r"removed.charging_records +1", receipt)
    assert re.search(r"digest +[0-9a-f]{64}", receipt)
    assert "erasure.completed" in find(steps, "tellus audit list")
    held = json.loads((reader_folder / "after.json").read_text("utf-8"))
    assert held["operators"] == []
    assert not (reader_folder / "subject.json").exists()


def _summary(step: Pasted) -> dict[str, Any]:
    text = step.output
    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def test_operate__as_printed__creates_and_looks(reader_folder: Path) -> None:
    """The administrator's first steps and the looks at health work."""
    steps = paste_into_shell(read_blocks(HOW_TO / "operate.md", "sh"), reader_folder)
    assert '"client_secret"' in find(steps, "tellus clients create")
    assert '"timezone": "Europe/Oslo"' in find(steps, "tellus sites create")
    health = find(steps, "/livez")
    assert '{"status":"live"}' in health
    assert '"name":"storage","ok":true' in health
    assert re.search(r'tellus_devices\{presence="online"\} [1-9]', health)


@pytest.mark.parametrize(
    "block",
    [block for page in HOW_TO.glob("*.md") for block in read_blocks(page, "toml")],
    ids=lambda block: block.place,
)
def test_how_to__sample_of_tellus_toml__can_be_used(block: Block, tmp_path: Path) -> None:
    """Each sample holds known settings only, and may listen where it says."""
    file = tmp_path / "tellus.toml"
    file.write_text(block.text)
    check_exposure(load_configuration(environment={}, file=file).settings)


def test_roll_out_firmware__as_printed__plans_follows_and_ends_a_rollout(
    reader_folder: Path,
) -> None:
    """Releases are added, one charger is upgraded alone, a rollout is planned, seen and ended."""
    blocks = read_blocks(HOW_TO / "roll-out-firmware.md", "sh")
    steps = paste_into_shell(blocks, reader_folder)
    assert re.search(r"rel_\w+ +3\.2\.0 ", find(steps, "tellus firmware release list"))
    behind = json.loads(find(steps, "/v1/operator/firmware/models"))["data"]["items"]
    assert [item["latest_version"] for item in behind if "latest_version" in item] == ["3.2.0"]
    upgraded = find(steps, "DEVICE=$(")
    assert '"status":"queued"' in upgraded.replace(" ", "")
    assert re.search(r"dvc_\w+ +TP-DC180 ", find(steps, "rollout devices $ROLLOUT\n"))
    assert "Contactor feedback" in find(steps, "rollout show $ROLLOUT")
    assert re.search(r"status +cancelled", find(steps, "rollout cancel $ROLLOUT"))


def test_connect_a_partner_platform__as_printed__shares_starts_and_is_told(
    reader_folder: Path,
) -> None:
    """A peer is made, sees the chargers of a site, starts and stops one, tells of its own, ends."""
    blocks = read_blocks(HOW_TO / "connect-a-partner-platform.md", "sh")
    steps = paste_into_shell(blocks, reader_folder)
    assert '"Status":"Available"' in find(steps, "cp/query_station_status")
    started, stopped = find(steps, "cp/start_charging").split("}{")
    assert '"Status":"STARTING","DeviceVendorOrderId":"ord_' in started
    assert '"Status":"Accept"' in stopped
    told = find(steps, "notify_work_status")
    assert told.startswith('{"Status":"Accept"}')
    assert re.search(r'"energy": ?7.25', told)
    assert re.search(r"deleted +(true|yes)", find(steps, "peers delete"), re.IGNORECASE)


def test_work_through_a_runbook__as_printed__answers_ends_and_bundles(reader_folder: Path) -> None:
    """A run is begun and answered, ends, takes a photo, and gives a bundle with a report."""
    blocks = read_blocks(HOW_TO / "work-through-a-runbook.md", "sh")
    steps = paste_into_shell(blocks, reader_folder)
    assert "charger-faulting-on-power-up" in find(steps, "runbooks?model")
    begun = find(steps, "RUN=$(").replace(" ", "")
    assert '"kind":"answer"' in begun
    ended = find(steps, "/steps/1").replace(" ", "")
    assert '"status":"resolved"' in ended
    assert '"cause":"vehicle"' in ended
    assert '"sha256"' in find(steps, "/photos")
    listed = find(steps, "zipfile -l")
    assert "report.html" in listed
    assert "photos/01.jpeg" in listed
    assert '"total":1' in find(steps, "live=false").replace(" ", "")


def test_customer_portal__as_printed__shows_exports_asks_and_switches_off(
    reader_folder: Path,
) -> None:
    """A customer's client lists, exports, asks for a change, and revokes; the wish is answered."""
    page = HOW_TO / "give-customers-their-portal.md"
    steps = paste_into_shell(read_blocks(page, "sh"), reader_folder)
    shown = find(steps, "charger.ndjson")
    assert '"service":"diagnostics","agreed":true' in shown
    assert re.search(r'{"kind":"end","data":{"lines":\d+}}$', shown)
    assert '"state":"revoked"' in find(steps, "We have sold the site")
    assert re.search(r'"status": ?"accepted"', find(steps, "tellus api patch"))


def test_record_consent__as_printed__grants_lists_and_revokes(reader_folder: Path) -> None:
    """Consents for a charger and a site are recorded, one is revoked; the log says who did it."""
    steps = paste_into_shell(read_blocks(HOW_TO / "record-consent.md", "sh"), reader_folder)
    listed = find(steps, "consents list --device $DEVICE\n")
    assert re.search(r"cns_\w+ +active +site ", listed)
    assert re.search(r"cns_\w+ +active +device .*diagnostics, energy_reporting", listed)
    assert re.search(r"reason +The contract ended", find(steps, "consents revoke"))
    assert '"state": "revoked"' in find(steps, "consents revoke")
    assert "consent.revoked" in find(steps, "consents revoke")
