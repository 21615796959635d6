"""What samples say of parts: stored with them, and nothing changed for samples that say none."""

import zlib
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tellus.energy.facts import _of_pack, to_point
from tellus.fleet.model import HealthReading, Reading, decode_reading, tells_health
from tellus.fleet.model_health import ComponentHealth
from tellus.fleet.model_health_form import ComponentHealthForm, read_form, write_form
from tellus.kernel.errors import InvalidParameter, MissingParameter
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.telemetry.device_api import _decoder, decode_leniently
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import pack, unpack, unpack_keys
from tellus.telemetry.rules import make_sample
from tests.unit.telemetry.conftest import TelemetryBench

Run = Callable[[Callable[[TelemetryBench], Awaitable[None]]], None]

PHASES = ((230.1, 72.4), None, (230.4, 72.1))
CHARGING = Reading("charging", 401.2, 125.4, 50.3, 12.345, 55, 35.6, None, PHASES)
IDLE = Reading("idle", 0.0, 0.0, 0.0, 0.0)
# As the release before component health stored them.
STORED = {
    "99a86368617267696e67cb4079133333333333cb405f59999999999acb4049266666666666cb4028"
    "b0a3d70a3d7137cb4041cccccccccccdc09392cb406cc33333333333cb405219999999999ac092cb"
    "406ccccccccccccdcb4052066666666666": (CHARGING, 7863745260317364877),
    "99a469646c65cb0000000000000000cb0000000000000000cb0000000000000000cb000000000000"
    "0000c0c0c0c0": (IDLE, -7481230136217409763),
}
PACKED = (
    "78019b3289e12cf38b49bfff4c4a4999396945724662517a665efa92cc949cd449a71d2a858d41e03403140085"
    "e2236702c12c64214fb534104016d2d8b0f83a976d2142c8fc0050afe31910387b60d28103932603f9398721c6"
    "3b0449820d05a9c981a839ed10c40636f500001d73428b"
)
HEALTH = ComponentHealth(
    contactor_cycles=41_250, cooling_fan_rpm=1_790.0, temp_power_module_c=51.5,
    isolation_test_kohms=1_520.0, cooling_fan_status="ok", relay_state="closed",
    modules=((0, "ok"), (1, "fault")), last_isolation_test_ms=1_742_000_000_500,
)  # fmt: skip
BODY = (
    b'{"timestamp":"2026-03-14T09:00:00Z","connector_id":1,"state":"idle","voltage":0,"current":0,'
    b'"power":0,"energy_delivered":0,"component_health":%b}'
)


def with_health(reading: Reading, health: ComponentHealth = HEALTH) -> HealthReading:
    """The reading, which tells of parts as well."""
    return HealthReading(*msgspec.structs.astuple(reading), component_health=health)


@pytest.mark.parametrize("stored", STORED)
def test_sample__says_nothing_of_parts__is_stored_as_ever(stored: str) -> None:
    """Bytes and digest are those of earlier releases: a repeat across an upgrade is a repeat."""
    reading, digest = STORED[stored]
    sample = make_sample(1, 1, 1_000, 1_000, reading)
    assert (sample.content.hex(), sample.digest) == (stored, digest)
    assert not tells_health(sample.content)
    assert decode_reading(sample.content) == reading
    assert decode_reading(sample.content).component_health is None


def test_sample__tells_of_parts__is_read_back_whole() -> None:
    """It has another digest than the same sample without, and comes back as it was."""
    sample = make_sample(1, 1, 1_000, 1_000, with_health(CHARGING))
    assert tells_health(sample.content)
    assert sample.digest != make_sample(1, 1, 1_000, 1_000, CHARGING).digest
    assert decode_reading(sample.content) == with_health(CHARGING)


def test_pack__of_an_earlier_release__is_read() -> None:
    """A packed hour without the column is read as before."""
    expected = [(3_600_000, -5, CHARGING), (3_601_000, -4, IDLE)]
    found = unpack(HOUR_MS, bytes.fromhex(PACKED))
    assert [(one.time_ms, one.digest, one.reading) for one in found] == expected
    assert len(_of_pack(HOUR_MS, bytes.fromhex(PACKED))) == 2


def test_pack__some_samples_tell_of_parts__all_come_back() -> None:
    """Samples with and without lie in one hour, and energy reads it without looking at parts."""
    readings = [CHARGING, with_health(IDLE), IDLE, with_health(CHARGING, ComponentHealth(7))]
    samples = [
        PastSample(HOUR_MS + k, k, HOUR_MS + k + 5, reading) for k, reading in enumerate(readings)
    ]
    content = pack(HOUR_MS, samples)
    assert unpack(HOUR_MS, content) == samples
    assert [type(one.reading) for one in unpack(HOUR_MS, content)] == [
        type(one) for one in readings
    ]
    assert unpack_keys(HOUR_MS, content) == {(HOUR_MS + k, k) for k in range(4)}
    points = _of_pack(HOUR_MS, content)
    assert [point.power_mw for point in points] == [50_300_000, 0, 0, 50_300_000]
    rows = [make_sample(1, 1, HOUR_MS + k, HOUR_MS, one)[:6] for k, one in enumerate(readings)]
    assert [point.power_mw for row in rows if (point := to_point(row))] == [
        50_300_000, 0, 0, 50_300_000,
    ]  # fmt: skip


