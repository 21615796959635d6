"""Access is found in one of two places, and every failure has its exit code."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tellus.cli.client import Api, CommandFailed, ExitCode, find_access

VARIABLES = ("TELLUS_BASE_URL", "TELLUS_ADMIN_ID", "TELLUS_ADMIN_SECRET")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_find_access__data_directory__is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named directory wins over the environment, which serves otherwise."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://env/")
    content = {
        "service_account_id": "sa",
        "service_account_secret": "s",
        "base_url": "http://dir/",
    }
    (tmp_path / "admin.json").write_text(json.dumps(content))
    assert find_access(tmp_path).base_url == "http://dir"
    assert find_access(None).base_url == "http://env"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"base_url": "x"}', '{"base_url": 1}'])
def test_find_access__nothing_usable__is_a_usage_error(tmp_path: Path, content: str | None) -> None:
    """Missing and damaged files, and an empty environment, are told as such."""
    if content is not None:
        (tmp_path / "admin.json").write_text(content)
    for data_dir in (tmp_path, None):
        with pytest.raises(CommandFailed) as caught:
            find_access(data_dir)
        assert caught.value.exit_code == ExitCode.USAGE


def ask(answer: Callable[[web.Request], web.Response], **options: Any) -> Any:
    """Return what a call to a server that answers so returns."""

    async def whole() -> Any:
        async def handle(request: web.Request) -> web.Response:
            return answer(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            async with Api(f"http://{host}:{port}") as api:
                return await api.call("GET", "/v1/x", **options)
        finally:
            await runner.cleanup()

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, 1001, 2),
        (400, 1002, 2),
        (401, 2001, 4),
        (401, 2002, 4),
        (403, 2003, 5),
        (404, 3001, 3),
        (409, 4001, 6),
        (429, 5001, 7),
        (500, 9001, 9),
        (503, 9001, 9),
        (502, None, 9),
        (418, None, 1),
    ],
)
def test_call__refusal__has_its_exit_code(status: int, code: int | None, exit_code: int) -> None:
    """Scripts can tell by the exit code what kind of failure it was."""
    body = {} if code is None else {"code": code, "message": "no"}
    with pytest.raises(CommandFailed) as caught:
        ask(lambda _: web.json_response(body, status=status))
    assert caught.value.exit_code == exit_code


def test_call__server_busy__is_patient_where_asked() -> None:
    """A patient call waits as long as it is told and tries again."""
    answers = [429, 503, 200]

    def answer(_: web.Request) -> web.Response:
        status = answers.pop(0)
        busy = {"code": 5001, "message": "", "details": {"retry_after_seconds": 0}}
        return web.json_response({"code": 0, "data": 7} if status == 200 else busy, status=status)

    assert ask(answer, patient=True) == 7
    assert answers == []


def test_call__token_answer__is_returned_whole_without_an_envelope() -> None:
    """A bare OAuth answer is data by itself."""
    assert ask(lambda _: web.json_response({"access_token": "t"})) == {"access_token": "t"}


def test_call__no_json_or_no_server__is_told_apart() -> None:
    """What cannot be understood or reached is told without a traceback."""
    with pytest.raises(CommandFailed, match="JSON") as caught:
        ask(lambda _: web.Response(text="<html>"))
    assert caught.value.exit_code == ExitCode.SERVER_ERROR

    async def call_nobody() -> None:
        async with Api("http://127.0.0.1:1") as api:
            await api.call("GET", "/v1/x")

    with pytest.raises(CommandFailed, match="reached") as caught:
        asyncio.run(call_nobody())
    assert caught.value.exit_code == ExitCode.FAILED
