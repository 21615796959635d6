"""Long-polls: one request per connector is always parked at the platform."""

from __future__ import annotations

import time

from tellus.simulator.identity import AskedToWait, Identity, NotAdmitted
from tellus.simulator.messages import PendingCommand
from tellus.simulator.pacing import backoff_s
from tellus.simulator.report import Recorder
from tellus.simulator.terms import LinkTerms
from tellus.simulator.wire import LinkDown, Verdict, Wire, read_data

_QUICK_POLL_S = 1.0
_REFUSALS_LIKE_FAILURES = 6


class CommandPoller:
    """Fetches the commands of one charger, connector by connector."""

    def __init__(
        self, sn: str, wire: Wire, identity: Identity, recorder: Recorder, terms: LinkTerms
    ) -> None:
        self._sn = sn
        self._wire = wire
        self._identity = identity
        self._recorder = recorder
        self._terms = terms

    async def run(self, connector_id: int) -> None:
        """Keep one long-poll parked for a connector until the run ends."""
        failures = 0
        rng = self._terms.rng
        while not self._terms.closing.is_set():
            began_s = time.monotonic()
            try:
                pause_s = await self._poll_once(connector_id)
                failures = 0
            except LinkDown:
                self._recorder.tally("command_poll").retried += 1
                failures += 1
                pause_s = backoff_s(rng, failures)
            except AskedToWait as asked:
                pause_s = asked.wait_s + rng.uniform(0.0, 1.0)
            except NotAdmitted:
                return
            if pause_s == 0.0 and time.monotonic() - began_s < _QUICK_POLL_S:
                # An answer without waiting: never let that become a busy loop.
                pause_s = rng.uniform(0.05, 0.3)
            if pause_s > 0.0:
                await self._terms.pause(pause_s)

    async def _poll_once(self, connector_id: int) -> float:
        """Poll once and return how long to wait before the next."""
        token = await self._identity.token()
        answer = await self._wire.poll(connector_id, self._terms.poll_wait_s, token)
        # Counted when answered: the polls that are parked when a run ends are not failures.
        tally = self._recorder.tally("command_poll")
        tally.sent += 1
        verdict = answer.verdict
        if verdict is Verdict.TAKEN:
            tally.acknowledged += 1
            if bytes(answer.data) not in {b"", b"null"}:
                self._terms.obey(read_data(answer, PendingCommand), connector_id)
            return 0.0
        if verdict is Verdict.UNAUTHORISED:
            self._identity.discard(token)
            return self._terms.rng.uniform(0.1, 1.0)
        if verdict is Verdict.SLOW_DOWN:
            raise AskedToWait(answer.retry_after_s)
        if verdict is Verdict.REFUSED:
            tally.failed += 1
            self._recorder.error(f"{self._sn}: poll refused: {answer}")
            return backoff_s(self._terms.rng, _REFUSALS_LIKE_FAILURES)
        raise LinkDown(str(answer))
