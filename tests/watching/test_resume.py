"""Resuming: restarts, crashes, expired and stale positions, broken connections."""

from pathlib import Path

import pytest

from pipetrail.testing.apiserver import (
    Answer,
    Case,
    Compact,
    EmptyAnswer,
    Fault,
    HeadersOnly,
    Inject,
    Kill,
    NoAnswer,
    Put,
    Reset,
    RestoreBackup,
    Stream,
    TimelineAction,
)
from tests.watching.recorded import HOUR, START, VIRTUAL_TIME, event, pod, recorded, timing

pytestmark = VIRTUAL_TIME


def some(*numbers: int) -> list[dict[str, object]]:
    return [event(f"e{number}", at=number) for number in numbers]


@pytest.mark.usefixtures("few_kinds")
async def test_a_stale_position_that_is_answered_by_empty_watches_ends_in_a_new_list(tmp_path: Path) -> None:
    """T-01: 200 and closed at once, a hundred times: few requests, a relist with a gap, no loss."""
    faults = [Fault(resource="events", verb="watch", times=100, do=EmptyAnswer())]
    case = Case(name="stale", objects={"events": some(1, 2)}, timeline=[(8.0, Put("events", event("late", at=8)))])
    async with recorded(case, tmp_path) as trial:
        await trial.after(3)
        await trial.stop()
        trial.server.inject(faults[0])
        await trial.start()
        started = trial.server.elapsed
        await trial.after(10)
        asked = [ask for ask in trial.server.requests if ask.resource == "events" and ask.at >= started]
        assert len(asked) <= 10
        await trial.after(HOUR)

        assert len(trial.server.asked("list", "events")) >= 2
        assert trial.totals() == {"e1": 1, "e2": 1, "late": 1}
        first = trial.gaps("events")[0]
        assert (first.reason, first.loss) == ("PositionStale", "none")
        assert first.since is not None
        assert first.since < START + 8_000_000 < first.until
        assert trial.blind() == []


async def test_an_expired_watch_whose_relist_fails_three_times_recovers_alone(tmp_path: Path) -> None:
    """T-02: 410 in the stream, then a list that fails by status, reset and timeout; blind, then whole again."""
    case = Case(name="relist fails", objects={"events": some(1)})
    async with recorded(case, tmp_path) as trial:
        await trial.after(10)
        server = trial.server
        for do in (Answer(status=500), Reset(), Reset(), NoAnswer()):
            server.inject(Fault(resource="events", verb="list", do=do))
        server.put("events", event("unseen", at=10))  # is in the open watch, and so seen
        server.kill_connections()
        server.put("events", event("missed", at=11))
        server.put("nodes", {"metadata": {"name": "n"}})
        server.inject(Fault(resource="events", verb="watch", do=Stream(after=0, end="error")))
        await trial.after(30)
        assert any("events: " in reason for reason in trial.blind())
        await trial.after(120)
        assert trial.blind() == []
        server.put("events", event("later", at=160))
        await trial.after(1)

        assert trial.totals() == {"e1": 1, "unseen": 1, "missed": 1, "later": 1}
        assert [(gap.reason, gap.loss) for gap in trial.gaps("events")] == [("PositionExpired", "none")]


async def test_ten_events_around_a_kill_are_stored_once_each(tmp_path: Path) -> None:
    """T-04: the recorder is killed after the fifth of ten is durable; each of the ten is there exactly once."""
    case = Case(name="killed", objects={"events": some(1, 2, 3)})
    async with recorded(case, tmp_path) as trial:
        await trial.after(2)
        for number in (4, 5):
            trial.server.put("events", event(f"e{number}", at=number))
        await trial.after(1)
        assert len(trial.totals()) == 5
        for number in (6, 7):  # received, but not committed when the kill comes
            trial.server.put("events", event(f"e{number}", at=number))
        await trial.crash()
        assert len(trial.totals()) == 5
        trial.server.put("events", event("e8", at=8))
        await trial.start()
        await trial.after(5)
        for number in (9, 10):
            trial.server.put("events", event(f"e{number}", at=number))
        await trial.after(5)

        assert trial.totals() == {f"e{number}": 1 for number in range(1, 11)}
        assert trial.gaps() == []


async def test_an_event_of_the_same_second_as_the_last_one_is_stored_after_a_restart(tmp_path: Path) -> None:
    """T-06: A and B have equal lastTimestamps; B arrives after the restart."""
    async with recorded(Case(name="same second", objects={"events": [event("a", at=1)]}), tmp_path) as trial:
        await trial.after(2)
        await trial.stop()
        trial.server.put("events", event("b", at=1))
        await trial.start()
        await trial.after(2)

        assert trial.totals() == {"a": 1, "b": 1}


