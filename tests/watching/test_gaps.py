"""Gaps: when one is recorded, how long it is, and whether anything can be lost in it."""

from pathlib import Path

import pytest

from pipetrail.app.cluster import ClusterOptions
from pipetrail.model.times import SECOND
from pipetrail.testing.apiserver import (
    AddCrd,
    Answer,
    Case,
    ClearFaults,
    Fault,
    Inject,
    Kill,
    Put,
    TimelineAction,
)
from tests.watching.recorded import START, VIRTUAL_TIME, Trial, event, pod, recorded, stamp

pytestmark = VIRTUAL_TIME

OTHER = AddCrd("example.org", "v1", "Other", "others")  # what is written there, nobody watches


def down(begin: float, end: float) -> list[tuple[float, TimelineAction]]:
    """The server refuses everything for a while."""
    fault = Fault(do=Answer(status=503), times=None, during=(begin, end))
    return [(begin, Inject(fault)), (begin, Kill()), (end, ClearFaults())]


def expire(trial: Trial) -> None:
    """Make every position before now too old."""
    trial.server.put("others.example.org", {"metadata": {"name": "o"}})
    trial.server.compact(caches=True)


async def test_the_first_start_is_a_gap_without_a_beginning(tmp_path: Path) -> None:
    """Gaps: nothing is known of the time before; it is recorded once, not again at the next start."""
    async with recorded(Case(name="first", objects={"events": [event("e")]}), tmp_path) as trial:
        await trial.after(3)
        await trial.restart(after=60)
        await trial.after(3)

        (gap,) = trial.gaps("events", first_start=True)
        assert (gap.since, gap.reason, gap.loss) == (None, "FirstStart", "possible")
        assert START <= gap.until < START + SECOND
        (told,) = [found for found in trial.events("gap") if found.about.kind == "Event"]
        assert (told.reason, told.action, told.severity) == ("FirstStart", "loss:possible", "info")


async def test_a_watch_that_goes_on_after_ten_minutes_leaves_no_gap(tmp_path: Path) -> None:
    """Gaps: what the server continues from the last version is whole, however long it was down."""
    timeline = [*down(30.0, 630.0), (300.0, Put("events", event("e2", at=300))), (300.0, Put("pods", pod("q")))]
    case = Case(name="down", objects={"events": [event("e1")], "pods": [pod("p")]}, timeline=timeline)
    async with recorded(case, tmp_path) as trial:
        await trial.after(600)
        assert trial.blind() != []
        await trial.after(90)

        assert trial.totals() == {"e1": 1, "e2": 1}
        assert {version.ref.name for version in trial.objects(kinds=("Pod",))} == {"p", "q"}
        assert trial.gaps() == []
        assert trial.blind() == []


