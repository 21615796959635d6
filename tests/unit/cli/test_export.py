"""Files that break off, platforms that write none, and the bar of an export."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tellus.cli.export import Bar, export_group

HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: "
TOKEN = HEAD + b'application/json\r\ncontent-length: 21\r\n\r\n{"access_token": "t"}'
RESET = struct.pack("ii", 1, 0)
CSV = HEAD + b"text/csv; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def platform(answer: bytes, *, resets: bool) -> Iterator[str]:
    """A platform that gives a token and then the same answer to everybody; it may reset then."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with closing(caller):
                    asked = caller.recv(65536)
                    caller.sendall(TOKEN if b"/oauth/token" in asked else answer)
                    if resets and b"/oauth/token" not in asked:
                        time.sleep(0.2)  # what was sent before a reset is to be read first
                        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def export(answer: bytes, *words: str, resets: bool = False) -> Result:
    """Run an export of telemetry against a platform that answers so."""
    with platform(answer, resets=resets) as url:
        variables = {
            "TELLUS_BASE_URL": url, "TELLUS_CLIENT_ID": "cl", "TELLUS_CLIENT_SECRET": "s",
        }  # fmt: skip
        arguments = ["telemetry", "--device", "dvc_1", *words]
        return CliRunner().invoke(export_group, arguments, env=variables)


@pytest.mark.parametrize("resets", [False, True])
def test_export__answer_without_an_end__keeps_what_stood_there(
    tmp_path: Path, *, resets: bool
) -> None:
    """A file that breaks off in the middle is no file: exit code 9, and the old one stays."""
    out = tmp_path / "values.csv"
    out.write_text("old")
    result = export(CSV + b"6\r\na,b\r\n1\r\n", "--out", str(out), resets=resets)
    assert result.exit_code == 9
    assert "broke off" in result.output
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["values.csv"]


def test_export__whole_answer__is_the_file(tmp_path: Path) -> None:
    """The same with its end is written."""
    out = tmp_path / "values.csv"
    assert export(CSV + b"5\r\na,b\r\n\r\n0\r\n\r\n", "--out", str(out)).exit_code == 0
    assert out.read_bytes() == b"a,b\r\n"


def test_export__platform_that_answers_json__is_not_taken_for_a_file(tmp_path: Path) -> None:
    """Whoever does not know files answers in its own way; that is not written."""
    answer = HEAD + b"application/json\r\ncontent-length: 2\r\n\r\n{}"
    result = export(answer, "--out", str(tmp_path / "x.csv"))
    assert result.exit_code == 9
    assert "does not write csv" in result.output
    assert list(tmp_path.iterdir()) == []


def test_export__kind_that_is_not_installed__says_what_is_missing(tmp_path: Path) -> None:
    """The platform's refusal is passed on with the exit code of wrong use."""
    body = b'{"code":1001,"message":"Parquet needs pyarrow","data":null}'
    answer = b"HTTP/1.1 406 Not Acceptable\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    result = export(answer, "--format", "parquet", "--out", str(tmp_path / "x"))
    assert result.exit_code == 2
    assert "needs pyarrow" in result.output


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_bar__of_times__moves_with_them_however_the_file_is_cut(cut: int) -> None:
    """The first cell of the newest row says how much of the range is done; the end fills it."""
    until = datetime(2026, 1, 1, 4, tzinfo=UTC)
    text = b"timestamp,value\r\n" + b"".join(
        b"2026-01-01T%02d:00:00Z,1\r\n" % hour for hour in range(4)
    )
    with Bar("Telemetry", None, until) as bar:
        for start in range(0, len(text), cut):
            bar.note(text[start : start + cut])
        assert bar._shown == 750
    assert bar._shown == 1000


def test_bar__of_rows__never_passes_its_end() -> None:
    """Rows that were added meanwhile do not matter."""
    with Bar("Records", 2, None) as bar:
        bar.note(b"head\r\n1\r\n")
        assert bar._shown == 2
        bar.note(b"2\r\n3\r\n4\r\n")
    assert bar._shown == 2
