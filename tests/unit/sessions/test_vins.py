"""VINs are sealed at rest and shown as the client's setting says."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.kernel.vins import mask_vin
from tellus.sessions.service import RecordContradicted
from tests.unit.sessions.conftest import OTHER_VIN, VIN, RecordBench

Run = Callable[[Callable[[RecordBench], Awaitable[None]]], None]


@pytest.mark.parametrize(
    ("mode", "vin", "note"),
    [
        ("full", VIN, f"seen {OTHER_VIN}"),
        ("masked", mask_vin(VIN), f"seen {mask_vin(OTHER_VIN)}"),
        ("none", None, "seen " + "*" * 17),
        ("unheard-of", None, "seen " + "*" * 17),
    ],
)
def test_query__vin_mode__says_how_much_is_shown(
    run_bench: Run, mode: str, vin: str | None, note: str
) -> None:
    """The same setting holds for the VIN and for what looks like one in the extras."""

    async def check(bench: RecordBench) -> None:
        await bench.upload(
            bench.record(vehicle_info={"vin": VIN, "soc_end": 80}, note=f"seen {OTHER_VIN}")
        )
        (item,) = (await bench.query(vin_mode=mode)).items
        assert item["vehicle_info"].get("vin") == vin
        assert item["vehicle_info"]["soc_end"] == 80
        assert item["note"] == note

    run_bench(check)


def test_upload__vins_anywhere__are_in_no_file(run_bench: Run) -> None:
    """Neither the database nor its log holds a VIN in the clear; the control finds a plain text."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(
            vehicle_info={"vin": VIN, "spare": OTHER_VIN},
            details={"list": [OTHER_VIN], VIN: True},
            stop_reason="canary-in-the-clear" * 3,
        )
        plain = bench.record("plain", stop_reason="canary-in-the-clear")
        await bench.upload_batch([sent, plain])
        with pytest.raises(RecordContradicted):
            await bench.upload(sent | {"energy": 1.0})
        found = dict.fromkeys((VIN, OTHER_VIN, "canary-in-the-clear"), 0)
        for file in bench.path.parent.iterdir():
            content = file.read_bytes().upper()
            for needle in found:
                found[needle] += content.count(needle.upper().encode())
        assert (found[VIN], found[OTHER_VIN]) == (0, 0)
        assert found["canary-in-the-clear"] > 0

    run_bench(check)


def test_query__erased_vehicle__shows_the_rest_and_repeats_stay_duplicates(run_bench: Run) -> None:
    """Dropping a subject's key takes VIN and sealed extras away; the billing stays as it was."""

    async def check(bench: RecordBench) -> None:
        sent = bench.record(vehicle_info={"vin": VIN, "soc_end": 80}, note=VIN)
        await bench.upload(sent)
        ((subject_id,),) = await bench.rows("SELECT subject_id FROM charging_records")
        await bench.database.write(lambda tx: tx.execute("DELETE FROM subjects"))
        bench.vault.forget(subject_id)
        (item,) = (await bench.query()).items
        assert item["vehicle_info"] == {"soc_end": 80}
        assert "note" not in item
        assert item["energy"] == sent["energy"]
        await bench.upload(sent)
        assert (await bench.query()).items[0]["flags"] == []
        assert await bench.rows("SELECT count(*) FROM subjects") == [(0,)]

    run_bench(check)