@pytest.mark.usefixtures("few_kinds")
async def test_two_hours_of_bookmarks_carry_the_position(tmp_path: Path) -> None:
    """T-15: only bookmarks for 2 h, then a disconnect behind a compaction: it resumes without 410 or relist."""
    timeline: list[tuple[float, TimelineAction]] = [
        (minute * 60 + 30.0, Put("nodes", {"metadata": {"name": "other"}, "spec": {"providerID": str(minute)}}))
        for minute in range(118)
    ]
    timeline += [(2 * HOUR + 5, Compact(caches=True)), (2 * HOUR + 6, Kill())]
    case = Case(name="bookmarks", objects={"pods": [pod("p")]}, timeline=timeline)
    async with recorded(case, tmp_path) as trial:
        await trial.after(2 * HOUR + 10)
        trial.server.put("pods", pod("q"))
        await trial.after(5)

        assert trial.lists("pods") == 1
        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        assert trial.gaps("pods") == []


async def test_a_watch_that_falls_silent_after_its_headers_is_opened_again(tmp_path: Path) -> None:
    """T-16: headers, then silence; with a timeout of a second it reconnects, and each Event is stored once."""
    faults = [Fault(resource="events", verb="watch", times=2, do=HeadersOnly())]
    case = Case(
        name="silent", objects={"events": some(1, 2)}, faults=faults, timeline=[(2.0, Put("events", event("e3", at=2)))]
    )
    async with recorded(case, tmp_path, options=timing(events_watch=(1.0, 1.0), grace=0.0)) as trial:
        await trial.after(10)

        assert len(trial.server.asked("list", "events")) >= 2
        assert len(trial.server.asked("watch", "events")) >= 2
        assert trial.totals() == {"e1": 1, "e2": 1, "e3": 1}


async def test_versions_are_opaque(tmp_path: Path) -> None:
    """T-19: resourceVersions such as abc-1 are stored and sent back as they are."""
    case = Case(name="opaque", version_prefix="abc-", first_revision=0, objects={"events": some(1)})
    async with recorded(case, tmp_path) as trial:
        await trial.after(5)
        assert (trial.state("events").position or "").startswith("abc-")
        trial.server.put("events", event("e2", at=5))
        await trial.restart()
        trial.server.put("events", event("e3", at=6))
        await trial.after(5)

        assert trial.totals() == {"e1": 1, "e2": 1, "e3": 1}
        assert trial.gaps() == []
        assert trial.lists("events") == 1


@pytest.mark.parametrize("gone", [Answer(status=410), Stream(after=0, end="error")], ids=["status", "error line"])
async def test_410_leads_to_a_new_list_in_either_form(tmp_path: Path, gone: Answer | Stream) -> None:
    """Watching: 410 as HTTP status, and as an ERROR line after a 200."""
    async with recorded(Case(name="gone", objects={"events": some(1)}), tmp_path) as trial:
        await trial.after(2)
        trial.server.inject(Fault(resource="events", verb="watch", do=gone))
        trial.server.kill_connections()
        trial.server.put("events", event("e2", at=2))
        await trial.after(5)

        assert trial.totals() == {"e1": 1, "e2": 1}
        assert trial.gaps() == []
        assert trial.running.clusters[0].following["events"].source.resyncs == 1


async def test_a_position_that_expired_while_nothing_ran_is_replaced_by_a_list(tmp_path: Path) -> None:
    """Watching: a restart after a compaction meets the 410 with its first watch."""
    async with recorded(Case(name="compacted", objects={"events": some(1), "pods": [pod("p")]}), tmp_path) as trial:
        await trial.after(2)
        await trial.stop()
        trial.server.put("events", event("e1", count=4, at=2))
        trial.server.delete("pods", "team-a", "p")
        trial.server.compact(caches=True)
        await trial.restart(after=600)
        await trial.after(5)

        assert trial.totals() == {"e1": 4}
        assert [(gap.reason, gap.loss) for gap in trial.gaps("events")] == [("PositionExpired", "none")]
        assert [(gap.reason, gap.loss) for gap in trial.gaps("pods")] == [("PositionExpired", "possible")]


@pytest.mark.parametrize("resource", ["events", "pods"])
async def test_a_server_that_went_back_is_found_out_although_its_watch_is_silent(tmp_path: Path, resource: str) -> None:
    """Watching: after a restore from a backup the position lies in the future, where a watch only hangs."""
    timeline: list[tuple[float, TimelineAction]] = [
        *((2.0 + number, Put("events", event(f"e{number}", at=2 + number))) for number in range(5)),
        *((2.0 + number, Put("pods", pod(f"p{number}"))) for number in range(5)),
        (30.0, RestoreBackup(lost_writes=6)),
        (31.0, Put("events", event("after", at=31))),
        (31.0, Put("pods", pod("after"))),
    ]
    async with recorded(Case(name="backup", timeline=timeline), tmp_path) as trial:
        await trial.after(120)

        found = trial.totals() if resource == "events" else {v.ref.name for v in trial.objects(kinds=("Pod",))}
        assert "after" in found
        assert all(gap.reason == "ServerWentBack" for gap in trial.gaps(resource))
        assert trial.running.clusters[0].following[resource].watch.relists == 2


