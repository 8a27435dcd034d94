"""Delivery when all goes well, slowly, or has to change: latency, filters, reload, replay, pruning."""

import asyncio
import tracemalloc
from collections.abc import Sequence

import msgspec
import pytest

from pipetrail.model import Answer, Delivery, Temporary
from pipetrail.sinks.backlog import Hole
from pipetrail.sinks.feed import Page
from pipetrail.sinks.settings import Batching, Limits
from pipetrail.sinks.shared import Skipped
from pipetrail.sinks.state import Position, Settled, State
from pipetrail.testing.deliveries import START, MemoryFeed, deliveries, delivery, raised
from tests.sinks.scripted import ScriptedSink, failing, taken, virtual_now
from tests.sinks.virtual import VIRTUAL_TIME, delivering, plain

pytestmark = VIRTUAL_TIME

MINUTE = 60.0


async def test_a_slow_receiver_does_not_fall_behind(state: State) -> None:
    """T-73: each request takes 322 ms, and five events come each second, for an hour."""
    feed, sink = MemoryFeed(), ScriptedSink(latency=0.322)
    lags = []
    async with delivering(feed, state, [(sink, plain(batch=Batching(seconds=1.0)))]) as engine:
        for second in range(3600):
            now = virtual_now()
            feed.add(*(delivery(5 * second + number, at=now) for number in range(1, 6)))
            await asyncio.sleep(1)
            if second % 60 == 59:
                lags.append(engine.figures()[0].lag_events)

    assert len(sink.took) >= 5 * 3600 - 20
    assert max(lags) <= 20
    assert max(lags[30:]) <= max(lags[:30])


async def test_a_receiver_that_hangs_costs_the_other_nothing(state: State) -> None:
    """T-75"""
    feed, hangs, well = MemoryFeed(), ScriptedSink("hangs", latency=1e9), ScriptedSink("well")
    late: list[int] = []

    def timed(batch: Sequence[Delivery]) -> Sequence[Answer]:
        late.extend(virtual_now() - item.event.observed_at for item in batch)
        return taken(batch)

    well.outcome = timed
    small = Limits(queue=1000)
    sizes = []
    tracemalloc.start()
    try:
        sinks = [(hangs, plain(limits=small)), (well, plain())]
        async with delivering(feed, state, sinks, grace=1.0, poll=0.1) as engine:
            for second in range(100):
                now = virtual_now()
                feed.add(*(delivery(100 * second + number, at=now) for number in range(1, 101)))
                await asyncio.sleep(1)
                if second in (20, 99):
                    sizes.append(tracemalloc.get_traced_memory()[0])
            found = {each.name: each for each in engine.figures()}
            lane = engine._lanes["hangs"]
            in_memory = lane._backlog.ready + len(lane._flying)
    finally:
        tracemalloc.stop()

    assert max(late) <= 200_000  # microseconds: two looks for what is new
    assert (found["well"].lag_events, found["hangs"].lag_events) == (0, 10_000)
    assert in_memory <= 1000 + 200
    assert found["hangs"].sent == 0


async def test_a_filter_that_drops_nearly_all_lets_the_position_advance(state: State) -> None:
    """T-71"""
    feed, sink = MemoryFeed(deliveries(20_000, pods=100)), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(match={"name": "worker-7"}))]) as engine:
        await asyncio.sleep(5)
        [figures] = engine.figures()
        found = state.position("test")

    assert (figures.sent, figures.filtered, figures.lag_events) == (200, 19_800, 0)
    assert found is not None
    assert found.settled == 20_000


async def test_where_a_filter_fails_the_event_is_kept_and_counted(state: State) -> None:
    """T-71"""
    odd = [
        msgspec.structs.replace(each, event=msgspec.structs.replace(each.event, verdict={"blame": 1}))
        for each in deliveries(2)
    ]
    broken = msgspec.structs.replace(odd[0], event=msgspec.structs.replace(odd[0].event, verdict=["no", "verdict"]))
    feed, sink = MemoryFeed([broken, odd[1]]), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(match={"blame": "policy"}))]) as engine:
        await asyncio.sleep(3)
        [figures] = engine.figures()

    assert sink.seqs == [1]
    assert (figures.filter_errors, figures.filtered) == (1, 1)