@pytest.mark.parametrize(("outage", "loss"), [(20 * 60.0, "none"), (70 * 60.0, "possible")])
async def test_events_are_covered_by_a_new_list_for_as_long_as_they_live(
    tmp_path: Path, outage: float, loss: str
) -> None:
    """Gaps: blind for less than the TTL of events loses none of them; for longer it may; objects may in either case."""
    case = Case(name="outage", custom=[OTHER], objects={"events": [event("e1")], "pods": [pod("p")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(30)
        await trial.stop()
        trial.server.put("events", event("e2", at=40))
        expire(trial)
        await trial.restart(after=outage)
        await trial.after(5)

        (gap,) = trial.gaps("events")
        assert (gap.reason, gap.loss) == ("PositionExpired", loss)
        assert gap.since is not None
        assert gap.since <= START + 30 * SECOND
        assert gap.until >= START + round((30 + outage) * SECOND)
        (told,) = [found for found in trial.events("gap", reasons=("PositionExpired",)) if found.about.kind == "Event"]
        assert (told.at, told.action) == (gap.until, f"loss:{loss}")
        assert told.severity == ("info" if loss == "none" else "warning")
        assert [gap.loss for gap in trial.gaps("pods")] == ["possible"]
        assert trial.totals() == {"e1": 1, "e2": 1}


async def test_a_shorter_event_ttl_can_be_configured(tmp_path: Path) -> None:
    """Gaps: with a TTL of ten minutes, twenty minutes may have lost events."""
    case = Case(name="ttl", custom=[OTHER], objects={"events": [event("e1")]})
    options = ClusterOptions(name="c1", event_ttl=600 * SECOND)
    async with recorded(case, tmp_path, options=options) as trial:
        await trial.after(10)
        await trial.stop()
        expire(trial)
        await trial.restart(after=1200)
        await trial.after(5)

        assert [gap.loss for gap in trial.gaps("events")] == ["possible"]


async def test_an_observed_expiry_lowers_the_event_ttl(tmp_path: Path) -> None:
    """Gaps: an Event that goes after 5 min says that this cluster keeps them for 5 min."""
    case = Case(name="observed", custom=[OTHER], objects={"events": [event("e1", at=0)]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(300)
        trial.server.delete("events", "team-a", "e1")
        await trial.after(5)
        for _, action in down(305.0, 305.0 + 900)[:2]:
            trial.server.apply(action)
        expire(trial)
        await trial.after(1000)

        assert [(gap.reason, gap.loss) for gap in trial.gaps("events")] == [("PositionExpired", "possible")]


@pytest.mark.parametrize("trace", ["deleted", "terminating", "unknown"])
async def test_a_namespace_that_went_meanwhile_took_its_events_with_it(tmp_path: Path, trace: str) -> None:
    """Gaps: a namespace deleted (or being deleted) while blind makes the loss possible; so does not knowing it."""
    space = {"metadata": {"name": "team-x"}}
    case = Case(name="namespace", custom=[OTHER], objects={"events": [event("e1")], "namespaces": [space]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(10)
        await trial.stop()
        match trace:
            case "deleted":
                trial.server.delete("namespaces", "", "team-x")
            case "terminating":
                going = {"name": "team-x", "deletionTimestamp": stamp(60)}
                trial.server.put("namespaces", {"metadata": going})
            case _:
                trial.server.forbid("namespaces")
        expire(trial)
        await trial.restart(after=120)
        await trial.after(5)

        assert [(gap.reason, gap.loss) for gap in trial.gaps("events")] == [("PositionExpired", "possible")]


async def test_an_object_deleted_while_blind_becomes_a_tombstone(tmp_path: Path) -> None:
    """Gaps: what a new list does not hold was deleted unseen: a tombstone and a Deleted event, inside a gap."""
    case = Case(name="deleted", custom=[OTHER], objects={"pods": [pod("p"), pod("q")]})
    async with recorded(case, tmp_path) as trial:
        await trial.after(10)
        await trial.stop()
        trial.server.delete("pods", "team-a", "p")
        trial.server.put("pods", pod("q", "Succeeded"))
        trial.server.put("pods", pod("r"))
        expire(trial)
        await trial.restart(after=60)
        await trial.after(5)

        (gone,) = trial.objects(kinds=("Pod",), deleted=True)
        assert gone.ref.name == "p"
        assert {version.ref.name for version in trial.objects(kinds=("Pod",), deleted=False)} == {"q", "r"}
        (told,) = trial.events("status", reasons=("Deleted",))
        assert told.about.name == "p"
        assert "unseen" in told.message
        (gap,) = trial.gaps("pods")
        assert gap.since is not None
        assert gap.since <= told.at <= gap.until
        assert len(trial.events("status", names=("q",), reasons=("Succeeded",))) == 1


async def test_a_resync_under_five_seconds_is_counted_not_recorded(tmp_path: Path) -> None:
    """Gaps: shorter resyncs are counters."""
    async with recorded(Case(name="short", custom=[OTHER], objects={"pods": [pod("p")]}), tmp_path) as trial:
        await trial.after(10)
        trial.server.put("pods", pod("p", "Failed"))
        trial.server.put("events", event("e", at=10))
        await trial.after(1)
        expire(trial)
        trial.server.kill_connections()
        await trial.after(5)

        assert trial.gaps("pods") == trial.gaps("events") == []
        assert trial.running.clusters[0].following["pods"].source.resyncs == 1


async def test_ready_is_false_with_the_reason_while_blind(tmp_path: Path) -> None:
    """Gaps: from the first failed try until the watch is open again."""
    case = Case(name="ready", timeline=down(60.0, 120.0))
    async with recorded(case, tmp_path) as trial:
        assert trial.blind() != []
        await trial.after(30)
        assert trial.blind() == []
        await trial.after(40)
        assert all("503" in reason for reason in trial.blind())
        assert len(trial.blind()) >= 11
        assert trial.state("events").state == "blind"
        assert trial.running.lag_seconds() >= 9
        await trial.after(85)
        assert trial.blind() == []
        assert trial.state("events").state == "watching"


async def test_a_list_that_expires_under_way_each_time_is_a_torn_one(tmp_path: Path) -> None:
    """Gaps: a list that could only be finished inconsistently says that changes may be missing."""
    events = [event(f"e{number}") for number in range(1200)]
    old = Answer(status=410, fresh_continue=True)
    faults = [Fault(resource="events", verb="list", page=2, at=(1, 3, 5), do=old)]  # the fresh tokens are good
    async with recorded(Case(name="torn", objects={"events": events}, faults=faults), tmp_path) as trial:
        await trial.after(60)

        assert len(trial.totals()) == 1200
        assert [(gap.reason, gap.loss) for gap in trial.gaps("events")] == [("ListTorn", "possible")]


async def test_a_break_without_an_expiry_is_not_even_noticed(tmp_path: Path) -> None:
    """Gaps: one reset of a watch that is opened again at once: no blindness, no state in between."""
    async with recorded(Case(name="reset"), tmp_path) as trial:
        await trial.after(100)
        states: list[str] = []
        following = trial.running.clusters[0].following["pods"]
        trial.server.kill_connections()
        for _ in range(40):
            await trial.after(0.05)
            states.append(following.state)

        assert set(states) == {"watching"}
        assert following.watch.reconnects >= 1
        assert trial.gaps() == []
