"""Every operation by every caller on own, foreign and absent resources, made from the route rows.

A row gives method, path, audience and scope; what it cannot give, a valid body, stands in `BODIES`
of `tenant_requests.py`, and a query that an operation cannot do without in `QUERIES`. A row that
needs an entry there and has none stops the matrix with a message that says what to add.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from tellus.kernel.call import Audience, Nothing
from tellus.surfaces.routes import Answer, Route
from tests.contract.client import Refused, Reply
from tests.contract.stream import open_stream
from tests.reliability import tenant_requests
from tests.reliability.tenant_agents import AGENT
from tests.reliability.tenant_callers import Caller
from tests.reliability.tenant_requests import BODIES, NAMED, QUERIES, prepare
from tests.reliability.tenant_runbooks import NUMBERS, PHOTO, PHOTO_HEADERS
from tests.reliability.tenants import ABSENT, KINDS, TARGETS, World

Outcome = tuple[int, int | None]

SUCCESS: Outcome = (200, 0)
UPGRADE: Outcome = (426, 1001)
UPGRADED: Outcome = (101, None)
BAD_SHAPE: Outcome = (400, 1001)
UNAUTHENTICATED: Outcome = (401, 2001)
EXPIRED: Outcome = (401, 2002)
FORBIDDEN: Outcome = (403, 2003)
NOT_FOUND: Outcome = (404, 3001)

# What is the same for every caller: numbers, codes of the fault dictionary, names of agents.
_PATH_NUMBERS = {"connector_id": "1", "code": "F-0421", "agent": AGENT, **NUMBERS}
_SPOILT = {"page": "0", "size": "0", "wait": "0", "include": "nonsense", "devices": "%"}
_SPOILT["schedule_id"] = ""
_USED_UP = (
    ["command_id"], ["control_id"], ["rollout_id"], ["run_id"], ["webhook_id"], ["profile_id"],
    ["vehicle_id"], ["proposal_id"], ["request_id"], ["consent_id"],
)  # fmt: skip
_TOGETHER = frozenset({"shareWithPeer"})
"""Operations whose body names what belongs to the resource of the path, whosever that is."""
_VOLATILE = frozenset({"date", "x-request-id"})


@dataclass(frozen=True)
class Cell:
    """One request: ``slot`` names the resource that is ``target``'s; all others are own."""

    route: Route
    caller: Caller
    slot: str
    target: str
    way: str = "plain"

    def __str__(self) -> str:
        place = f"{self.slot} of {self.target}" if self.slot else "no resource"
        return f"{self.route.operation_id} ({self.way}), {self.caller.name}, {place}"


@dataclass
class Report:
    """What the matrix saw."""

    cells: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


# ------------------------------------------------------------------ what a row is made into


def parameters_of(route: Route) -> list[str]:
    """The names in the braces of a path."""
    return [part[1:-1] for part in route.path.split("/") if part.startswith("{")]


def body_slots(route: Route) -> list[str]:
    """The resources that the operation's sample body names."""
    named: list[str] = []
    if route.operation_id in _TOGETHER:
        return named

    def note(kind: str) -> str:
        named.append(kind)
        return "x"

    if route.operation_id in BODIES:
        BODIES[route.operation_id](note)
    return named


def query_slots(route: Route) -> list[str]:
    """The resources that the query may name, where a caller sees its own only.

    A serial number, a peer, or what an audit entry is about is a filter: one that fits nothing of
    the caller's is an empty list.
    """
    if route.query is Nothing or route.audience is Audience.ADMIN:
        return []
    named = KINDS - {"sn", "peer_id", "resource_id"}
    return [name for name in route.query.__struct_fields__ if name in named]


def slots_of(route: Route) -> list[str]:
    """Every place of a request in which the id of a resource may stand."""
    paths = [name for name in parameters_of(route) if name not in _PATH_NUMBERS]
    return [
        *(f"path {name}" for name in paths),
        *(f"body {name}" for name in body_slots(route)),
        *(f"query {name}" for name in query_slots(route)),
    ]


