"""Copies of Kubernetes Events and objects: what they add, at what time, and what adds nothing."""

from pathlib import Path
from typing import Any

import pytest

from pipetrail.model.times import parse_time
from pipetrail.testing.apiserver import AddCrd, Case, Compact, Delete, Fault, Kill, Object, Put, Stream, TimelineAction
from tests.watching.recorded import HOUR, START, VIRTUAL_TIME, event, recorded, stamp

pytestmark = VIRTUAL_TIME

MINUTE = 60.0


async def test_a_count_that_rose_during_a_restart_adds_the_difference(tmp_path: Path) -> None:
    """T-05: the same uid with count 3 before the restart and 7 after: one Event, total 7, the second record adds 4."""
    async with recorded(Case(name="bumped", objects={"events": [event("e", 3, at=1)]}), tmp_path) as trial:
        await trial.after(2)
        await trial.stop()
        trial.server.put("events", event("e", 7, at=2))
        await trial.start()
        await trial.after(2)

        assert [(found.count, found.source.total) for found in trial.events() if found.source] == [(3, 3), (4, 7)]
        assert len({found.source.uid for found in trial.events() if found.source}) == 1


async def test_an_old_event_is_stored_whatever_its_age(tmp_path: Path) -> None:
    """T-08: lastTimestamp lies 3 min before creationTimestamp; no age limit drops it."""
    old = event("old", at=-180)
    async with recorded(Case(name="old", objects={"events": [old]}), tmp_path) as trial:
        await trial.after(2)

        (found,) = trial.events()
        assert (found.at, found.observed_at >= START) == (START - 180_000_000, True)


async def test_an_event_without_times_takes_its_creation_and_then_its_receipt(tmp_path: Path) -> None:
    """T-09: all times null but the creation: that; all null: the time of receipt, flagged."""
    bare: dict[str, Any] = {"firstTimestamp": None, "lastTimestamp": None, "eventTime": None}
    no_time = {"name": "none", "namespace": "team-a", "creationTimestamp": None}
    case = Case(name="null times", timeline=[(5.0, Put("events", event("created", **bare)))])
    async with recorded(case, tmp_path) as trial:
        await trial.after(10)
        trial.server.put("events", event("none", **bare, metadata=no_time))
        await trial.after(5)
        trial.server.put("nodes", {"metadata": {"name": "n"}})
        trial.server.compact()
        await trial.restart()
        await trial.after(5)

        assert trial.lists("events") == 2
        created, received = trial.events()
        assert (created.at, created.at_estimated) == (START + 5_000_000, False)
        assert (received.at, received.at_estimated) == (received.observed_at, True)
        assert START + 10_000_000 <= received.at < START + 11_000_000


async def test_the_schedulers_event_has_its_microseconds_and_its_reporter(tmp_path: Path) -> None:
    """T-10: FailedScheduling with eventTime only, an empty source, reportingComponent and no count."""
    failed: Object = {
        "metadata": {"name": "p.17", "namespace": "team-a"},
        "involvedObject": {"kind": "Pod", "namespace": "team-a", "name": "p", "uid": "u"},
        "reason": "FailedScheduling",
        "message": "0/3 nodes are available",
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": "2023-12-24T13:37:16.335172Z",
        "series": None,
        "type": "Warning",
        "action": "Scheduling",
        "reportingComponent": "default-scheduler",
        "reportingInstance": "default-scheduler-0",
    }
    async with recorded(Case(name="scheduler", objects={"events": [failed]}), tmp_path) as trial:
        await trial.after(2)

        (found,) = trial.events()
        assert found.at == parse_time("2023-12-24T13:37:16.335172Z")
        assert (found.count, found.reporter, found.node, found.action) == (1, "default-scheduler", "", "Scheduling")
        assert not found.at_estimated


