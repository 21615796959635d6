"""The short way of hot routes answers as the pipeline does, to the byte, and stores the same."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tellus.kernel.call import Nothing
from tellus.surfaces import hot
from tests.api.hot.twins import Twin, twins
from tests.api.hot.uploads import DEVIATING, PLAIN, Make, upload

SEED = 20_250_315
ROUNDS_OF_ANY_BODY = 150
_END = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_ALL_SAMPLES = "SELECT * FROM samples ORDER BY time_ms, device_no, connector_id, digest"
_ALL_STATES = "SELECT * FROM connector_state ORDER BY device_no, connector_id"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Twin]]:
    """A platform with the short way and one without."""
    with twins(tmp_path_factory.mktemp("twins")) as pair:
        yield pair


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each errand: whether it was taken."""
    taken: list[bool] = []
    run = hot.HotErrand.run

    def noted(errand: hot.HotErrand, peer: Any, body: bytes) -> bool:
        taken.append(run(errand, peer, body))
        return taken[-1]

    monkeypatch.setattr(hot.HotErrand, "run", noted)
    return taken


def converse(twin: Twin, make: Make, seed: int) -> list[bytes]:
    """Send plain uploads until their head is known, then one as made, and return all answers."""
    chance = random.Random(seed)
    answers = []
    with twin.connect() as line:
        for _ in range(3):
            line.send(*PLAIN(twin.token, chance))
            answers.append(line.read())
        line.send(*make(twin.token, chance))
        answers.append(line.read())
        line.send(upload(twin.token), _END)
        while b"(closed)" not in answers[-1] and b'"live"' not in answers[-1]:
            answers.append(line.read())
    return answers


def rows(twin: Twin) -> list[list[tuple[Any, ...]]]:
    """Return all samples and connector states of a twin's store."""

    async def read() -> list[list[tuple[Any, ...]]]:
        database = twin.platform.database
        return [
            await database.read(lambda tx: tx.rows(_ALL_SAMPLES)),
            await database.read(lambda tx: tx.rows(_ALL_STATES)),
        ]

    found: list[list[tuple[Any, ...]]] = twin.run(read())
    return found


def test_upload__as_every_charger_sends_it__goes_the_short_way(
    pair: Sequence[Twin], runs: list[bool]
) -> None:
    """A second upload with the same head needs no task, and a third no parser."""
    short, long = pair
    known = len(short.server.guard.errands)
    for twin in pair:
        with twin.connect() as line:
            for _ in range(5):
                line.send(upload(twin.token))
                assert line.read().startswith(b"HTTP/1.1 200 OK")
    assert runs == [True] * 4
    assert len(short.server.guard.errands) == known + 1
    assert len(long.server.guard.errands) == 0


@pytest.mark.parametrize("name", DEVIATING)
def test_upload__that_deviates__is_answered_and_stored_as_by_the_pipeline(
    pair: Sequence[Twin], name: str
) -> None:
    """Whatever is unusual about an upload, its answer is the pipeline's to the byte."""
    short, long = pair
    rounds = ROUNDS_OF_ANY_BODY if name == "any body" else 1
    for seed in range(SEED, SEED + rounds):
        assert converse(short, DEVIATING[name], seed) == converse(long, DEVIATING[name], seed)
    assert short.samples == long.samples
    assert short.statuses() == long.statuses()
    assert rows(short) == rows(long)


def test_comparison__of_a_short_way_that_answers_otherwise__sees_it(
    pair: Sequence[Twin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short way with one byte wrong in its answer does not pass for the pipeline."""
    short, long = pair
    monkeypatch.setattr(hot, "_AFTER_ID", hot._AFTER_ID.replace(b"success", b"succesS"))
    assert converse(short, PLAIN, SEED) != converse(long, PLAIN, SEED)


def test_short_way__of_a_platform__serves_only_routes_that_answer_with_null(
    pair: Sequence[Twin],
) -> None:
    """A route with a hot operation has an answer without content: it is prebuilt."""
    endpoints = pair[0].platform.router.endpoints
    served = [endpoint.route for endpoint in endpoints if endpoint.route.hot is not None]
    assert [route.operation_id for route in served] == ["uploadTelemetry"]
    assert all(route.response is Nothing and not route.secret for route in served)
