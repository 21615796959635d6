"""The network side of one charger: sends what its twin says, fetches what it shall do.

One worker per charger sends, one request at a time and only while there is something to send;
one task per connector parks a long-poll. Both live through outages: what was not acknowledged
stays in the buffer and goes out again under its original time.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from tellus.simulator.buffer import OfflineBuffer
from tellus.simulator.device import ChargerSpec
from tellus.simulator.identity import AskedToWait, Identity, NotAdmitted
from tellus.simulator.messages import Kind, Message, PendingCommand, batch_body, utc_text
from tellus.simulator.pacing import RateWindow, backoff_s
from tellus.simulator.polling import CommandPoller
from tellus.simulator.report import KIND_NAMES, Recorder
from tellus.simulator.terms import LinkTerms
from tellus.simulator.wire import (
    BATCH_PATHS,
    PATHS,
    Answer,
    LinkDown,
    Verdict,
    Wire,
    json_body,
    read_data,
)

_LOG = logging.getLogger(__name__)
_BATCH_FROM = 10
_BATCH_LIMIT = 500
_BATCH_BYTES = 900_000


class _Outcome(msgspec.Struct):
    outcome: str = "stored"
    message: str = ""


class _BatchData(msgspec.Struct):
    items: list[_Outcome]


class _HeartbeatData(msgspec.Struct):
    commands: list[PendingCommand] = []


def _read_outcomes(answer: Answer, count: int) -> list[_Outcome]:
    outcomes = read_data(answer, _BatchData).items
    if len(outcomes) != count:
        raise LinkDown(f"{len(outcomes)} outcomes for {count} items")
    return outcomes


class ChargerLink:
    """Connects one charger, under the terms of its fleet."""

    def __init__(
        self,
        spec: ChargerSpec,
        wire: Wire,
        identity: Identity,
        recorder: Recorder,
        terms: LinkTerms,
    ) -> None:
        self.spec = spec
        self.buffer = OfflineBuffer()
        self.is_refused = False
        self.is_online = False
        self.is_dark = False
        self.fault_code: int | str = 0
        self.config_profile_id = ""
        self.config_hash = ""
        self._wire = wire
        self._identity = identity
        self._recorder = recorder
        self._rng = terms.rng
        self._terms = terms
        self._closing = terms.closing
        self._use_batches = terms.use_batches
        self._polls: list[asyncio.Task[None]] = []
        self._worker: asyncio.Task[None] | None = None
        self._heartbeat: str | None = None
        self._heartbeat_attempts = 0
        self._failures = 0
        self._is_replaying = False
        self._live_pace = RateWindow(9, 1.0)
        self._replay_pace = RateWindow(5, 1.0)
        self._other_pace = RateWindow(58, 60.5)
        self._batch_pace = RateWindow(2, 1.1)

    # ------------------------------------------------------------- in and out

    def push(self, messages: list[Message]) -> None:
        """Take messages of the twin and see that they go out."""
        for message in messages:
            self.buffer.put(message)
        if messages:
            self.kick()

    def beat(self, status: str = "online") -> None:
        """Ask for a heartbeat; one that still waits is replaced."""
        if self._heartbeat is None:
            self._heartbeat_attempts = 0
        self._heartbeat = status
        self.kick()

    def kick(self) -> None:
        """Start the worker unless it runs."""
        if self.is_refused or self.is_dark or not self.has_work:
            return
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def set_dark(self, *, is_dark: bool) -> None:
        """Fall silent with everything kept, or come back with a new token and send it."""
        if is_dark == self.is_dark:
            return
        self.is_dark = is_dark
        if is_dark:
            self.is_online = False
            for poll in self._polls:
                poll.cancel()
            self._polls = []
            self._heartbeat = None
            self._identity.forget_token()
        else:
            self.kick()

    @property
    def device_id(self) -> str:
        """Return the platform's id of this charger, empty before registration."""
        return self._identity.device_id

    @property
    def has_work(self) -> bool:
        """Return whether anything waits to be sent."""
        return self._heartbeat is not None or len(self.buffer) > 0

    @property
    def worker(self) -> asyncio.Task[None] | None:
        """Return the task that sends, if one runs."""
        return None if self._worker is None or self._worker.done() else self._worker

    @property
    def polls(self) -> list[asyncio.Task[None]]:
        """Return the tasks that park long-polls."""
        return self._polls

    # ----------------------------------------------------------------- sending

    async def _work(self) -> None:
        while self.has_work and not (self.is_refused or self.is_dark):
            try:
                wait_s = await self._send_next()
            except LinkDown as error:
                wait_s = self._note_failure(error)
            except AskedToWait as asked:
                wait_s = asked.wait_s + self._rng.uniform(0.0, 1.0)
            except NotAdmitted as refusal:
                self._refuse(refusal)
                return
            if wait_s > 0.0:
                await self._terms.pause(wait_s)

    def _note_failure(self, error: LinkDown) -> float:
        self._failures += 1
        self._is_replaying = True
        self.is_online = False
        _LOG.debug("%s: link down (%s)", self.spec.sn, error)
        return backoff_s(self._rng, self._failures)

    def _refuse(self, refusal: NotAdmitted) -> None:
        self.is_refused = True
        self._recorder.report.chargers_refused += 1
        self._recorder.error(str(refusal))
        _LOG.error("%s", refusal)

    async def _send_next(self) -> float:
        """Send one thing and return how long to wait before the next."""
        token = await self._identity.token()
        if self.is_dark:
            return 0.0
        if self._heartbeat is not None and not self._must_go_last:
            return await self._send_heartbeat(token)
        now_s = time.monotonic()
        kind, wait_s = self._choose_kind(now_s)
        if kind is None:
            return wait_s
        return await self._send_kind(kind, token, now_s, is_batch=self._goes_in_batch(kind))

    @property
    def _must_go_last(self) -> bool:
        """The announced shutdown is the last thing a charger says."""
        return self._heartbeat == "offline" and len(self.buffer) > 0

    def _choose_kind(self, now_s: float) -> tuple[Kind | None, float]:
        hot = self._replay_pace if self._is_replaying else self._live_pace
        waits_s = {}
        for kind in Kind:
            pace = hot if kind is Kind.TELEMETRY else self._other_pace
            waits_s[kind] = (self._batch_pace if self._goes_in_batch(kind) else pace).wait_s(now_s)
        ready = {kind for kind, wait_s in waits_s.items() if wait_s <= 0.0}
        chosen = self.buffer.next_kind(ready)
        if chosen is not None:
            return chosen, 0.0
        return None, min(waits_s[kind] for kind in Kind if self.buffer.count(kind))

    def _goes_in_batch(self, kind: Kind) -> bool:
        return self._use_batches and kind in BATCH_PATHS and self.buffer.count(kind) >= _BATCH_FROM

    async def _send_kind(self, kind: Kind, token: str, now_s: float, *, is_batch: bool) -> float:
        messages = self.buffer.take(kind, _BATCH_LIMIT if is_batch else 1)
        if is_batch:
            messages = self._fit(messages)
        tally = self._recorder.tally(KIND_NAMES[kind])
        for message in messages:
            tally.sent += message.attempts == 0
            tally.retried += message.attempts > 0
            message.attempts += 1
        self._note_pace(kind, now_s, is_batch=is_batch)
        path = BATCH_PATHS[kind] if is_batch else PATHS[kind]
        body = batch_body(messages) if is_batch else messages[0].body
        try:
            answer = await self._wire.post(path, body, token)
        except BaseException:
            # Also when cancelled: it was not acknowledged, so it is still ours.
            self.buffer.give_back(messages)
            raise
        return self._judge(answer, messages, token, is_batch=is_batch)

    def _fit(self, messages: list[Message]) -> list[Message]:
        """Give back what would make the body larger than the platform takes."""
        size = 0
        for index, message in enumerate(messages):
            size += len(message.body) + 1
            if size > _BATCH_BYTES:
                self.buffer.give_back(messages[index:])
                return messages[:index]
        return messages

    def _note_pace(self, kind: Kind, now_s: float, *, is_batch: bool) -> None:
        if is_batch:
            self._batch_pace.note(now_s)
        elif kind is Kind.TELEMETRY:
            self._live_pace.note(now_s)
            self._replay_pace.note(now_s)
        else:
            self._other_pace.note(now_s)

    def _judge(
        self, answer: Answer, messages: list[Message], token: str, *, is_batch: bool
    ) -> float:
        verdict = answer.verdict
        if verdict is Verdict.TAKEN:
            self._settle(answer, messages, is_batch=is_batch)
            return 0.0
        if verdict is Verdict.REFUSED and not (is_batch and answer.status in {404, 405}):
            self._fail(messages, str(answer))
            return 0.0
        self.buffer.give_back(messages)
        if verdict is Verdict.REFUSED:
            # This platform knows no batches: single uploads are the published way.
            self._use_batches = False
            return 0.0
        return self._mend(answer, token)

    def _mend(self, answer: Answer, token: str) -> float:
        """React to an answer that is no verdict on the message itself."""
        if answer.verdict is Verdict.UNAUTHORISED:
            self._identity.discard(token)
            self._failures += 1
            # The first refusal is an expired token; a second one in a row is trouble.
            return 0.0 if self._failures == 1 else backoff_s(self._rng, self._failures)
        if answer.verdict is Verdict.SLOW_DOWN:
            raise AskedToWait(answer.retry_after_s)
        raise LinkDown(str(answer))

    def _settle(self, answer: Answer, messages: list[Message], *, is_batch: bool) -> None:
        outcomes = [_Outcome()] * len(messages)
        if is_batch:
            try:
                outcomes = _read_outcomes(answer, len(messages))
            except LinkDown:
                self.buffer.give_back(messages)
                raise
        self._note_success()
        device_id = self._identity.device_id
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome.outcome == "rejected":
                self._fail([message], outcome.message)
                continue
            is_duplicate = outcome.outcome == "duplicate"
            self._recorder.acknowledged(self.spec.sn, device_id, message, is_duplicate=is_duplicate)

    def _note_success(self) -> None:
        self._failures = 0
        self.is_online = True
        if self.is_dark:
            self.is_online = False
            return
        if not self._polls and self._terms.poll_wait_s > 0 and not self._closing.is_set():
            self._start_polls()
        if self._is_replaying and len(self.buffer) == 0:
            self._is_replaying = False

    def _start_polls(self) -> None:
        poller = CommandPoller(
            self.spec.sn, self._wire, self._identity, self._recorder, self._terms
        )
        loop = asyncio.get_running_loop()
        numbers = range(1, self.spec.connector_count + 1)
        self._polls = [loop.create_task(poller.run(number)) for number in numbers]

    def _fail(self, messages: list[Message], why: str) -> None:
        for message in messages:
            name = KIND_NAMES[message.kind]
            self._recorder.tally(name).failed += 1
            text = f"{self.spec.sn}: {name} {message.ref} refused: {why}"
            self._recorder.error(text)
            _LOG.warning("%s; body %s", text, message.body[:300])

    async def _send_heartbeat(self, token: str) -> float:
        tally = self._recorder.tally("heartbeat")
        tally.sent += self._heartbeat_attempts == 0
        tally.retried += self._heartbeat_attempts > 0
        self._heartbeat_attempts += 1
        status = self._heartbeat
        timestamp = utc_text(self._terms.device_time_ms())
        if status == "online" and self.fault_code != 0:
            status = "fault"
        beat: dict[str, object] = {
            "timestamp": timestamp,
            "status": status,
            "fault_code": self.fault_code,
        }
        if self.config_profile_id:
            beat["config_profile_id"] = self.config_profile_id
            beat["running_config_hash"] = self.config_hash
        body = json_body(beat)
        answer = await self._wire.post("/v1/device/heartbeat", body, token)
        if answer.verdict is Verdict.TAKEN:
            tally.acknowledged += 1
            self._heartbeat = None
            self._note_success()
            self._hand_over_commands(answer)
            return 0.0
        if answer.verdict is Verdict.REFUSED:
            tally.failed += 1
            self._heartbeat = None
            self._recorder.error(f"{self.spec.sn}: heartbeat refused: {answer}")
            return 0.0
        return self._mend(answer, token)

    def _hand_over_commands(self, answer: Answer) -> None:
        if bytes(answer.data) in {b"", b"null"}:
            return
        for command in read_data(answer, _HeartbeatData).commands:
            self._terms.obey(command, 1)

    # ------------------------------------------------------------------ ending

    def count_leftovers(self) -> None:
        """Add to the report what was dropped, and what the run ended before."""
        for kind in Kind:
            tally = self._recorder.tally(KIND_NAMES[kind])
            tally.unsent += self.buffer.count(kind)
            tally.dropped += self.buffer.dropped[kind]
        self._recorder.tally("heartbeat").unsent += self._heartbeat is not None