async def test_an_event_waits_for_its_run_and_is_sent_once_with_it(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0))], poll=0.1) as engine:
        bare = unlinked(1, virtual_now())
        feed.add(bare)
        await asyncio.sleep(1)
        waiting = engine.figures()[0]
        feed.add(raised(bare, 2))
        await asyncio.sleep(0.5)
        [after] = engine.figures()

    assert (waiting.held, waiting.sent) == (1, 0)
    assert [(item.event.id, item.event.revision, bool(item.event.links)) for item in sink.took] == [
        (bare.event.id, 2, True)
    ]
    assert (after.sent, after.merged, after.unsettled, after.read) == (1, 1, 0, 2)


async def test_an_event_without_a_run_goes_when_it_has_waited(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0))], poll=0.1):
        await asyncio.sleep(1)
        bare = unlinked(1, virtual_now())
        other = delivery(2, at=virtual_now(), pod=5)
        feed.add(bare, other)
        await asyncio.sleep(1.5)
        first = sink.seqs
        await asyncio.sleep(1)
        feed.add(raised(bare, 3))
        await asyncio.sleep(1)

    assert first == [2]
    assert sink.seqs == [2, 1, 3]
    assert [item.event.revision for item in sink.took] == [1, 1, 2]


async def test_what_needs_no_run_and_what_is_old_does_not_wait(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0))], poll=0.1):
        await asyncio.sleep(10)
        about = msgspec.structs.replace(delivery(1).event.about, kind="Node")
        node = unlinked(1, virtual_now())
        node = msgspec.structs.replace(node, event=msgspec.structs.replace(node.event, about=about))
        feed.add(node, unlinked(2, virtual_now() - 3_000_000))
        await asyncio.sleep(0.3)

    assert sink.seqs == [1, 2]


async def test_later_events_of_an_object_do_not_overtake_one_that_waits_for_its_run(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0))], poll=0.1):
        feed.add(unlinked(1, virtual_now(), pod=3), delivery(2, at=virtual_now(), pod=3))
        await asyncio.sleep(1)
        meanwhile = sink.seqs
        await asyncio.sleep(2)

    assert (meanwhile, sink.seqs) == ([], [1, 2])


async def test_later_events_of_an_object_do_not_overtake_one_that_gets_its_run(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0))], poll=0.1):
        bare = unlinked(1, virtual_now(), pod=3)
        feed.add(bare)
        await asyncio.sleep(1)
        feed.add(raised(bare, 2), delivery(3, at=virtual_now(), pod=3))
        await asyncio.sleep(0.5)

    assert sink.seqs == [1, 3]


async def test_a_rule_about_runs_is_judged_when_the_run_is_known(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(hold=2.0, match={"run": "train"}))], poll=0.1) as engine:
        bare, never = unlinked(1, virtual_now(), pod=1), unlinked(2, virtual_now(), pod=2)
        feed.add(bare, never)
        await asyncio.sleep(1)
        feed.add(raised(bare, 3))
        await asyncio.sleep(5)
        [figures] = engine.figures()

    assert [item.event.id for item in sink.took] == [bare.event.id]
    assert (figures.filtered, figures.merged, figures.unsettled) == (1, 1, 0)


async def test_a_new_sink_begins_at_the_end_of_the_journal_or_at_its_beginning(state: State) -> None:
    feed = MemoryFeed(deliveries(10))
    new, old = ScriptedSink("new"), ScriptedSink("old")
    async with delivering(feed, state, [(new, plain(start="now")), (old, plain(start="oldest"))]):
        await asyncio.sleep(1)
        feed.add(*deliveries(2, first=11))
        await asyncio.sleep(3)

    assert new.seqs == [11, 12]
    assert old.seqs == list(range(1, 13))


async def test_what_is_recorded_while_delivery_starts_is_new_to_it(state: State) -> None:
    feed, first, late = MemoryFeed(deliveries(10)), ScriptedSink("first"), ScriptedSink("late")
    async with delivering(feed, state, [(first, plain(start="now"))], begun=4) as engine:
        await asyncio.sleep(2)
        await engine.set_sinks([(first, plain(start="now")), (late, plain(start="now"))])
        await asyncio.sleep(2)
        feed.add(*deliveries(1, first=11))
        await asyncio.sleep(3)

    assert first.seqs == list(range(5, 12))
    assert late.seqs == [11]