def what_is_missing(routes: Sequence[Route]) -> list[str]:
    """What has to be added to this file before the matrix can judge these rows."""
    missing = []
    for route in routes:
        if route.audience is Audience.PUBLIC:
            continue
        name = route.operation_id
        if route.request is not Nothing and name not in BODIES:
            missing.append(f"{name}: add a valid body to BODIES in {tenant_requests.__name__}")
        missing += [
            f"{name}: add the query {one.name} to QUERIES in {tenant_requests.__name__}"
            for one in msgspec.structs.fields(route.query)
            if one.required and one.name not in QUERIES.get(name, {})
        ]
        for parameter in parameters_of(route):
            if parameter not in KINDS and parameter not in _PATH_NUMBERS:
                missing.append(f"{name}: tell World.resource what {{{parameter}}} is")
    return missing


def ways_of(route: Route, caller: Caller) -> list[str]:
    """Plain; spoilt, where its shape can be and is looked at; and as a handshake for a stream."""
    if route.answer is Answer.STREAM:
        return ["plain", "handshake"]
    queried = () if route.query is Nothing else route.query.__struct_fields__
    spoilable = route.request is not Nothing or any(name in _SPOILT for name in queried)
    let_in = refusal_of(route, caller) is None
    return ["plain", "spoilt"] if spoilable and let_in else ["plain"]


def targets_of(route: Route, caller: Caller) -> tuple[str, ...]:
    """Whose resources to try; tenant a's other device only where it may make a difference."""
    differs = route.audience is not Audience.ADMIN and caller.audience is route.audience
    return TARGETS if differs and not caller.problem else ("a1", "b1", ABSENT)


def is_telling(route: Route, caller: Caller) -> bool:
    """Whether an administrator with fewer scopes tells more here than the one with all of them.

    That is so on their own surface, for those with one scope and for those without the row's.
    """
    if caller.audience is not route.audience:
        return False
    return len(caller.scopes) == 1 or route.scope not in caller.scopes


def cells_of(route: Route, callers: Sequence[Caller]) -> Iterator[list[Cell]]:
    """All cells of a row, those together that differ only in whose the resource is."""
    for caller in callers:
        if caller.partial and not is_telling(route, caller):
            continue
        targets = targets_of(route, caller)
        for way in ways_of(route, caller):
            slots = ["query device_id"] if way == "handshake" else slots_of(route)
            for slot in slots or ([""] if way == "spoilt" else []):
                yield [Cell(route, caller, slot, target, way) for target in targets]
            if way == "plain" and all(slot.startswith("query ") for slot in slots):
                yield [Cell(route, caller, "", caller.home, way)]


# ------------------------------------------------------------------ what ought to come of it


def is_owned(cell: Cell) -> bool:
    """Whether the caller may know that the target exists."""
    if not cell.slot:
        return True
    if cell.target == ABSENT:
        return False
    if cell.route.audience is Audience.ADMIN:
        return True
    if cell.route.audience is Audience.DEVICE:
        return cell.target == cell.caller.home
    return cell.target[0] == cell.caller.home[0]


def refusal_of(route: Route, caller: Caller) -> Outcome | None:
    """What the caller gets from the operation whatever it asks, None if it is let in."""
    if caller.audience is not route.audience or caller.problem == "bad":
        return UNAUTHENTICATED
    if caller.problem == "expired":
        return EXPIRED
    if route.scope is not None and route.scope not in caller.scopes:
        return FORBIDDEN
    return None


def expected(cell: Cell) -> Outcome:
    """The outcome by the row and by ownership alone, in the order in which checks are made."""
    refusal = refusal_of(cell.route, cell.caller)
    if refusal is not None:
        return refusal
    if cell.way == "spoilt":
        return BAD_SHAPE
    if cell.route.answer is Answer.STREAM and cell.way == "plain":
        return UPGRADE
    if not is_owned(cell):
        return NOT_FOUND
    return UPGRADED if cell.way == "handshake" else SUCCESS


# ------------------------------------------------------------------ asking and judging


def _query_of(world: World, cell: Cell) -> dict[str, Any]:
    route = cell.route
    place, _, name = cell.slot.partition(" ")
    query = dict(QUERIES.get(route.operation_id, {}))
    if route.query is not Nothing and "size" in route.query.__struct_fields__:
        query["size"] = 100  # the more is listed, the more could be another tenant's
    if place == "query":
        query[name] = world.resource(name, cell.target)
    elif route.operation_id in NAMED:
        kind = NAMED[route.operation_id]
        query[kind] = world.resource(kind, cell.caller.home)
    return query


