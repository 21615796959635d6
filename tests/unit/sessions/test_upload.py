"""Records go in once; what contradicts is kept beside the first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tellus.kernel.errors import InvalidParameter, MissingParameter, NotFound
from tellus.sessions import device_api
from tellus.sessions.service import RecordContradicted
from tests.unit.sessions.conftest import OTHER_VIN, VIN, RecordBench

Run = Callable[[Callable[[RecordBench], Awaitable[None]]], None]


def test_upload__one_record__comes_back_as_sent(run_bench: Run) -> None:
    """Published fields, extras of the record and of the vehicle are returned with their values."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(
            cost=-1.5,
            stop_reason="user_request",
            details={"steps": [1, 2.5, None]},
            vehicle_info={"vin": VIN, "soc_start": 20, "soc_end": 90, "make": "X"},
        )
        await bench.upload(sent)
        (item,) = (await bench.query()).items
        assert item == sent | {
            "device_id": "dvc_1",
            "site_id": "site_1",
            "received_at": "2025-03-15T09:30:00Z",
            "flags": [],
        }

    run_bench(check)


def test_upload__what_was_not_sent__is_left_out(run_bench: Run) -> None:
    """Unknown optional fields are absent, never null."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record())
        (item,) = (await bench.query()).items
        assert not {"cost", "vehicle_info"} & set(item)

    run_bench(check)


def test_upload__extras_named_like_published_fields__do_not_override(run_bench: Run) -> None:
    """What the charger calls ``device_id``, ``flags`` or ``site_id`` never hides what we say."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record(device_id="x", flags="y", site_id=3, received_at="z"))
        (item,) = (await bench.query()).items
        assert (item["device_id"], item["site_id"], item["flags"]) == ("dvc_1", "site_1", [])
        assert item["received_at"] == "2025-03-15T09:30:00Z"

    run_bench(check)


def test_upload__identical_repeat__has_no_second_row(run_bench: Run) -> None:
    """A repeat in another spelling (zone, order, integral numbers) succeeds and changes nothing."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(start_time="2025-03-15T08:30:00Z", tariff=5, vehicle_info={"vin": VIN})
        await bench.upload(sent)
        bench.clock.advance(86_400)
        again = dict(reversed(sent.items())) | {
            "start_time": "2025-03-15T10:30:00+02:00",
            "tariff": 5.0,
        }
        await bench.upload(again)
        page = await bench.query()
        assert (page.total, page.items[0]["flags"]) == (1, [])
        assert await bench.rows("SELECT * FROM charging_record_conflicts") == []

    run_bench(check)


@pytest.mark.parametrize(
    "change",
    [
        {"energy": 15.3},
        {"vehicle_info": {"vin": OTHER_VIN}},
        {"vehicle_info": {}},
        {"note": "new"},
        {"car": OTHER_VIN},
        {"cost": 0.0},
    ],
)
def test_upload__other_content_under_a_known_id__is_refused_and_kept(
    run_bench: Run, change: dict[str, Any]
) -> None:
    """The first stands and is flagged; the second answers 4001 and lies beside it, once."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(vehicle_info={"vin": VIN}, car=VIN)
        await bench.upload(sent)
        for _ in range(2):
            with pytest.raises(RecordContradicted):
                await bench.upload(sent | change)
        await bench.upload(sent)
        (item,) = (await bench.query()).items
        assert {name: item[name] for name in sent} == sent
        assert item["flags"] == ["repeated_differently"]
        assert await bench.rows("SELECT count(*) FROM charging_record_conflicts") == [(1,)]

    run_bench(check)


def test_upload__endless_contradictions__are_bounded(run_bench: Run) -> None:
    """A charger that makes up content keeps at most 20 of them."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record())
        answers = await bench.upload_batch([bench.record(cost=float(k)) for k in range(30)])
        assert {answer.code for answer in answers} == {4001}
        assert await bench.rows("SELECT count(*) FROM charging_record_conflicts") == [(20,)]

    run_bench(check)


def test_upload__same_id_from_two_devices__is_two_records(run_bench: Run) -> None:
    """A ``record_id`` belongs to its charger."""

    async def check(bench: RecordBench) -> None:
        bench.add_device(2)
        await bench.upload(bench.record())
        await bench.upload(bench.record(energy=1.0), device_no=2)
        assert (await bench.query()).total == 2

    run_bench(check)


def test_upload__implausible_record__is_stored_and_flagged(run_bench: Run) -> None:
    """No value within the bounds is refused for being unlikely."""

    async def check(bench: RecordBench) -> None:
        odd = bench.record(at_s=1e6, end_time="1970-01-01T00:00:00Z", energy=-1e9, max_power=-3)
        await bench.upload(odd)
        (item,) = (await bench.query()).items
        assert item["flags"] == [
            "clock_suspect", "energy_implausible", "energy_mismatch", "negative_duration",
        ]  # fmt: skip
        assert item["energy"] == -1e9

    run_bench(check)


@pytest.mark.parametrize("record_id", ["x", "Ladevorgang 7/ü#", "😀" * 128, "' OR 1=1 --"])
def test_upload__any_printable_record_id__is_kept(run_bench: Run, record_id: str) -> None:
    """The charger's own id may be any 1 to 128 printable characters."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record(record_id))
        assert (await bench.query()).items[0]["record_id"] == record_id

    run_bench(check)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"record_id": ""}, InvalidParameter),
        ({"record_id": "x" * 129}, InvalidParameter),
        ({"record_id": "a\nb"}, InvalidParameter),
        ({"energy": 1.1e9}, InvalidParameter),
        ({"energy": "1"}, InvalidParameter),
        ({"connector_id": 0}, InvalidParameter),
        ({"cost": [None]}, InvalidParameter),
        ({"vehicle_info": {"soc_start": 20.5}}, InvalidParameter),
        ({"avg_power": None}, MissingParameter),
        ({"meter_end": None}, MissingParameter),
    ],
)
def test_upload__wrong_shape__is_refused(
    run_bench: Run, change: dict[str, Any], error: type[Exception]
) -> None:
    """Types, bounds and required fields are those of the contract."""

    async def check(bench: RecordBench) -> None:
        with pytest.raises(error):
            await bench.upload(bench.record(**change))
        assert (await bench.query()).total == 0

    run_bench(check)


