"""The sink to standard output: the contract, and an output that nobody reads."""

import json
import os
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
