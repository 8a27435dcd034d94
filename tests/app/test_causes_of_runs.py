"""Why the runs of a list failed: what was told counts, and only so many are judged."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipetrail.analysis.runs import Run
from pipetrail.app.causes import causes
from pipetrail.app.reading import RunReader
from pipetrail.catalogue import Catalogue, load
from pipetrail.stores.sqlite import JournalReader
from tests.cli.journals import batches, write
from tests.cli.verdicts import a_run


class Asked:
    """Reads no run, and counts who was asked for."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def run(self, cluster: str, id_: str) -> None:
        self.runs.append(id_)


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    with JournalReader(write(str(tmp_path / "j.db"), batches(), {})) as found:
        yield found


def never() -> NoReturn:
    raise AssertionError("nobody has to be judged")


def test_only_the_first_of_many_failed_runs_are_judged(reader: JournalReader) -> None:
    asked = Asked()
    failed = [a_run(id=f"run-{number}") for number in range(120)]

    assert causes(reader, failed, lambda: asked, lambda: load(None)) == {}  # type: ignore[arg-type,return-value]
    assert asked.runs == [f"run-{number}" for number in range(20)]


def test_runs_that_went_well_cost_nothing(reader: JournalReader) -> None:
    def runs() -> RunReader:
        never()

    def catalogue() -> Catalogue:
        never()

    good: list[Run] = [a_run(state=state) for state in ("Succeeded", "Running")]
    assert causes(reader, good, runs, catalogue) == {}
