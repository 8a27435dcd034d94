"""The runs of a journal while it grows: what is read again, what is told, and whose clock counts."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipetrail.app.runs import LiveRuns, runs_of
from pipetrail.model import Batch, Event, ObjectQuery, ObjectRef, ObjectVersion
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.testing.strategies import START

RUNNING = {"type": "Succeeded", "status": "Unknown", "reason": "Running"}
FAILED = {"type": "Succeeded", "status": "False", "reason": "Failed"}
HOUR = 3600 * SECOND


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingReader(JournalReader):
    """A reader that counts the objects that it hands out."""

    handed = 0

    def objects(self, query: ObjectQuery) -> Iterator[ObjectVersion]:
        for version in super().objects(query):
            self.handed += 1
            yield version


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()


@pytest.fixture
def reader(journal: Journal) -> Iterator[CountingReader]:
    found = CountingReader(journal.path)
    yield found
    found.close()


def pipeline_run(name: str, condition: dict[str, str], cluster: str = "c", at: int = START) -> Batch:
    uid = f"uid-of-{name}"
    metadata = {"name": name, "namespace": "ml", "uid": uid, "labels": {"tekton.dev/pipeline": "nightly"}}
    body = {"metadata": metadata, "status": {"conditions": [condition]}}
    ref = ObjectRef(api_version="tekton.dev/v1", kind="PipelineRun", namespace="ml", name=name, uid=uid)
    version = ObjectVersion(cluster=cluster, ref=ref, observed_at=at, created_at=START, body=msgspec.json.encode(body))
    return Batch(cluster=cluster, resource="pipelineruns.tekton.dev", objects=[version], alive_at=at)


def an_event(cluster: str = "c") -> Batch:
    about = ObjectRef(api_version="v1", kind="Pod", namespace="ml", name="other", uid="other")
    event = Event(
        number=1, cluster=cluster, at=START, observed_at=START, origin="kubernetes", about=about, reason="BackOff"
    )
    return Batch(cluster=cluster, resource="events", events=[event])


def states(live: LiveRuns) -> dict[str, str]:
    return {run.name: run.state for run in live.runs(START)}


def test_a_run_that_comes_later_is_told(journal: Journal, reader: CountingReader) -> None:
    live = LiveRuns(reader, clock=Clock())
    live.runs(START)
    journal.append([pipeline_run("a", RUNNING)])

    assert live.changed()
    assert states(live) == {"a": "Running"}


def test_a_run_that_ends_later_is_told(journal: Journal, reader: CountingReader) -> None:
    journal.append([pipeline_run("a", RUNNING)])
    live = LiveRuns(reader, clock=Clock())
    live.runs(START)
    journal.append([pipeline_run("a", FAILED, at=START + SECOND)])

    assert live.changed()
    assert states(live) == {"a": "Failed"}


def test_only_the_objects_that_changed_are_read_again(journal: Journal, reader: CountingReader) -> None:
    journal.append([pipeline_run("a", RUNNING), pipeline_run("b", RUNNING)])
    live = LiveRuns(reader, clock=Clock())
    live.runs(START)
    reader.handed = 0
    journal.append([pipeline_run("b", FAILED, at=START + SECOND)])
    live.changed()

    assert reader.handed == 1


def test_events_alone_change_no_run(journal: Journal, reader: CountingReader) -> None:
    journal.append([pipeline_run("a", RUNNING)])
    live = LiveRuns(reader, clock=Clock())
    live.runs(START)
    journal.append([an_event()])

    assert not live.changed()


def test_runs_are_looked_at_again_after_a_while_as_they_may_wait_for_too_long(
    journal: Journal, reader: CountingReader
) -> None:
    journal.append([pipeline_run("a", RUNNING)])
    clock = Clock()
    live = LiveRuns(reader, clock=clock)
    live.runs(START)
    clock.now += 31

    assert live.changed()


def test_looking_takes_no_more_than_a_third_of_the_time(journal: Journal, reader: CountingReader) -> None:
    clock = Clock()

    class SlowReader(CountingReader):
        def sources(self) -> list:  # type: ignore[type-arg]
            clock.now += 2
            return super().sources()

    with SlowReader(journal.path) as slow:
        live = LiveRuns(slow, clock=clock)
        live.runs(START)
        journal.append([pipeline_run("a", RUNNING)])
        clock.now += 3.9
        early = live.changed()
        clock.now += 0.2

        assert (early, live.changed()) == (False, True)


def test_only_the_chosen_clusters_are_read(journal: Journal, reader: CountingReader) -> None:
    journal.append([pipeline_run("a", RUNNING), pipeline_run("b", RUNNING, cluster="other")])

    assert [run.name for run in runs_of(reader, START, clusters=("other",))] == ["b"]


def test_a_run_of_a_cluster_that_was_not_heard_of_since_is_not_stuck(journal: Journal, reader: CountingReader) -> None:
    pending = {"type": "Succeeded", "status": "Unknown", "reason": "PipelineRunPending"}
    journal.append([pipeline_run("a", pending)])

    assert [run.state for run in runs_of(reader, START + 9 * HOUR)] == ["Pending"]


def test_a_run_of_a_cluster_that_is_heard_of_and_waits_for_hours_is_stuck(
    journal: Journal, reader: CountingReader
) -> None:
    pending = {"type": "Succeeded", "status": "Unknown", "reason": "PipelineRunPending"}
    journal.append([pipeline_run("a", pending)])
    journal.append([Batch(cluster="c", resource="pods", alive_at=START + 9 * HOUR)])

    assert [run.state for run in runs_of(reader, START + 9 * HOUR)] == ["Stuck"]
