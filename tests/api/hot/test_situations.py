"""The short way when something changes between two requests with one head, or while one waits."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from tellus.surfaces.guard.errands import Errands
from tellus.surfaces.guard.limits import GuardLimits
from tests.api.hot.twins import PATIENCE_S, Line, Twin, twins
from tests.api.hot.uploads import body, upload

DAY_S = 86_400
OK = b"HTTP/1.1 200 OK"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Sequence[Twin]]:
    """A platform with the short way and one without, of this test's own."""
    with twins(tmp_path) as pair:
        yield pair


def warm(twin: Twin, line: Line) -> None:
    """Let the head of plain uploads be known on this connection."""
    for _ in range(2):
        line.send(upload(twin.token))
        assert line.read().startswith(OK)
    assert len(twin.server.guard.errands) == twin.short_way


def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim holds."""
    ends_at = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < ends_at, "it never came true"
        time.sleep(0.005)


def queued(twin: Twin) -> None:
    """Wait until something waits for the writer."""
    eventually(lambda: twin.platform.database.stats.queue_depth)


def draining(twin: Twin) -> None:
    """Wait until the server has begun to stop."""
    eventually(lambda: twin.platform.drain.draining)


def after(twin: Twin, change: Callable[[Twin], object], count: int = 1) -> list[bytes]:
    """Warm a connection, change something, and return the answers to further uploads."""
    with twin.connect() as line:
        warm(twin, line)
        twin.call(lambda: change(twin))
        answers = []
        for _ in range(count):
            line.send(upload(twin.token))
            answers.append(line.read())
        return answers


def revoke(twin: Twin) -> None:
    """Revoke the charger."""
    assert twin.device.principal is not None
    twin.device.principal.revoked = True


def renew(twin: Twin) -> None:
    """Make every earlier token void."""
    assert twin.device.principal is not None
    twin.device.principal.generation += 1


def drain(twin: Twin) -> None:
    """Let the platform be about to stop."""
    twin.platform.drain.draining = True


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (revoke, b"401"),
        (renew, b"401"),
        (lambda twin: twin.clock.advance(DAY_S + 1), b"401"),
        (drain, b"503"),
    ],
    ids=["revoked", "renewed", "expired", "draining"],
)
def test_known_head__after_a_change__is_judged_anew(
    pair: Sequence[Twin], change: Callable[[Twin], object], status: bytes
) -> None:
    """A head that was good once is worth nothing when its token or the platform is not any more."""
    short, long = (after(twin, change) for twin in pair)
    assert short == long
    assert short[0].split()[1] == status


def test_rate_limit__on_the_short_way__is_the_pipelines_to_the_request(tmp_path: Path) -> None:
    """The eleventh upload within a second is refused, and a refused one takes no slot."""
    with twins(tmp_path, scale=1.0) as pair:
        short, long = (after(twin, lambda _: None, count=12) for twin in pair)
        assert short == long
        statuses = [answer.split()[1] for answer in short]
        assert statuses == [b"200"] * 8 + [b"429"] * 4
        for twin in pair:
            twin.clock.advance(1.0)
            assert after(twin, lambda _: None)[0].startswith(OK)


def test_connections__of_one_charger_over_its_cap__are_refused_alike(tmp_path: Path) -> None:
    """A charger's token on more connections than it may hold is refused, known head or not."""
    limits = GuardLimits(loopback_is_exempt=False, connections_per_device=1)
    with twins(tmp_path, limits=limits) as pair:
        answers = []
        for twin in pair:
            with twin.connect() as line, twin.connect() as other:
                other.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                other.read()
                warm(twin, line)
                other.send(upload(twin.token))
                answers.append(other.read())
        assert answers[0] == answers[1]
        assert answers[0].split()[1] == b"429"