async def test_a_server_that_lags_behind_another_for_a_moment_has_not_gone_back(tmp_path: Path) -> None:
    """Watching: of several API servers, one may say for seconds that a version is too large: no relist, no gap."""
    async with recorded(Case(name="lag", objects={"pods": [pod("p")]}), tmp_path) as trial:
        await trial.after(100)
        lag = Answer(status=504, message="Timeout: Too large resource version: 1004, current: 1003", reason="Timeout")
        trial.server.inject(Fault(resource="pods", verb="list", times=2, do=lag))
        trial.server.kill_connections()
        await trial.after(10)
        trial.server.put("pods", pod("q"))
        await trial.after(2)

        assert trial.lists("pods") == 1
        assert len(trial.objects(kinds=("Pod",))) == 2
        assert trial.gaps() == []


@pytest.mark.usefixtures("few_kinds")
async def test_a_server_that_falls_silent_and_comes_back_from_a_backup_leaves_a_gap(tmp_path: Path) -> None:
    """Watching: the connection stays open in silence; the gap begins with the last word before it."""
    case = Case(name="backup in silence", objects={"events": some(1), "pods": [pod("p")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(10)
        trial.server.put("events", event("e2", at=10))
        trial.server.put("pods", pod("q"))
        await trial.after(1)
        trial.server._store.restore(trial.server.revision - 3)  # the connections stay open
        await trial.after(400)
        trial.server.put("events", event("e3", at=411))
        await trial.after(400)

        assert trial.totals() == {"e1": 1, "e2": 1, "e3": 1}
        assert {version.ref.name for version in trial.objects(kinds=("Pod",), deleted=True)} == {"p", "q"}
        for resource in ("events", "pods"):
            (gap,) = trial.gaps(resource)
            assert gap.reason == "ServerWentBack"
            assert gap.since is not None
            assert gap.since <= START + 12_000_000


async def test_seventy_seconds_of_silence_on_pods_are_a_dead_socket(tmp_path: Path) -> None:
    """Watching: pods get a bookmark each minute, so silence means that nobody is there."""
    faults = [Fault(resource="pods", verb="watch", do=HeadersOnly())]
    case = Case(name="dead", objects={"pods": [pod("p")]}, faults=faults)
    async with recorded(case, tmp_path) as trial:
        await trial.after(60)
        trial.server.put("pods", pod("q"))
        await trial.after(5)
        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p"}
        await trial.after(10)

        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        first, second = trial.server.asked("watch", "pods")
        assert second.at - first.at == pytest.approx(70, abs=2)
        assert trial.gaps() == []


@pytest.mark.usefixtures("few_kinds")
async def test_hours_of_idleness_with_a_compaction_every_five_minutes_lose_nothing(tmp_path: Path) -> None:
    """Watching: events get no bookmarks, so an idle position expires; the new list finds all, without a gap."""
    timeline: list[tuple[float, TimelineAction]] = []
    for minute in range(0, 120, 5):
        node = {"metadata": {"name": "n"}, "spec": {"providerID": str(minute)}}
        timeline += [(minute * 60 + 1.0, Put("nodes", node)), (minute * 60 + 2.0, Compact())]
    timeline += [(HOUR * hour + 1800, Put("events", event(f"e{hour}", at=HOUR * hour + 1800))) for hour in range(2)]
    async with recorded(Case(name="idle", timeline=timeline), tmp_path) as trial:
        await trial.after(2 * HOUR)

        assert trial.totals() == {"e0": 1, "e1": 1}
        assert trial.gaps() == []
        assert trial.running.clusters[0].following["events"].watch.relists > 5
        assert trial.blind() == []


async def test_connections_that_end_without_a_word_are_opened_again(tmp_path: Path) -> None:
    """Watching: resets and orderly ends at any moment; the position goes on, nothing is lost, no gap."""
    timeline: list[tuple[float, TimelineAction]] = []
    for number in range(20):
        timeline.append((10.0 * number + 5, Put("events", event(f"e{number}", at=10 * number + 5))))
        timeline.append((10.0 * number + 6, Kill()))
        timeline.append((10.0 * number + 6, Put("pods", pod(f"p{number}"))))
        timeline.append((10.0 * number + 7, Inject(Fault(resource="events", verb="watch", do=Stream(after=1)))))
    async with recorded(Case(name="broken", timeline=timeline), tmp_path) as trial:
        await trial.after(300)

        assert trial.totals() == {f"e{number}": 1 for number in range(20)}
        assert len(trial.objects(kinds=("Pod",))) == 20
        assert trial.gaps() == []
        assert trial.blind() == []
