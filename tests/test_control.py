"""The socket beside a journal: for its user only, and gone when the recorder ends, however that was."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from pipetrail.control import Request, answering, ask, socket_path


async def echo(request: Request) -> Any:
    return request


async def failing(_: Request) -> Any:
    raise RuntimeError("it failed")


HANDLERS = {"echo": echo, "fail": failing}


async def asked(journal: str, request: Request) -> Request | None:
    return await asyncio.to_thread(ask, journal, request, 10.0)


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


async def test_a_request_is_answered_and_a_failure_is_told(journal: str) -> None:
    async with answering(journal, HANDLERS):
        assert await asked(journal, {"do": "echo", "x": "ü"}) == {"ok": True, "result": {"do": "echo", "x": "ü"}}
        assert await asked(journal, {"do": "fail"}) == {"ok": False, "error": "it failed"}
        unknown = await asked(journal, {"do": "dance"})
        assert unknown == {"ok": False, "error": "unknown request; this recorder knows echo, fail"}


async def test_a_large_answer_comes_whole(journal: str) -> None:
    async def large(_: Request) -> str:
        return "x" * 3_000_000

    async with answering(journal, {"large": large}):
        answer = await asked(journal, {"do": "large"})

    assert answer is not None
    assert len(answer["result"]) == 3_000_000


async def test_only_its_user_may_ask(journal: str) -> None:
    before = os.umask(0)
    try:
        async with answering(journal, HANDLERS):
            mode = os.stat(socket_path(journal)).st_mode
            assert os.umask(0) == 0  # as it was
    finally:
        os.umask(before)

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_the_socket_is_gone_afterwards_and_nobody_answers(journal: str, tmp_path: Path) -> None:
    async with answering(journal, HANDLERS):
        assert os.listdir(tmp_path) == ["journal.db.sock"]

    assert os.listdir(tmp_path) == []
    assert await asked(journal, {"do": "echo"}) is None


async def test_a_path_longer_than_the_kernel_takes_works(tmp_path: Path) -> None:
    place = tmp_path.joinpath(*["a-folder-with-a-long-name" for _ in range(8)])
    place.mkdir(parents=True)
    journal = str(place / "journal.db")
    assert len(socket_path(journal)) > 200
    async with answering(journal, HANDLERS):
        assert stat.S_IMODE(os.stat(socket_path(journal)).st_mode) == 0o600
        assert await asked(journal, {"do": "echo"}) == {"ok": True, "result": {"do": "echo"}}

    assert os.listdir(place) == []
    assert await asked(journal, {"do": "echo"}) is None
    assert await asked(str(place / "no-such-folder" / "journal.db"), {"do": "echo"}) is None


async def test_a_socket_that_a_killed_recorder_left_is_replaced(journal: str) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(socket_path(journal))
    assert await asked(journal, {"do": "echo"}) is None
    async with answering(journal, HANDLERS):
        assert await asked(journal, {"do": "echo"}) == {"ok": True, "result": {"do": "echo"}}


async def raw(journal: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket_path(journal))
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("data", [b"\n", b"{\n", b"[]\n", b"null\n", b"\xff\n", b'{"do":["x"]}\n', b'"x"\n'])
async def test_nonsense_is_answered_with_an_error(journal: str, data: bytes) -> None:
    async with answering(journal, HANDLERS):
        assert json.loads(await raw(journal, data))["ok"] is False
        assert await asked(journal, {"do": "echo"}) == {"ok": True, "result": {"do": "echo"}}


async def test_a_request_without_end_and_one_that_breaks_off_do_no_harm(
    journal: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with answering(journal, HANDLERS):
        with contextlib.suppress(ConnectionError):
            assert await raw(journal, b"x" * (3 << 20) + b"\n") == b""
        assert await raw(journal, b'{"do"') == b""
        assert await asked(journal, {"do": "echo"}) == {"ok": True, "result": {"do": "echo"}}

    assert caplog.records == []


async def test_a_client_that_says_nothing_does_not_hold_up_the_end(journal: str) -> None:
    async with asyncio.timeout(5):
        async with answering(journal, HANDLERS):
            reader, writer = await asyncio.open_unix_connection(socket_path(journal))
            await asyncio.sleep(0.05)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_recorder_that_ends_before_it_answers_is_told(journal: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(socket_path(journal))
        server.listen()
        task = asyncio.create_task(asked(journal, {"do": "echo"}))
        line, _ = await asyncio.to_thread(server.accept)
        line.recv(100)
        line.close()

        assert await task == {"ok": False, "error": "the recorder ended before it answered"}


async def test_a_recorder_that_does_not_answer_in_time_is_told(journal: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(socket_path(journal))
        server.listen()
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(ask, journal, {"do": "echo"}, 0.1)
