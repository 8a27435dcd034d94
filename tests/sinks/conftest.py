"""What the tests of delivery share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pipetrail.sinks.state import State
from pipetrail.testing.delivering import hasty
from pipetrail.testing.receivers import ScriptedReceiver
from tests.sinks.alert_play import Play


@pytest.fixture
def state_path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db.sinks")


@pytest.fixture
def state(state_path: str) -> Iterator[State]:
    opened = State(state_path)
    hasty(opened)
    yield opened
    opened.close()


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    async with ScriptedReceiver() as scripted:
        made = Play(scripted)
        await made.sink.start()
        yield made
        await made.sink.stop()
