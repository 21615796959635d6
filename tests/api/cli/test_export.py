"""``tellus export`` against a platform: whole files, their bars, and what is refused."""

import csv
import io
from pathlib import Path

import pytest

from tests.api.cli.console import Console, Served
from tests.api.cli.test_exit_codes import client_variables
from tests.api.tenancy import moment, record, sample
from tests.contract.client import ContractClient


@pytest.fixture
def reader(console: Console, served: Served, operator_id: str, tmp_path: Path) -> Console:
    """Commands of a client of the operator that only reads."""
    words = ("clients", "create", "--operator", operator_id, "--scope", "read")
    return Console(tmp_path, client_variables(served, console.json(*words)))


@pytest.fixture
def device_id(console: Console, served: Served, site_id: str) -> str:
    """A charger with three records and two samples."""
    made = console.json("devices", "provision", "--sn", f"SN-{site_id}", "--site", site_id)
    with ContractClient(served.access["base_url"]) as api:
        body = {"sn": f"SN-{site_id}", "model": "TP-DC180", "manufacturer": "Maker",
                "firmware_version": "3.1.0"}  # fmt: skip
        asked = {"authorization": f"Bearer {made['enrolment_token']}"}
        device = api.post("/v1/device/register", body, headers=asked, expect=200).data
        names = ("device_id", "device_secret")
        credentials = {name: device[name] for name in names} | {"grant_type": "client_credentials"}
        token = api.post("/v1/device/token", credentials, expect=200).json["access_token"]
        charger = api.device(token)
        for number in range(3):
            charger.post("/v1/device/charging-records", record(energy=1.5 + number), expect=200)
        for ago_s in (20, 10):
            charger.post("/v1/device/telemetry", sample(timestamp=moment(ago_s)), expect=200)
    return str(device["device_id"])


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_export__records__go_to_a_file_that_stands_there_whole(
    reader: Console, device_id: str, tmp_path: Path
) -> None:
    """The file replaces what stood under its name; a bar and its size are told beside it."""
    out = tmp_path / "records.csv"
    out.write_text("old")
    ended = reader.run("export", "records", "--device", device_id, "--out", "records.csv")
    assert (ended.code, ended.out) == (0, "")
    found = rows(out.read_bytes().decode())
    assert sorted(row["energy"] for row in found) == ["1.5", "2.5", "3.5"]
    assert f"{out.stat().st_size} bytes written to records.csv" in ended.err
    assert "Records" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["records.csv"]


def test_export__dash__writes_the_file_to_the_standard_output(
    reader: Console, device_id: str
) -> None:
    """What a pipe gets is the file and nothing else; filters hold."""
    words = ("export", "telemetry", "--device", device_id, "--measurand", "SoC",
             "--measurand", "Power.Active.Import", "--out", "-")  # fmt: skip
    ended = reader.run(*words)
    assert ended.code == 0
    assert [row["value"] for row in rows(ended.out)] == ["40.125", "40.125"]


def test_export__energy__has_a_row_for_each_bucket(reader: Console, device_id: str) -> None:
    """Energy of a range by the day, from records."""
    words = ("export", "energy", "--since", "2025-06-01", "--until", "2025-06-04",
             "--granularity", "day", "--out", "-")  # fmt: skip
    ended = reader.run(*words)
    assert ended.code == 0, ended.err
    assert [row["time"] for row in rows(ended.out)] == ["2025-06-01", "2025-06-02", "2025-06-03"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("records", "--device", "dvc_absent", "--out", "x.csv"), 3),
        (("records", "--since", "yesterday", "--out", "x.csv"), 2),
        (("records", "--out", "absent/x.csv"), 2),
        (("telemetry", "--out", "x.csv"), 2),
        (("telemetry", "--device", "dvc_absent", "--out", "x.csv"), 3),
        (("records",), 2),
    ],
)
def test_export__what_is_refused__leaves_no_file(
    reader: Console, device_id: str, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    """A refusal has its exit code, and leaves nothing behind."""
    ended = reader.run("export", *words)
    assert ended.code == code, ended.err
    assert list(tmp_path.iterdir()) == []


def test_export__without_a_client__says_what_is_needed(tmp_path: Path) -> None:
    """Whose data it is has to be known."""
    ended = Console(tmp_path).run("export", "records", "--out", "x.csv")
    assert ended.code == 2
    assert "TELLUS_CLIENT_ID" in ended.err