async def test_the_same_event_in_the_names_of_both_apis_is_one_record(tmp_path: Path) -> None:
    """T-12: note and regarding are message and involvedObject of another API: a second copy adds nothing."""
    old = event("e", at=1)
    metadata = old["metadata"] | {"uid": "6f0c6d54-2d6c-4f0e-8f6e-0a1b2c3d4e5f"}
    new: Object = {
        "metadata": metadata,
        "regarding": old["involvedObject"],
        "note": old["message"],
        "reason": old["reason"],
        "type": "Warning",
        "eventTime": None,
        "deprecatedCount": 1,
        "deprecatedLastTimestamp": stamp(1),
        "deprecatedFirstTimestamp": stamp(1),
        "deprecatedSource": old["source"],
    }
    case = Case(name="both APIs", objects={"events": [old | {"metadata": metadata}]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(2)
        trial.server.put("events", new)
        trial.server.put("events", {"metadata": {"name": "new", "namespace": "team-a"}} | {
            key: value for key, value in new.items() if key != "metadata"
        })  # fmt: skip
        await trial.after(2)
        asked = {ask.path for ask in trial.server.requests}

        assert trial.totals() == {"e": 1, "new": 1}
        first, second = trial.events()
        assert (first.message, first.about.name, first.node) == (second.message, second.about.name, second.node)
        assert not any(path.startswith("/apis/events.k8s.io") for path in asked)


async def test_unchanged_objects_add_nothing_when_they_are_listed_again(tmp_path: Path) -> None:
    """T-13: 500 unchanged Events and some Pods, listed again twice and again after a restart: 0 new records."""
    pods = [{"metadata": {"name": f"p{number}", "namespace": "team-a"}, "spec": {}} for number in range(20)]
    other = AddCrd("example.org", "v1", "ConfigMap", "configmaps")  # what is written there, nobody watches
    case = Case(
        name="relists", custom=[other], objects={"events": [event(f"e{n}", 3, at=n) for n in range(500)], "pods": pods}
    )
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        before = trial.events(), trial.events("status"), trial.objects(kinds=("Pod",), versions=True)
        for number in range(2):
            trial.server.put("configmaps.example.org", {"metadata": {"name": f"other-{number}"}})
            trial.server.compact(caches=True)
            trial.server.kill_connections()
            await trial.after(3)
        await trial.restart()
        await trial.after(3)

        assert trial.lists("events") == trial.lists("pods") == 3
        assert (trial.events(), trial.events("status"), trial.objects(kinds=("Pod",), versions=True)) == before
        assert sum(trial.totals().values()) == 1500


@pytest.mark.usefixtures("few_kinds")
async def test_the_expiry_of_an_event_is_no_occurrence(tmp_path: Path) -> None:
    """T-14: DELETED of an expired Event adds nothing."""
    timeline: list[tuple[float, TimelineAction]] = [(HOUR, Delete("events", "team-a", "e"))]
    case = Case(name="expired", objects={"events": [event("e", 2)]}, timeline=timeline)
    async with recorded(case, tmp_path) as trial:
        await trial.after(HOUR + 5)

        assert trial.totals() == {"e": 2}
        assert trial.events("status", kinds=("Event",)) == []


@pytest.mark.parametrize(
    "script",
    [
        Stream(split=300, pause=0.2, after=6, last_newline=False),
        Stream(join=True, after=6, last_newline=False),
        Stream(split=5, pause=0.001, after=6),
    ],
    ids=["three chunks each", "all in one chunk", "a few bytes each"],
)
async def test_chunks_do_not_matter(tmp_path: Path, script: Stream) -> None:
    """T-17: an object over three chunks, five objects in one, the last without newline: all once."""
    case = Case(name="chunks", objects={"events": [event("e0")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(1)
        trial.server.inject(Fault(resource="events", verb="watch", do=script))
        await trial.stop()
        for number in range(1, 7):
            trial.server.put("events", event(f"e{number}", message="x\u0085\u2028" * 30, at=number))
        await trial.start()
        await trial.after(10)
        trial.server.put("events", event("e7", at=20))
        await trial.after(5)

        assert trial.totals() == {f"e{number}": 1 for number in range(8)}
        assert trial.rejects() == []


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        (None, (1, 1, 123), 123),
        ((1, 1, 123), (1, 1, 123), 0),
        # "0 or 1" in the case: 1, since the count says that there was one more, whatever the time says.
        ((1, 1, 122), (1, 1, 123), 1),
        ((1, 3, 10), (1, 2, 13), 0),
        ((1, 2, 10), (1, 3, 13), 3),
        ((1, 3, 10), (2, 4, 6), 1),
    ],
)
async def test_a_copy_adds_what_is_new_in_it(
    tmp_path: Path, before: tuple[int, int, int] | None, after: tuple[int, int, int], added: int
) -> None:
    """T-28: the table of Sloop: first, last and count of a copy, and of the next one."""

    def copy(form: tuple[int, int, int]) -> Object:
        first, last, count = form
        return event("e", count, at=last * MINUTE, first=first * MINUTE)

    case = Case(name="table", objects={"events": [copy(before)] if before else []})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5 * MINUTE)
        known = sum(trial.totals().values())
        trial.server.put("events", copy(after))
        await trial.after(2)

        assert known == (before[2] if before else 0)
        assert sum(trial.totals().values()) - known == added
        if added == 3:
            last = trial.events()[-1]
            assert START + 2 * 60_000_000 < last.at <= START + 3 * 60_000_000


async def test_a_folded_event_keeps_its_whole_count_and_its_last_time(tmp_path: Path) -> None:
    """T-29: count 10 between 21:24:55 and 21:27:55: 10 occurrences, and a replay changes nothing."""
    form = {"firstTimestamp": "2025-12-31T21:24:55Z", "lastTimestamp": "2025-12-31T21:27:55Z", "count": 10}
    case = Case(name="folded", objects={"events": [event("e") | form]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(2)
        before = trial.events()
        trial.server.put("nodes", {"metadata": {"name": "n"}})
        trial.server.compact(caches=True)
        await trial.restart()
        await trial.after(2)

        assert trial.lists("events") == 2
        assert trial.events() == before
        assert [(found.count, found.at) for found in before] == [(10, parse_time("2025-12-31T21:27:55Z"))]


async def test_two_counts_in_one_batch_are_not_added_up(tmp_path: Path) -> None:
    """T-30: the same Event with count 5 and then 6 in one batch: 6, not 11."""
    async with recorded(Case(name="batch"), tmp_path) as trial:
        await trial.after(2)
        trial.server.put("events", event("e", 5, at=2))
        trial.server.put("events", event("e", 6, at=2))
        await trial.after(2)

        assert trial.totals() == {"e": 6}
        assert [found.count for found in trial.events()] == [5, 1]


async def test_a_heartbeat_of_a_node_is_no_news_but_a_condition_is(tmp_path: Path) -> None:
    """T-32: copies that differ in resourceVersion and lastHeartbeatTime: 0 records; a condition flips: 1."""

    def node(beat: float, status: str, since: float) -> Object:
        ready = {
            "type": "Ready",
            "status": status,
            "reason": "KubeletReady",
            "lastHeartbeatTime": stamp(beat),
            "lastTransitionTime": stamp(since),
        }
        return {"metadata": {"name": "n1"}, "spec": {}, "status": {"conditions": [ready]}}

    case = Case(name="beats", objects={"nodes": [node(0, "True", 0)]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        with trial.reader() as reader:
            before = reader.last_seq()
        for beat in range(10, 100, 10):
            trial.server.put("nodes", node(beat, "True", 0))
            await trial.after(10)
        with trial.reader() as reader:
            assert reader.last_seq() == before
        trial.server.put("nodes", node(100, "Unknown", 95))
        await trial.after(5)

        found = trial.events("status", kinds=("Node",), since=START + 50_000_000)
        assert [(item.reason, item.severity, item.at) for item in found] == [
            ("KubeletReady", "error", START + 95_000_000)
        ]
        assert len(trial.objects(kinds=("Node",), versions=True)) == 2


async def test_an_event_that_is_bumped_sixty_times_has_sixty_occurrences(tmp_path: Path) -> None:
    """T-34: BackOff with counts 1 to 60 in 15 min, through reconnects, a compaction and a restart."""
    timeline: list[tuple[float, TimelineAction]] = [
        (15.0 * number, Put("events", event("e", number, at=15.0 * number))) for number in range(1, 61)
    ]
    timeline += [(100.0, Kill()), (200.0, Compact()), (201.0, Kill()), (330.0, Kill())]
    async with recorded(Case(name="bumps", timeline=timeline), tmp_path) as trial:
        await trial.after(470)
        await trial.restart(after=40)
        await trial.after(450)

        found = trial.events()
        assert trial.totals() == {"e": 60}
        assert len({item.id for item in found}) == len(found)
        assert [item.at for item in found] == sorted(item.at for item in found)
