"""Sends fuzz items through the contract client and gathers what went wrong."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpx

from tests.contract.client import ContractClient
from tests.contract.fuzz_items import FuzzItem

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})

ClientFor = Callable[[FuzzItem], ContractClient]


@dataclass(frozen=True, slots=True)
class Finding:
    """One request that was not answered as it must be."""

    item: FuzzItem
    problem: str

    def __str__(self) -> str:
        return f"{self.problem}\n    {self.item}"


@dataclass(slots=True)
class FuzzReport:
    """How many were sent, how they were answered, and every finding."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    closed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{status}×{n}" for status, n in sorted(self.statuses.items()))
        head = f"{self.sent} malformed requests: {counts}; closed without an answer {self.closed}"
        return "\n".join([head, *(f"  - {finding}" for finding in self.findings[:40])])


def run(items: Iterable[FuzzItem], client_for: ClientFor) -> FuzzReport:
    """Sends every item with the client that `client_for` names; judges status and contract.

    A finding is a status outside `acceptable`, an answer that breaks the contract, an HTTP 500,
    a connection closed where none may be, or no answer within the client's timeout.
    """
    report = FuzzReport()
    for item in items:
        report.sent += 1
        problem = _send(item, client_for(item), report)
        if problem:
            report.findings.append(Finding(item, problem))
    return report


def _send(
    item: FuzzItem, client: ContractClient, report: FuzzReport, *, again: bool = False
) -> str | None:
    try:
        reply = client.raw(item.method, item.target, item.body, item.headers)
    except AssertionError as violation:
        return f"breaks the contract: {violation}"
    except httpx.TimeoutException:
        return "hangs: no answer in time"
    except httpx.LocalProtocolError:
        raise
    except httpx.TransportError as error:
        report.closed += 1
        # A connection may be closed by the server just when it is used again; what changes nothing
        # is then sent once more on a fresh one, as HTTP clients do.
        if not again and not item.may_close and item.method in _REPEATABLE:
            return _send(item, client, report, again=True)
        return None if item.may_close else f"closed without an answer: {error!r}"
    report.statuses[reply.status] += 1
    if reply.status not in item.acceptable:
        return f"answered with {reply.status} {reply.body[:200]!r}"
    return None
