import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipetrail.cli.main import cli
from pipetrail.cli.screen import Screen
from tests.cli.journals import CLUSTER, LABEL, NOW, batches, write

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("PIPETRAIL_JOURNAL", "PIPETRAIL_CONFIG", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def night_journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cluster with a bad night; tests must not change it."""
    return write(str(tmp_path_factory.mktemp("night") / "journal.db"), batches(), {CLUSTER: LABEL})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; keyword arguments describe the screen."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def invoke(*args: str, width: int = 0, terminal: bool = False, colour: bool = False) -> Result:
        screen = Screen(width=width, terminal=terminal, colour=colour, now=lambda: NOW)
        result = CliRunner().invoke(cli, args, obj=screen, prog_name="pipetrail", catch_exceptions=False)
        assert isinstance(result, Result)
        return result

    return invoke
