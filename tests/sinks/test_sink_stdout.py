"""The sink to standard output: the contract, and an output that nobody reads."""

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipetrail.model import Temporary
from pipetrail.sinks import stdout
from pipetrail.testing.deliveries import deliveries
from pipetrail.testing.sink_contract import Fault, Make, SinkContract


class Pipe:
    """The other end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.text = b""

    def received(self) -> list[tuple[str, int]]:
        while True:
            try:
                part = os.read(self.reading, 1 << 20)
            except BlockingIOError:
                break
            if not part:
                break
            self.text += part
        return [(one["id"], one["revision"]) for one in map(json.loads, self.text.splitlines())]

    async def fault(self, word: Fault | None) -> None:
        if word == "refused":
            os.close(self.reading)
            self.reading = -1

    def close(self) -> None:
        os.close(self.writing)
        if self.reading >= 0:
            os.close(self.reading)


class Draining(Pipe):
    """A pipe's buffer holds about 90 lines: more are kept in a file instead."""

    def __init__(self, path: str) -> None:
        self.writing = os.open(path, os.O_WRONLY | os.O_CREAT)
        self.reading = os.open(path, os.O_RDONLY)
        self.text = b""


def readable(file: int) -> bool:
    return bool(select.select([file], [], [], 0)[0])


class TestStdout(SinkContract):
    faults = frozenset[Fault]()

    @pytest.fixture
    def receiver(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draining]:
        opened = Draining(str(tmp_path_factory.mktemp("stdout") / "out"))
        yield opened
        opened.close()

    @pytest.fixture
    def make(self, receiver: Draining) -> Make:
        return lambda tools: stdout.StdoutSink("test", stdout.Settings(type="stdout"), receiver.writing)


async def test_an_output_that_nobody_reads_is_temporary() -> None:
    pipe = Pipe()
    sink = stdout.StdoutSink("test", stdout.Settings(type="stdout"), pipe.writing)
    await pipe.fault("refused")
    try:
        with pytest.raises(Temporary, match="standard output: Broken pipe") as error:
            await sink.send(deliveries(1))
    finally:
        pipe.close()

    assert error.value.failure == "refused"


async def test_while_a_write_hangs_no_other_one_begins_and_nobody_else_waits_for_it() -> None:
    pipe = Pipe()
    sink = stdout.StdoutSink("test", stdout.Settings(type="stdout"), pipe.writing)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sink.send(deliveries(500))
        for _ in range(40):  # more than the threads that all share
            with pytest.raises(Temporary, match="standard output: the write before has not ended") as error:
                async with asyncio.timeout(0.2):
                    await sink.send(deliveries(500))
        async with asyncio.timeout(2):
            await asyncio.to_thread(int)
        async with asyncio.timeout(20):
            while len(pipe.text.splitlines()) < 500 or not pipe.text.endswith(b"\n"):
                await asyncio.sleep(0.01)
                pipe.text += os.read(pipe.reading, 1 << 20) if readable(pipe.reading) else b""
            while True:
                try:
                    await sink.send(deliveries(1, first=501))
                    break
                except Temporary:
                    await asyncio.sleep(0.01)
        found = pipe.received()
    finally:
        pipe.close()

    assert error.value.failure == "timeout"
    assert found == [(one.event.id, 1) for one in deliveries(501)]


def test_a_write_that_hangs_keeps_no_process_from_its_end() -> None:
    program = """
import asyncio
from pipetrail.sinks import stdout
from pipetrail.testing.deliveries import deliveries

async def main():
    sink = stdout.StdoutSink("test", stdout.Settings(type="stdout"))
    try:
        async with asyncio.timeout(0.2):
            await sink.send(deliveries(500))
    except TimeoutError:
        pass
    await sink.stop()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
