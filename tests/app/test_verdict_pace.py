"""What keeps answers quick: verdicts do not wait for other events, and waiting runs are judged before anybody asks."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pipetrail.app import overview as module
from pipetrail.app.causes import causes as causes_of
from pipetrail.app.overview import MOST_JUDGED, UNREAD, overview
from pipetrail.app.reading import Read, RunReader
from pipetrail.app.runs import LiveRuns
from pipetrail.app.verdicts import Verdicts
from pipetrail.catalogue import Catalogue
from pipetrail.model import Batch, Event, Link, ObjectRef, ObjectVersion, Query, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader, Writer
from pipetrail.stores.sqlite.standings import standings, waits
from pipetrail.testing.strategies import START
from tests.stores import facts

NOW = START + 60 * SECOND
_UNPLACED = (
    '{"metadata":{"name":"%s","namespace":"ml","uid":"%s","creationTimestamp":"2026-11-24T03:00:00Z",'
    '"labels":{"batch.kubernetes.io/job-name":"x"}},"spec":{"containers":[{"name":"main"}]},"status":{"phase":"Pending",'
    '"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":'
    '"0/40 nodes are available: 40 Insufficient nvidia.com/gpu."}]}}'
)
_JOB = (
    '{"metadata":{"name":"%s","namespace":"ml","uid":"%s","creationTimestamp":"2026-11-24T03:00:00Z"},'
    '"spec":{"parallelism":1},"status":{"active":1}}'
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()


def version(kind: str, name: str, body: str) -> ObjectVersion:
    group = "batch/v1" if kind == "Job" else "v1"
    ref = ObjectRef(api_version=group, kind=kind, namespace="ml", name=name, uid=f"uid-{name}")
    return ObjectVersion(cluster="prod", ref=ref, observed_at=START, body=body.encode(), created_at=START)


def waiting(journal: Journal, *names: str) -> None:
    """Jobs whose pods fit on no node."""
    versions: list[ObjectVersion] = []
    events: list[Event] = []
    for name in names:
        pod = f"{name}-p"
        owner = f'"ownerReferences":[{{"apiVersion":"batch/v1","kind":"Job","name":"{name}","uid":"uid-{name}",'
        owner += '"controller":true}],'
        body = (_UNPLACED % (pod, f"uid-{pod}")).replace('"labels":', owner + '"labels":', 1)
        versions += [version("Job", name, _JOB % (name, f"uid-{name}")), version("Pod", pod, body)]
        link = Link(rel="subject", system="job", run=f"uid-{name}", run_name=name, pod_uid=f"uid-{pod}", via="owner")
        about = versions[-1].ref
        said = "0/40 nodes are available: 40 Insufficient nvidia.com/gpu."
        events.append(
            facts.event(len(events), about=about, reason="FailedScheduling", message=said, links=(link,), at=START)
        )
    journal.append([Batch(cluster="prod", resource="pods", events=events, objects=versions, alive_at=NOW)])
    told = [
        Standing(cluster="prod", system="job", run=f"uid-{name}", name=name, state="Pending", at=START, namespace="ml")
        for name in names
    ]
    journal.append([Batch(cluster="prod", resource="", standings=told)])


def judged(journal: Journal, catalogue: Catalogue) -> list[Batch]:
    ours = Verdicts("prod", catalogue, clock=time.monotonic, budget=60.0)
    with JournalReader(journal.path) as reader:
        ours.restore(reader, NOW)
        batches = ours.settle(ours.judge(reader, ours.due(NOW), NOW))
    journal.append(batches)
    return batches


class Asked(RunReader):
    """Reads runs, and notes which."""

    def __init__(self, reader: JournalReader) -> None:
        super().__init__(reader, NOW)
        self.runs: list[str] = []

    def run(self, cluster: str, id_: str) -> Read | None:
        self.runs.append(id_)
        return super().run(cluster, id_)


def causes(journal: Journal, catalogue: Catalogue) -> list[tuple[str, int]]:
    with JournalReader(journal.path) as reader:
        groups = overview(RunReader(reader, NOW), catalogue, 0)
    return [(group.first.cause or group.first.reason, len(group.runs)) for group in groups]


# ---- waiting runs


def test_why_a_run_waits_is_kept_and_is_no_event(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, "a", "b")
    judged(journal, catalogue)
    with JournalReader(journal.path) as reader:
        found = waits(reader)
        events = list(reader.events(Query(origins=("verdict",))))

    assert set(found) == {("prod", "uid-a"), ("prod", "uid-b")}
    assert {body["state"] for body in found.values()} == {"Pending"}
    assert events == []


def test_what_was_kept_answers_without_another_look(
    journal: Journal, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(journal, "a", "b")
    live = causes(journal, catalogue)
    judged(journal, catalogue)
    monkeypatch.setattr(module, "judged", lambda *_, **__: pytest.fail("it was judged again"))

    assert causes(journal, catalogue) == live
    assert sum(count for _, count in live) == 2


def test_a_list_of_runs_takes_what_was_kept_and_judges_only_the_others(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, "a", "b")
    ours = Verdicts("prod", catalogue, clock=time.monotonic, budget=60.0)
    with JournalReader(journal.path) as reader:
        listed = [run for run in LiveRuns(reader).runs(NOW) if run.state == "Pending"]
        live = causes_of(reader, listed, lambda: RunReader(reader, NOW), lambda: catalogue)
        journal.append(ours.settle(ours.judge(reader, ["uid-a"], NOW)))
        asked = Asked(reader)
        kept = causes_of(reader, listed, lambda: asked, lambda: catalogue)

    assert asked.runs == ["uid-b"]
    assert set(kept) == {("prod", "uid-a"), ("prod", "uid-b")}
    assert kept == live


def test_a_list_does_not_take_what_was_kept_of_a_run_that_has_got_on(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, "a")
    judged(journal, catalogue)
    with JournalReader(journal.path) as reader:
        # The objects say so already; the recorder has not looked at the run again yet.
        on = [replace(run, state="Running") for run in LiveRuns(reader).runs(NOW)]
        assert causes_of(reader, on, lambda: RunReader(reader, NOW), lambda: catalogue) == {}


def test_it_is_forgotten_when_the_run_gets_on(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, "a")
    judged(journal, catalogue)
    on = Standing(cluster="prod", system="job", run="uid-a", name="a", state="Running", at=NOW)
    journal.append([Batch(cluster="prod", resource="", standings=[on])])
    with JournalReader(journal.path) as reader:
        assert waits(reader) == {}


def test_the_same_reason_is_written_once(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, "a")
    ours = Verdicts("prod", catalogue, clock=time.monotonic, budget=60.0)
    with JournalReader(journal.path) as reader:
        ours.restore(reader, NOW)
        first = ours.settle(ours.judge(reader, ["uid-a"], NOW))
        again = ours.settle(ours.judge(reader, ["uid-a"], NOW))

    assert [len(batch.waits) for batch in first] == [1]
    assert again == []


def test_of_many_that_nobody_judged_the_first_are_and_the_rest_is_named(journal: Journal, catalogue: Catalogue) -> None:
    names = [f"w{number}" for number in range(MOST_JUDGED + 7)]
    waiting(journal, *names)
    found = causes(journal, catalogue)

    assert sum(count for _, count in found) == len(names)
    assert (UNREAD, 7) in found


# ---- what is written is there


async def test_a_flush_does_not_wait_for_what_is_put_after_it(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    writer = Writer(lambda: Journal(path), now=lambda: NOW)
    await writer.start()
    numbers = iter(range(1_000_000))

    async def keep_putting() -> None:
        while True:
            await writer.put(facts.batch([next(numbers)]))
            await asyncio.sleep(0)

    await writer.put(Batch(cluster="prod", resource="", standings=[_a_standing()]))
    others = asyncio.create_task(keep_putting())
    try:
        await asyncio.wait_for(writer.flush(), 10)
        with JournalReader(path) as reader:
            assert [one.run for one in standings(reader)] == ["r1"]
    finally:
        others.cancel()
        await asyncio.gather(others, return_exceptions=True)
        assert await writer.stop(40)


def _a_standing() -> Standing:
    fields: dict[str, Any] = {"cluster": "prod", "system": "job", "run": "r1", "name": "a"}
    return Standing(**fields, state="Failed", at=START)


def test_runs_that_changed_are_judged_before_all_that_a_start_looks_at(journal: Journal, catalogue: Catalogue) -> None:
    waiting(journal, *(f"w{number}" for number in range(5)))
    ours = Verdicts("prod", catalogue, clock=time.monotonic)
    with JournalReader(journal.path) as reader:
        ours.restore(reader, NOW)
        (changed,) = list(reader.events(Query(runs=("uid-w3",), order="seq")))
    ours.note([Batch(cluster="prod", resource="pods", events=[changed], objects=[version("Job", "w3", "{}")])], NOW)

    assert ours.due(NOW + SECOND)[0] == "uid-w3"
