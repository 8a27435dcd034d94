"""What a run that waits is compared with: the phases of the last runs of its pipeline."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from pipetrail.app.phases_before import PhaseBefore, compared, phases_before, recent_phases
from pipetrail.app.playing import PlayOptions, play
from pipetrail.app.reading import Read, RunReader
from pipetrail.catalogue import load
from pipetrail.model import Batch, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.standings import called
from pipetrail.testing.strategies import START
from tests.app.recorded import configured
from tests.conftest import RECORDINGS

LATE = 1 << 60
TEKTON = RECORDINGS / "tekton-image-pull-failed"


def ended(
    number: int, queued: int, state: str = "Succeeded", pipeline: str = "churn", namespace: str = "ml"
) -> Standing:
    return Standing(
        cluster="prod",
        system="argo",
        run=f"{pipeline}-{number}",
        name=f"{pipeline}-{number}",
        state=state,
        at=START + number * SECOND,
        namespace=namespace,
        pipeline=pipeline,
        phases={"queued": queued * SECOND, "running": 60 * SECOND},
    )


def tell(path: str, *told: Standing) -> None:
    journal = Journal(path)
    journal.append([Batch(cluster="prod", resource="", standings=list(told))])
    journal.close()


def recent(path: str, most: int = 20, at: int | None = None, pipeline: str = "churn") -> list[int]:
    with JournalReader(path) as reader:
        found = recent_phases(RunReader(reader, LATE, at=at), "prod", "ml", pipeline, most)
    return [took["queued"] // SECOND for took in found]


def test_the_last_runs_of_the_pipeline_that_are_over_are_taken(path: str) -> None:
    others = (ended(1, 7, pipeline="else"), ended(2, 8, namespace="other"), ended(3, 9, "Running"))
    tell(path, *(ended(number, number) for number in range(30)), *others)

    assert recent(path) == list(range(29, 9, -1))
    assert recent(path, most=2) == [29, 28]


def test_of_an_earlier_time_those_that_were_over_then(path: str) -> None:
    tell(path, *(ended(number, number) for number in range(5)))

    assert recent(path, at=START + 2 * SECOND) == [2, 1, 0]


def test_a_run_of_no_pipeline_is_compared_with_nothing(path: str) -> None:
    tell(path, ended(1, 1, pipeline=""))

    assert recent(path, pipeline="") == []


def test_a_phase_is_told_by_its_middle_its_ninth_of_ten_and_its_longest() -> None:
    assert compared("queued", list(range(1, 21)), 5) == PhaseBefore(
        phase="queued", runs=20, median=10, p90=18, longest=20, now=5
    )
    assert compared("queued", [7], None) == PhaseBefore(phase="queued", runs=1, median=7, p90=7, longest=7)
    assert compared("queued", [], 5) == PhaseBefore(phase="queued", now=5)


def played(path: str, told: bool) -> None:
    options = PlayOptions(journal=path, resolvers=configured(), catalogue=load() if told else None)
    asyncio.run(play([TEKTON], options))


def the_run(path: str) -> tuple[RunReader, Read]:
    reader = JournalReader(path)
    runs = RunReader(reader, LATE, configured())
    one = next(one for one in called(reader, "ranker-pr-07"))
    read = runs.run(one.cluster, one.run)
    assert read is not None
    return runs, read


def test_a_journal_without_turns_tells_the_same_from_its_objects(tmp_path: Path) -> None:
    found = []
    for told in (True, False):
        played(place := str(tmp_path / f"{told}.db"), told)
        runs, read = the_run(place)
        run = read.case.run
        found.append(recent_phases(runs, run.cluster, run.namespace, run.pipeline))
        runs.reader.close()

    assert found[0] == found[1]
    assert found[0]


def test_the_phases_come_in_the_order_in_which_a_run_has_them(path: str) -> None:
    played(path, told=True)
    runs, read = the_run(path)
    found = phases_before(runs, read)
    runs.reader.close()

    assert [one.phase for one in found] == ["scheduled", "pulling", "initialising", "running"]
    assert all(one.runs == 1 and one.now == one.longest for one in found)


def test_a_run_without_others_before_it_is_compared_with_nothing(path: str) -> None:
    played(path, told=True)
    runs, read = the_run(path)
    case = replace(read.case, run=replace(read.case.run, pipeline="another"))
    found = phases_before(runs, replace(read, case=case))
    runs.reader.close()

    assert found == ()