@pytest.mark.parametrize("value", [b"1e400", b"1" + b"0" * 400 + b".5", b'"\xff"', b'"\\ud800"'])
def test_upload__extras_that_are_no_json__are_refused(run_bench: Run, value: bytes) -> None:
    """What the typed decoder skips is still judged before it is stored."""

    async def check(bench: RecordBench) -> None:
        body = msgspec.json.encode(bench.record())[:-1] + b',"odd":' + value + b"}"
        with pytest.raises(InvalidParameter):
            await bench.upload(body)

    run_bench(check)


def test_upload_batch__mixed_items__are_judged_alone(run_bench: Run) -> None:
    """Outcomes come in order; a bad or contradicting item harms none of its neighbours."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(bench.record("old"))
        items: list[Any] = [
            bench.record("new"),
            bench.record("old"),
            bench.record("bad", energy=None),
            bench.record("new"),
            bench.record("new", energy=1.0),
            bench.record("old", energy=1.0),
            7,
            bench.record("last"),
        ]
        answers = await bench.upload_batch(items)
        assert [(answer.outcome, answer.code) for answer in answers] == [
            ("stored", msgspec.UNSET),
            ("duplicate", msgspec.UNSET),
            ("rejected", 1002),
            ("duplicate", msgspec.UNSET),
            ("rejected", 4001),
            ("rejected", 4001),
            ("rejected", 1001),
            ("stored", msgspec.UNSET),
        ]
        items_shown = {item["record_id"]: item for item in (await bench.query()).items}
        assert set(items_shown) == {"new", "old", "last"}
        assert items_shown["new"]["energy"] == 15.2
        assert items_shown["new"]["flags"] == ["repeated_differently"]

    run_bench(check)


def test_upload_batch__five_hundred_at_once_and_again__are_stored_once(run_bench: Run) -> None:
    """The largest batch goes in whole, and its repeat is all duplicates."""

    async def check(bench: RecordBench) -> None:
        items = [bench.record(f"r{k}", -60.0 * k, vehicle_info={"vin": VIN}) for k in range(500)]
        for outcome in ("stored", "duplicate"):
            answers = await bench.upload_batch(items)
            assert {answer.outcome for answer in answers} == {outcome}
        assert (await bench.query()).total == 500

    run_bench(check)


def test_upload_batch__lenient_device__may_lack_power_and_meters(run_bench: Run) -> None:
    """Known deviations are admitted and counted where the device is lenient, refused elsewhere."""

    async def check(bench: RecordBench) -> None:
        lacking = bench.record(
            avg_power=None, meter_start=None, meter_end=None, vehicle_info={"soc_end": 80.5}
        )
        (refused,) = await bench.upload_batch([lacking])
        assert refused.outcome == "rejected"
        bench.lenient = True
        (answer,) = await bench.upload_batch([lacking])
        assert (answer.outcome, bench.deviations) == ("stored", 1)
        (item,) = (await bench.query()).items
        assert item["vehicle_info"] == {"soc_end": 80}
        assert "avg_power" not in item

    run_bench(check)


def test_upload__device_that_is_gone__is_not_found(run_bench: Run) -> None:
    """A token that outlived its device stores nothing."""

    async def check(bench: RecordBench) -> None:
        with pytest.raises(NotFound):
            await bench.upload(bench.record(), device_no=9)

    run_bench(check)


def test_upload__device_moved_between_records__each_keeps_its_site(run_bench: Run) -> None:
    """A record belongs to the site and operator where its charger stood when it arrived."""

    async def check(bench: RecordBench) -> None:
        device = bench.add_device()
        await bench.upload(bench.record("before"))
        bench.directory.move(device, "op_2", "site_2")
        await bench.upload(bench.record("after"))
        assert [item["site_id"] for item in (await bench.query()).items] == ["site_1"]
        assert [item["site_id"] for item in (await bench.query("op_2")).items] == ["site_2"]

    run_bench(check)


def test_upload__same_record_many_times_at_once__is_stored_once(run_bench: Run) -> None:
    """Repeats that meet in one commit are repeats all the same, and so are contradictions."""

    async def check(bench: RecordBench) -> None:
        await asyncio.gather(*(bench.upload(bench.record()) for _ in range(20)))
        rivals = [bench.upload(bench.record("rival", cost=float(k))) for k in range(10)]
        ends = await asyncio.gather(*rivals, return_exceptions=True)
        assert sum(end is None for end in ends) == 1
        assert sum(isinstance(end, RecordContradicted) for end in ends) == 9
        assert (await bench.query()).total == 2

    run_bench(check)


def test_upload__lenient_body__is_stored_without_what_it_lacks(run_bench: Run) -> None:
    """The single upload takes the lenient form too."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(avg_power=None, meter_end=None, vehicle_info={"soc_end": 79.5})
        raw = msgspec.json.encode(sent)
        call = bench._call(1, device_api.decode_leniently(raw), raw)
        await device_api.upload_charging_record(bench.service, call)
        (item,) = (await bench.query()).items
        assert item["vehicle_info"] == {"soc_end": 80}
        assert not {"avg_power", "meter_end"} & set(item)

    run_bench(check)