def test_pack__nobody_tells_of_parts__grows_by_one_byte() -> None:
    """Hours of chargers that tell of no parts are as small as they were."""
    samples = [PastSample(HOUR_MS + k, k - 5, HOUR_MS + k + 100, IDLE) for k in range(720)]
    whole = zlib.decompress(pack(HOUR_MS, samples))
    assert whole.endswith(b"\xc0")
    assert msgspec.msgpack.decode(whole)[3][9] is None


def test_ingest__repeat_with_health_after_packing__is_a_duplicate(run_bench: Run) -> None:
    """A repeat is known by what it says of parts too, in the log and in a packed hour."""

    async def check(bench: TelemetryBench) -> None:
        device = bench.add_device()
        now_ms = bench.clock.now_ms()
        told = make_sample(1, 1, now_ms, now_ms, with_health(IDLE))
        other = make_sample(1, 1, now_ms, now_ms, with_health(IDLE, ComponentHealth(1)))
        plain = make_sample(1, 1, now_ms, now_ms, IDLE)
        assert await bench.service.ingest_many([told, plain, told]) == [True, True, False]
        assert await bench.service.ingest_many([told]) == [False]
        bench.clock.advance(40 * MINUTE_MS / 1000)
        assert await bench.service.compact() == 2
        assert await bench.service.ingest_many([told, other, plain]) == [False, True, False]
        found = await bench.history()
        assert {one.reading.component_health for one in found} == {None, HEALTH, ComponentHealth(1)}
        assert device.connectors[1].health is not None

    run_bench(check)


def test_directory__newest_sample_is_silent__keeps_the_newest_that_was_told(
    run_bench: Run,
) -> None:
    """A connector's health is the newest that it told of, whatever it says since."""

    async def check(bench: TelemetryBench) -> None:
        connector = bench.add_device().connectors[1]
        now_ms = bench.clock.now_ms()
        for k, reading in enumerate((with_health(IDLE), IDLE)):
            await bench.service.ingest_many([make_sample(1, 1, now_ms + k, now_ms, reading)])
        assert connector.reading == IDLE
        assert connector.health == HEALTH
        connector.forget_reading()
        assert connector.health is None

    run_bench(check)


def test_form__all_that_is_known__goes_out_as_it_came_in() -> None:
    """What a charger wrote is what operators read, whole numbers without a fraction."""
    text = msgspec.json.encode(write_form(HEALTH))
    assert b'"cooling_fan_rpm":1790,' in text
    assert b'"last_isolation_test":"2025-03-15T00:53:20.500000Z"' in text
    assert read_form(msgspec.json.decode(text, type=ComponentHealthForm)) == HEALTH
    assert read_form(ComponentHealthForm()) is None


@pytest.mark.parametrize(
    ("health", "field"),
    [
        (b'{"contactor_cycles":-1}', "contactor_cycles"),
        (b'{"contactor_cycles":1.5}', "contactor_cycles"),
        (b'{"cooling_fan_rpm":"fast"}', "cooling_fan_rpm"),
        (b'{"cooling_fan_status":"tired"}', "cooling_fan_status"),
        (b'{"internal_temps":{"ac_inlet":1e9}}', "internal_temps.ac_inlet"),
        (b'{"relay_state":"ajar"}', "relay_state"),
        (b'{"isolation_test_kohms":-1}', "isolation_test_kohms"),
        (b'{"last_isolation_test":"0000-00-00"}', "last_isolation_test"),
        (b'{"inverter_health_pct":101}', "inverter_health_pct"),
        (b'{"modules":[{"index":300,"status":"ok"}]}', "modules[0].index"),
        (b'{"inverter_sync_status":""}', "inverter_sync_status"),
    ],
)
def test_upload__health_out_of_bounds__names_the_field(health: bytes, field: str) -> None:
    """A refusal says which value of which part it is, in both modes."""
    for decode in (_decoder.decode, decode_leniently):
        with pytest.raises(InvalidParameter) as refused:
            decode(BODY % health)
        assert refused.value.details is not None
        assert refused.value.details["field"].replace("[...]", "[0]") == f"component_health.{field}"


def test_upload__unknown_and_integral_values__are_taken() -> None:
    """Unknown parts are passed over, 5.0 is an integer, a module cannot do without a status."""
    for decode in (_decoder.decode, decode_leniently):
        upload = decode(BODY % b'{"contactor_cycles":5.0,"flux":{"x":1},"internal_temps":{"y":2}}')
        assert upload.component_health
        assert read_form(upload.component_health) == ComponentHealth(5)
        with pytest.raises(MissingParameter):
            decode(BODY % b'{"modules":[{"index":0}]}')