async def test_what_was_pruned_is_counted_and_told(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), ScriptedSink()
    told: list[Skipped] = []
    async with delivering(feed, state, [(sink, plain())]):
        await asyncio.sleep(2)
    feed.add(*deliveries(20, first=11))
    feed.prune(25)
    async with delivering(feed, state, [(sink, plain())], skipped=told.append) as engine:
        await asyncio.sleep(2)
        [figures] = engine.figures()

    assert sink.seqs == [*range(1, 11), *range(26, 31)]
    assert told == [Skipped(sink="test", events=15, after=10, upto=25)]
    assert (figures.skipped, figures.sent) == (15, 15)


async def test_what_was_pruned_before_a_sink_began_is_not_missed(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), ScriptedSink()
    feed.prune(5)
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(2)
        [figures] = engine.figures()

    assert (figures.skipped, sink.seqs) == (0, [6, 7, 8, 9, 10])


async def test_replay_sends_again_what_happened_since(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(100)), ScriptedSink()
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(2)
        count = await engine.replay("test", START + 91 * 1_000_000)
        await asyncio.sleep(2)

    assert count == 10
    assert sink.seqs == [*range(1, 101), *range(91, 101)]


async def test_replay_leaves_out_nothing_that_was_never_sent(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(100)), ScriptedSink()
    sink.outcome = failing(Temporary("HTTP 503", failure="server"))
    async with delivering(feed, state, [(sink, plain(batch=Batching(events=10, seconds=0.0)))]) as engine:
        await asyncio.sleep(2)
        count = await engine.replay("test", START + 91 * 1_000_000)
        sink.outcome = taken
        await asyncio.sleep(MINUTE)

    assert count == 90
    assert sink.seqs == list(range(1, 101))


async def test_an_end_during_a_replay_is_in_order(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), ScriptedSink(latency=1e9)
    async with delivering(feed, state, [(sink, plain())], grace=5.0) as engine:
        await asyncio.sleep(2)
        replay = asyncio.ensure_future(engine.replay("test", START))
        await asyncio.sleep(1)

    assert await replay == 10
    assert sink.stops == 1
    assert state.position("test") == Position(read=0, holes=[])


async def test_sinks_that_come_at_the_end_are_not_begun(state: State) -> None:
    feed, sink, late = MemoryFeed(deliveries(10)), ScriptedSink(latency=1e9), ScriptedSink("late")
    async with delivering(feed, state, [(sink, plain())], grace=5.0) as engine:
        await asyncio.sleep(2)
        engine.stop()
        await asyncio.sleep(1)
        await engine.set_sinks([(late, plain())])

    assert (sink.stops, late.sends, engine.figures()) == (1, [], [])


async def test_a_lane_that_can_not_read_the_journal_at_its_start_keeps_its_position(state: State) -> None:
    class Failing(MemoryFeed):
        def last(self) -> int:
            raise OSError("disk I/O error")

    sink = ScriptedSink()
    async with delivering(MemoryFeed(deliveries(10)), state, [(sink, plain())]):
        await asyncio.sleep(2)
    async with delivering(Failing(deliveries(10)), state, [(sink, plain())]):
        await asyncio.sleep(5)

    assert state.position("test") == Position(read=10, holes=[])


async def test_a_lane_that_can_not_read_its_holes_at_its_start_keeps_them(state: State) -> None:
    class Failing(MemoryFeed):
        def some(self, seqs: Sequence[int]) -> list[Delivery]:
            raise OSError("disk I/O error")

    stands = Position(read=10, holes=[Hole(3), Hole(7)])
    state.commit("test", Settled(position=stands, figures=state.figures("test", "test")))
    async with delivering(Failing(deliveries(10)), state, [(ScriptedSink(), plain())]):
        await asyncio.sleep(5)

    assert state.position("test") == stands


