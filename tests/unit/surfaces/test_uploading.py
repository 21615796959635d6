"""Bodies that are files: their bounds, their pieces, and how many at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tellus.kernel.call import ANYONE, NOTHING, Audience, Call, Principal
from tellus.kernel.errors import (
    ApiError,
    InvalidParameter,
    PayloadTooLarge,
    TooManyRequests,
    TooSlow,
    UnsupportedMedia,
)
from tellus.kernel.files import OCTETS, read_media_type, safe_name
from tellus.kernel.limits import UPLOADS_OF_CHARGERS, UPLOADS_PER_CLIENT
from tellus.surfaces import uploading
from tellus.surfaces.uploading import Uploads, open_upload, upload_of

GONE = {"type": "http.disconnect"}


def body(piece: bytes, *, more: bool = True) -> dict[str, Any]:
    """A message of a body."""
    return {"type": "http.request", "body": piece, "more_body": more}


def receiver(*messages: dict[str, Any]) -> Callable[[], Any]:
    """A body that brings these messages, and then nothing any more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(3600)
        return left.pop(0)

    return receive


def scope_of(**headers: str) -> dict[str, Any]:
    """The head of an upload."""
    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"headers": named, "extensions": {}}


def read(limit: int, *messages: dict[str, Any], **headers: str) -> list[bytes]:
    """The pieces of an upload."""

    async def run() -> list[bytes]:
        upload = open_upload(receiver(*messages), scope_of(**headers), limit)
        return [piece async for piece in upload.pieces]

    return asyncio.run(run())


def test_pieces__as_they_come__without_empty_ones() -> None:
    """Pieces are handed on as they come, and the last may be empty."""
    assert read(9, body(b"ab"), body(b""), body(b"c"), body(b"", more=False)) == [b"ab", b"c"]


@pytest.mark.parametrize(
    ("messages", "headers", "error"),
    [
        ([], {"content_length": "10"}, PayloadTooLarge),
        ([body(b"12345"), body(b"67890")], {}, PayloadTooLarge),
        ([body(b"1"), GONE], {}, InvalidParameter),
        ([GONE], {"content_length": "9"}, InvalidParameter),
        ([], {"content_encoding": "gzip"}, UnsupportedMedia),
        ([], {"content_encoding": "Identity, br"}, UnsupportedMedia),
    ],
)
def test_upload__out_of_bounds_or_broken__is_refused(
    messages: list[dict[str, Any]], headers: dict[str, str], error: type[ApiError]
) -> None:
    """Too large, announced or not, cut off or encoded: each is said as what it is."""
    with pytest.raises(error):
        read(9, *messages, **headers)


def test_upload__of_exactly_the_bound__is_taken() -> None:
    """The bound itself is allowed."""
    assert read(3, body(b"abc", more=False), content_length="3") == [b"abc"]


def test_upload__that_brings_nothing__is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that stands still for too long ends the upload with 408."""
    monkeypatch.setattr(uploading, "STALL_S", 0.01)
    with pytest.raises(TooSlow) as refused:
        read(9, body(b"1"))
    assert (refused.value.http_status, refused.value.code) == (408, 1001)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("application/zip", "application/zip"),
        ("Text/Plain; charset=utf-8", "text/plain"),
        ("image/svg+xml", "image/svg+xml"),
        ("nonsense", OCTETS),
        ("a/b\r\nX: y", OCTETS),
        ("a/" + "b" * 80, OCTETS),
        ("", OCTETS),
    ],
)
def test_media_type__of_a_header__is_plain_or_nothing(given: str, kind: str) -> None:
    """What goes out as a header later is a media type and nothing else."""
    assert read_media_type(given) == kind


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a.zip", "a.zip"),
        ('a"b\r\n.zip', "a-b-.zip"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("заряд", "file"),
        ("", "file"),
        ("x" * 300, "x" * 100),
    ],
)
def test_safe_name__whatever_was_given__is_a_plain_file_name(given: str, name: str) -> None:
    """No path, no quote, no line break and no hidden file comes of a name."""
    assert safe_name(given) == name


def test_upload_of__signed_body__has_media_type_and_size() -> None:
    """What was read whole for its signature is an upload like any other."""

    async def run() -> list[bytes]:
        upload = upload_of(b"abc", scope_of(content_type="image/png"))
        assert (upload.media_type, upload.size) == ("image/png", 3)
        return [piece async for piece in upload.pieces]

    assert asyncio.run(run()) == [b"abc"]


@pytest.mark.parametrize(
    ("principal", "most"),
    [
        (ANYONE, UPLOADS_OF_CHARGERS),
        (Principal(Audience.OPERATOR, "cl_1", "opr_1"), UPLOADS_PER_CLIENT),
    ],
)
def test_uploads__more_than_may_go_on_at_once__are_sent_away(
    principal: Principal, most: int
) -> None:
    """A client has its own share, chargers have one together; who ends makes room."""

    async def run() -> None:
        uploads, release = Uploads(), asyncio.Event()
        call: Call[Any, Any] = Call(principal, NOTHING, NOTHING, 0)

        async def answer() -> str:
            await release.wait()
            return "done"

        under_way = [asyncio.create_task(uploads.take(call, answer)) for _ in range(most)]
        await asyncio.sleep(0)
        assert len(uploads) == most
        with pytest.raises(TooManyRequests):
            await uploads.take(call, answer)
        other: Call[Any, Any] = Call(
            Principal(Audience.OPERATOR, "cl_2", "opr_1"), NOTHING, NOTHING, 0
        )
        release.set()
        assert await uploads.take(other, answer) == "done"
        assert await asyncio.gather(*under_way) == ["done"] * most
        assert len(uploads) == 0

    asyncio.run(run())
