"""What the tests of delivery share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipetrail.sinks.state import State
from pipetrail.testing.delivering import hasty


@pytest.fixture
def state_path(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db.sinks")


@pytest.fixture
def state(state_path: str) -> Iterator[State]:
    opened = State(state_path)
    hasty(opened)
    yield opened
    opened.close()