@pytest.mark.parametrize("fault", [apsw.FullError, apsw.ConstraintError], ids=["full", "alone"])
def test_upload__that_cannot_be_stored__fails_as_by_the_pipeline(
    pair: Sequence[Twin], monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """No 200 for a sample that is not on disk: both ways fail alike, and recover."""
    answers = []
    for twin in pair:
        with twin.connect() as line, monkeypatch.context() as planted:
            warm(twin, line)

            def fail(*_: Any) -> None:
                raise fault("planted")

            planted.setattr(twin.platform.telemetry.kind, "apply_many", fail)
            line.send(upload(twin.token))
            failed = line.read()
            planted.undo()
            line.send(upload(twin.token))
            answers.append((failed, line.read()))
    assert answers[0] == answers[1]
    assert answers[0][0].split()[1] in {b"500", b"503"}
    assert answers[0][1].startswith(OK)
    assert pair[0].statuses() == pair[1].statuses()


def test_queue__that_is_full__refuses_as_the_pipeline_does(
    pair: Sequence[Twin], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back-pressure answers 429 with a time to come back, and takes one slot of the rate window."""
    answers = []
    for twin in pair:
        database = twin.platform.database
        monkeypatch.setattr(database, "_queue_operations", 0)
        monkeypatch.setattr("tellus.storage.sqlite.retry_s", lambda: 7)
        with twin.connect() as line:
            line.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            line.read()
            line.send(upload(twin.token))
            answers.append(line.read())
        assert twin.device.principal is not None
        assert len(twin.device.principal.windows["device_hot"]._accepted) == 1
    assert answers[0] == answers[1]
    assert answers[0].split()[1] == b"429"


def test_requests__behind_one_that_waits_for_its_commit__are_answered_in_order(
    pair: Sequence[Twin],
) -> None:
    """What a charger sends without waiting is answered in its order, whichever way each goes."""
    heartbeat = b'{"timestamp":"2025-03-15T09:30:00Z","status":"online","fault_code":0}'
    first = "POST /v1/device/heartbeat HTTP/1.1"
    answers = []
    for twin in pair:
        with twin.connect() as line:
            warm(twin, line)
            with twin.writer_held():
                line.send(upload(twin.token))
                queued(twin)
                line.send(upload(twin.token, heartbeat, first=first), upload(twin.token, b"{"))
            answers.append([line.read() for _ in range(3)])
    assert answers[0] == answers[1]
    assert [answer.split()[1] for answer in answers[0]] == [b"200", b"200", b"400"]
    assert b"commands" in answers[0][1]


def test_answer__owed_when_the_server_begins_to_stop__says_close_and_closes(
    pair: Sequence[Twin],
) -> None:
    """What was taken is stored and answered with ``Connection: close``, and that is the end."""
    answers = []
    for twin in pair:
        with twin.connect() as line:
            warm(twin, line)
            with twin.writer_held():
                line.send(upload(twin.token))
                queued(twin)
                twin.server.request_stop()
                draining(twin)
            answers.append([line.read(), line.read()])
    assert answers[0] == answers[1]
    assert answers[0][0].startswith(OK)
    assert b"connection: close" in answers[0][0]
    assert answers[0][1] == b"(closed)"


def test_charger__that_leaves_before_its_answer__has_its_sample_stored(
    pair: Sequence[Twin],
) -> None:
    """A caller that is gone cancels nothing, and nothing of it is left behind."""
    short, _ = pair
    with short.connect() as line:
        warm(short, line)
        before = short.samples[0]
        with short.writer_held():
            line.send(upload(short.token, body(power=1)))
            queued(short)
            line.sock.close()
            eventually(lambda: not short.server.guard.register.open_count)
    eventually(lambda: short.samples[0] == before + 1)
    eventually(lambda: short.statuses() == {200: 3})
    assert not short.server.guard.requests


def test_connection__idle_after_the_short_way__is_closed_in_its_time(tmp_path: Path) -> None:
    """A connection is not closed while its answer is owed, and is once it has been idle long."""
    limits = GuardLimits(keep_alive_s=1, sweep_every_s=0.05)
    with twins(tmp_path, limits=limits) as (short, _), short.connect() as line:
        warm(short, line)
        with short.writer_held():
            line.send(upload(short.token))
            time.sleep(1.5)
        assert line.read().startswith(OK)
        assert line.read() == b"(closed)"


def test_late_sample__that_is_packed_already__is_a_repeat_by_either_way(
    pair: Sequence[Twin],
) -> None:
    """A sample that left the log for its packed hour is not stored again."""
    old = body(timestamp="2025-03-15T08:00:00Z")
    for twin in pair:
        with twin.connect() as line:
            warm(twin, line)
            line.send(upload(twin.token, old))
            line.read()
            stored, repeats = twin.samples
            assert twin.run(twin.platform.telemetry.compact()) == 1
            line.send(upload(twin.token, old))
            assert line.read().startswith(OK)
            assert twin.samples == (stored, repeats + 1)


class Silent:
    """An errand that is never run."""

    def run(self, _peer: Any, _body: bytes) -> bool:
        """Decline."""
        return False


def request(line: str, content: bytes = b"{}", length: str = "Content-Length: {}") -> bytes:
    """A request with a line of one's own in its head."""
    return upload("token", content, line, length=length)


def test_errands__by_head__are_found_whatever_the_length_of_the_body() -> None:
    """A known head is known with a body of any length, and only with the length it states."""
    errands, errand = Errands(), Silent()
    errands.remember(request("X: 1"), errand)
    for content in (b"{}", b"", b"x" * 70_000, b"\r\n\r\n", b"Content-Length: 3\r\n\r\n"):
        assert errands.find(request("X: 1", content)) == (errand, content)
    assert errands.find(request("X: 2")) is None
    assert errands.find(request("X: 1") + b"x") is None
    assert errands.find(request("X: 1")[:-1]) is None
    for length in ("Content-Length: 02", "Content-Length: +2", "Content-Length:  2", "Length: 2"):
        assert errands.find(request("X: 1", length=length)) is None
    for data in (b"", b"\r\n\r\n", b"ength: ", b"ength: 0\r\n\r\n", b"x" * 10_000):
        assert errands.find(data) is None


def test_errands__where_another_line_looks_like_the_length__are_not_kept() -> None:
    """No other number than the length of the body may vary in a known head."""
    errands = Errands()
    for data in (
        upload("token", b"{}", first="POST /v1/device/telemetry?Strength: 2 HTTP/1.1"),
        upload("token", b"{}", authorization="Strength: 2"),
        request("X: 1", length="Content-Length:{}"),
        request("X: 1", length="CONTENT-LENGTH: {}"),
    ):
        errands.remember(data, Silent())
    assert len(errands) == 0


def test_errands__beyond_their_bounds__keep_no_more() -> None:
    """Heads take bounded memory, and large ones are not kept at all."""
    errands = Errands()
    for number in range(16_384):
        errands.remember(request(f"X: {number}"), Silent())
    assert len(errands) == 16_384
    errands.remember(request("X: -1"), Silent())
    assert len(errands) == 1
    errands.remember(request("X: " + "x" * 2_049), Silent())
    assert len(errands) == 1


def test_stranger__with_any_head__is_never_remembered(pair: Sequence[Twin]) -> None:
    """Only who has authenticated can make the server remember a head."""
    short, _ = pair
    with short.connect() as line:
        for number in range(20):
            line.send(upload(f"{short.token}{number}"))
            assert line.read().split()[1] == b"401"
    assert len(short.server.guard.errands) == 0
