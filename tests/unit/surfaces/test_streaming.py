"""Lists as files: pages, pieces, failures on the way, and callers who leave."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.errors import NotFound, TooManyRequests, Unauthenticated, Unavailable
from tellus.kernel.limits import FILES_PER_CLIENT
from tellus.kernel.tables import Column, Kind, Table
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.routes import Route
from tellus.surfaces.streaming import Download, Downloads
from tellus.surfaces.streaming_formats import CSV_TYPE, FORMATS

COLUMNS = (Column("number", Kind.INTEGER), Column("text"))
HEADERS = [(b"content-type", b"application/json"), (b"x-request-id", b"req_1")]
Pages = Callable[[], AsyncGenerator[Sequence[int], None]]


class Caller:
    """Takes what is sent; ``leaves_after`` so many messages, else it stays."""

    def __init__(self, leaves_after: int = 2**63) -> None:
        self.taken: list[dict[str, Any]] = []
        self.has_left = asyncio.Event()
        self._leaves_after = leaves_after

    async def send(self, message: dict[str, Any]) -> None:
        self.taken.append(message)
        if len(self.taken) >= self._leaves_after:
            self.has_left.set()
            await asyncio.sleep(0.01)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.taken)

    @property
    def is_complete(self) -> bool:
        last = self.taken[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)


class Lists:
    """The service of a route with files."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages


async def handle(lists: Lists, call: Call[Any, Any]) -> None:
    """Answer in JSON."""


async def tabulate(lists: Lists, call: Call[Any, Any]) -> Table[int]:
    """Answer as a table."""
    return Table("numbers", COLUMNS, lists.pages(), lambda number: [(number, f"n{number}")])


async def begin(
    downloads: Downloads, pages: Pages, caller: Caller, principal: Principal | None = None
) -> Download:
    """The file of some pages, its first page read."""
    route = Route("GET", "/v1/x", "x", handle, Audience.OPERATOR, "s", "t", table=tabulate)
    endpoint = Endpoint(route, {Lists: Lists(pages)})
    who = principal or Principal(Audience.OPERATOR, "cl_1", "op_1")
    call = Call(who, NOTHING, NOTHING, 1_767_225_600_000)
    call.left = caller.has_left.wait
    return await downloads.begin(endpoint, call, FORMATS[CSV_TYPE])


def test_download__several_pages__is_one_file_with_an_end() -> None:
    """Header, rows in order, and the message that ends the body; the name tells the time."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        yield [1, 2]
        yield []
        yield [3]

    async def check() -> None:
        caller, downloads = Caller(), Downloads()
        await (await begin(downloads, pages, caller)).deliver(HEADERS, caller.send)
        assert caller.body == b"number,text\r\n1,n1\r\n2,n2\r\n3,n3\r\n"
        assert caller.is_complete
        head = dict(caller.taken[0]["headers"])
        assert head[b"content-type"] == b"text/csv; charset=utf-8; header=present"
        name = b'attachment; filename="numbers-20260101T000000Z.csv"'
        assert (head[b"content-disposition"], head[b"x-request-id"]) == (name, b"req_1")
        assert len(downloads) == 0

    asyncio.run(check())


def test_download__no_pages__is_a_header() -> None:
    """An empty list is a file with the names of its columns."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        for page in ():
            yield page

    async def check() -> None:
        caller = Caller()
        await (await begin(Downloads(), pages, caller)).deliver(HEADERS, caller.send)
        assert (caller.body, caller.is_complete) == (b"number,text\r\n", True)

    asyncio.run(check())


def test_download__page_that_fails__has_no_end() -> None:
    """What was read is sent, and the failure is raised before any end."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        yield [1]
        message = "The disk is gone"
        raise Unavailable(message)

    async def check() -> None:
        caller, downloads = Caller(), Downloads()
        download = await begin(downloads, pages, caller)
        with pytest.raises(Unavailable):
            await download.deliver(HEADERS, caller.send)
        assert caller.body == b"number,text\r\n1,n1\r\n"
        assert not caller.is_complete
        assert len(downloads) == 0

    asyncio.run(check())


def test_download__first_page_that_fails__sends_nothing() -> None:
    """A failure before the first row is the answer's, and gives the place back."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        raise NotFound
        yield []

    async def check() -> None:
        downloads = Downloads()
        with pytest.raises(NotFound):
            await begin(downloads, pages, Caller())
        assert len(downloads) == 0

    asyncio.run(check())


def test_download__large_page__leaves_in_pieces() -> None:
    """No more than 64 KiB are handed over at once, so that each waits for those before."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        yield list(range(20_000))

    async def check() -> None:
        caller = Caller()
        await (await begin(Downloads(), pages, caller)).deliver(HEADERS, caller.send)
        sizes = [len(message.get("body", b"")) for message in caller.taken]
        assert max(sizes) == 64 * 1024
        assert caller.body.count(b"\r\n") == 20_001

    asyncio.run(check())


def test_download__caller_who_leaves__ends_the_reading() -> None:
    """Pages are read only as long as somebody takes them, and the reading is closed."""
    read: list[int] = []

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        try:
            for number in range(1000):
                read.append(number)
                yield [number]
        finally:
            read.append(-1)

    async def check() -> None:
        caller, downloads = Caller(leaves_after=4), Downloads()
        await (await begin(downloads, pages, caller)).deliver(HEADERS, caller.send)
        assert read[-1] == -1
        assert len(read) < 10
        assert not caller.is_complete
        assert len(downloads) == 0

    asyncio.run(check())


def test_download__client_revoked_meanwhile__breaks_off() -> None:
    """A client that may no longer read gets no further page."""
    principal = Principal(Audience.OPERATOR, "cl_1", "op_1")

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        yield [1]
        principal.revoked = True
        yield [2]
        yield [3]

    async def check() -> None:
        caller = Caller()
        download = await begin(Downloads(), pages, caller, principal)
        with pytest.raises(Unauthenticated):
            await download.deliver(HEADERS, caller.send)
        assert b"3,n3" not in caller.body
        assert not caller.is_complete

    asyncio.run(check())


def test_downloads__one_client__may_take_so_many_at_a_time() -> None:
    """One more is refused until one has ended; other clients are not concerned."""

    async def pages() -> AsyncGenerator[Sequence[int], None]:
        yield [1]

    async def check() -> None:
        downloads, caller = Downloads(), Caller()
        held = [await begin(downloads, pages, caller) for _ in range(FILES_PER_CLIENT)]
        with pytest.raises(TooManyRequests):
            await begin(downloads, pages, caller)
        other = Principal(Audience.OPERATOR, "cl_2", "op_1")
        held.append(await begin(downloads, pages, caller, other))
        await held.pop(0).deliver(HEADERS, caller.send)
        held.append(await begin(downloads, pages, caller))
        for download in held:
            await download.deliver(HEADERS, caller.send)
        assert len(downloads) == 0

    asyncio.run(check())