async def test_a_change_of_settings_restarts_that_sink_alone(state: State) -> None:
    feed = MemoryFeed(deliveries(10))
    same, changed, gone, new = (ScriptedSink(name) for name in ("same", "changed", "gone", "new"))
    again, other = ScriptedSink("same"), ScriptedSink("changed")
    async with delivering(feed, state, [(same, plain()), (changed, plain()), (gone, plain())]) as engine:
        await asyncio.sleep(2)
        wanted = [(again, plain()), (other, plain(hold=1.0)), (new, plain())]
        await engine.set_sinks(wanted)
        feed.add(*deliveries(10, first=11))
        await asyncio.sleep(2)
        names = [each.name for each in engine.figures()]
    found = state.position("gone")

    assert names == ["changed", "new", "same"]
    assert (same.seqs, same.stops, again.starts) == (list(range(1, 21)), 1, 0)
    assert (changed.seqs, changed.stops, other.seqs) == (list(range(1, 11)), 1, list(range(11, 21)))
    assert (gone.seqs, gone.stops) == (list(range(1, 11)), 1)
    assert new.seqs == list(range(1, 21))
    assert found is not None
    assert found.read == 10


async def test_wrong_rules_change_nothing(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain())]) as engine:
        with pytest.raises(ValueError, match=r"match.sevrity: unknown"):
            await engine.set_sinks([(sink, plain(match={"sevrity": "error"}))])
        feed.add(*deliveries(3))
        await asyncio.sleep(2)

    assert sink.seqs == [1, 2, 3]


async def test_a_rate_is_kept(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(1000)), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(limits=Limits(rate=10.0)))]):
        await asyncio.sleep(20)

    assert 190 <= len(sink.took) <= 210


async def test_a_few_events_wait_for_others_but_not_long(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    async with delivering(feed, state, [(sink, plain(batch=Batching(seconds=1.0)))], poll=0.1):
        for seq in range(1, 6):
            feed.add(delivery(seq, at=virtual_now()))
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)

    assert [len(batch) for batch in sink.sends] == [5]
    assert sink.times[0] == pytest.approx(1.0, abs=0.25)


async def test_a_journal_that_cant_be_read_is_waited_for(state: State, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(MemoryFeed):
        broken = True

        def page(self, after: int, most: int) -> Page:
            if self.broken:
                raise OSError("disk I/O error")
            return super().page(after, most)

    feed, sink = Failing(deliveries(5)), ScriptedSink()
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(MINUTE)
        [figures] = engine.figures()
        feed.broken = False
        await asyncio.sleep(3)

    assert sink.seqs == [1, 2, 3, 4, 5]
    assert figures.last_error == "the journal can't be read: disk I/O error"
    assert len(caplog.records) == 1
    assert feed.closed > 1


async def test_a_journal_that_is_younger_than_the_position_is_followed_from_its_end(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ScriptedSink()
    async with delivering(MemoryFeed(deliveries(100)), state, [(sink, plain())]):
        await asyncio.sleep(2)
    restored = MemoryFeed(deliveries(50))
    async with delivering(restored, state, [(sink, plain())]):
        await asyncio.sleep(2)
        restored.add(*deliveries(2, first=51))
        await asyncio.sleep(2)

    assert sink.seqs == [*range(1, 101), 51, 52]
    assert "the journal ends at 50, but 100 was sent" in caplog.text


async def test_what_is_recorded_in_a_restored_journal_while_delivery_starts_is_sent(state: State) -> None:
    sink = ScriptedSink()
    async with delivering(MemoryFeed(deliveries(100)), state, [(sink, plain())]):
        await asyncio.sleep(2)
    async with delivering(MemoryFeed(deliveries(55)), state, [(sink, plain())], begun=50):
        await asyncio.sleep(2)

    assert sink.seqs == [*range(1, 101), *range(51, 56)]


async def test_a_sink_remembers_over_restarts(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(3)), ScriptedSink()
    memory = state.memory("test")

    def remembering(batch: Sequence[Delivery]) -> Sequence[Answer]:
        memory.put("seen", str(batch[-1].seq).encode())
        return taken(batch)

    sink.outcome = remembering
    async with delivering(feed, state, [(sink, plain())]):
        await asyncio.sleep(2)
    path = state.path
    state.close()
    again = State(path)
    found = dict(again.memory("test").load())
    again.close()

    assert found == {"seen": b"3"}


def unlinked(seq: int, at: int, pod: int | None = None) -> Delivery:
    found = delivery(seq, at=at, pod=pod)
    return msgspec.structs.replace(found, event=msgspec.structs.replace(found.event, links=()))