def ask(world: World, cell: Cell) -> Reply:
    """Send the request of a cell; every answer is judged by the contract besides."""
    if cell.way == "handshake":
        return _shake_hands(world, cell)
    route, place = cell.route, cell.slot.partition(" ")[0]
    name = cell.slot.partition(" ")[2]
    fresh = route.method != "GET" and expected(cell) == SUCCESS
    names = [part for part in parameters_of(route) if part not in _PATH_NUMBERS]
    fresh = fresh and (route.audience is Audience.ADMIN or names in _USED_UP)
    values = _PATH_NUMBERS | world.resources(names, cell.caller.home, fresh=fresh)
    if place == "path":
        if cell.target == ABSENT:
            values[name] = world.resource(name, ABSENT)
        else:
            values |= world.resources(names, cell.target, fresh=fresh)
    query = _query_of(world, cell)

    def fill(kind: str) -> str:
        asked = place == "body" or (route.operation_id in _TOGETHER and cell.target != ABSENT)
        return world.resource(kind, cell.target if asked else cell.caller.home)

    body = BODIES[route.operation_id](fill) if route.request is not Nothing else None
    if cell.way == "spoilt" and body is None:
        fields = route.query.__struct_fields__
        query |= {key: value for key, value in _SPOILT.items() if key in fields}
    target = route.path.format(**values) + ("?" + urlencode(query) if query else "")
    if expected(cell) == SUCCESS:
        owner = world.contract.operator(world.clients[f"{cell.caller.home[0]} read write"].token)
        prepare(owner, route.operation_id, route.path.format(**values), fill)
    if cell.way == "spoilt" and body is not None:
        return world.contract.raw(route.method, target, b'{"', headers=cell.caller.headers)
    if route.upload:
        headers = cell.caller.headers | PHOTO_HEADERS
        return world.contract.raw(route.method, target, PHOTO, headers=headers)
    return world.contract.request(route.method, target, json=body, headers=cell.caller.headers)


def _shake_hands(world: World, cell: Cell) -> Reply:
    devices = [world.resource("device_id", cell.target)]
    if cell.caller.home[0] == "a":
        devices.insert(0, world.resource("device_id", "a1"))
    try:
        with open_stream(world.server.base_url, devices, None, headers=cell.caller.headers):
            return Reply(UPGRADED[0], {}, b"")
    except Refused as refused:
        return refused.reply


def identity_of(reply: Reply) -> tuple[Any, ...]:
    """All that an answer tells: everything but the request id and the time."""
    told = sorted(item for item in reply.headers.items() if item[0].lower() not in _VOLATILE)
    return reply.status, told, reply.body


def run_matrix(world: World, routes: Sequence[Route], callers: Sequence[Caller]) -> Report:
    """Ask everything and say what is not as it ought to be."""
    report = Report()
    marks = {tenant: world.marks_of(tenant) for tenant in "ab"}
    for route in routes:
        for group in cells_of(route, callers):
            replies = [ask(world, cell) for cell in group]
            for cell, reply in zip(group, replies, strict=True):
                _judge(report, cell, reply, marks)
            _compare(report, group, replies)
    return report


def _judge(report: Report, cell: Cell, reply: Reply, marks: dict[str, list[str]]) -> None:
    report.cells += 1
    is_bare = cell.route.answer in {Answer.BARE, Answer.FILE} and reply.status == SUCCESS[0]
    outcome = SUCCESS if is_bare else (reply.status, reply.code)
    report.outcomes[outcome] += 1
    if outcome != expected(cell):
        report.problems.append(f"{cell}: {outcome}, not {expected(cell)}")
    if cell.caller.audience is Audience.ADMIN:
        return
    other = "b" if cell.caller.home[0] == "a" else "a"
    text = reply.body.decode(errors="replace")
    told = [mark for mark in marks[other] if mark in text]
    if told:
        report.problems.append(f"{cell}: tells {told} of the other tenant")


def _compare(report: Report, group: Sequence[Cell], replies: Sequence[Reply]) -> None:
    """What is not the caller's looks like what does not exist, to the last byte."""
    seen = {
        cell.target: identity_of(reply)
        for cell, reply in zip(group, replies, strict=True)
        if not is_owned(cell)
    }
    report.problems += [
        f"{group[0]}: the answer for {target} differs from that for what is absent"
        for target, told in seen.items()
        if told != seen.get(ABSENT, told)
    ]
