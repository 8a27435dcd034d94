"""Delivery when receivers fail: nothing is lost, nothing is hammered, everything is visible."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from pipetrail.model import Again, Answer, Delivery, Permanent, Rejected, Temporary
from pipetrail.sinks.settings import Batching, Limits, Retrying
from pipetrail.sinks.state import State, read_figures
from pipetrail.testing.deliveries import MemoryFeed, deliveries, delivery
from tests.sinks.scripted import ScriptedSink, failing, taken
from tests.sinks.virtual import VIRTUAL_TIME, delivering, plain

pytestmark = VIRTUAL_TIME

MINUTE = 60.0


@pytest.mark.parametrize(
    "error",
    [
        Temporary("HTTP 429", after=30.0, failure="limited"),
        Temporary("HTTP 500", failure="server"),
        Temporary("no answer in 30 s", failure="timeout"),
        Temporary("no connection", failure="refused"),
    ],
    ids=lambda error: error.failure,
)
async def test_ten_minutes_of_failure_lose_nothing_and_hammer_nobody(error: Temporary, state: State) -> None:
    """T-69"""
    feed, sink = MemoryFeed(deliveries(1000)), ScriptedSink()
    sink.outcome = failing(error)
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(10 * MINUTE)
        [meanwhile] = engine.figures()
        tries = len(sink.sends)
        sink.outcome = taken
        await asyncio.sleep(2 * MINUTE)
        [after] = engine.figures()

    assert sink.seqs == list(range(1, 1001))
    assert (meanwhile.state, meanwhile.failures[error.failure], meanwhile.last_error) == ("open", tries, str(error))
    assert 8 <= tries <= 60  # the pauses grow to a minute, of which half is drawn on the mean
    assert meanwhile.oldest_at is not None
    assert (after.state, after.sent, after.lag_events, after.dead_letters) == ("closed", 1000, 0, 0)


async def test_ten_minutes_of_failure_now_and_then_lose_nothing(state: State) -> None:
    """T-69, intermittent"""
    feed, sink = MemoryFeed(), ScriptedSink()

    def now_and_then(batch: Sequence[Delivery]) -> Sequence[Answer]:
        if len(sink.sends) % 3:
            raise Temporary("HTTP 503", failure="server")
        return taken(batch)

    sink.outcome = now_and_then
    async with delivering(feed, state, [(sink, plain())]) as engine:
        for number in range(100):
            feed.add(*deliveries(10, first=10 * number + 1))
            await asyncio.sleep(6)
        await asyncio.sleep(MINUTE)
        [figures] = engine.figures()

    assert sink.seqs == list(range(1, 1001))
    assert (figures.sent, figures.dead_letters, figures.lag_events) == (1000, 0, 0)


async def test_what_the_receiver_asks_to_wait_is_waited_up_to_ten_minutes(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(1)), ScriptedSink()
    sink.script.extend([failing(Temporary("429", after=120.0)), failing(Temporary("429", after=86_400.0))])
    async with delivering(feed, state, [(sink, plain())]):
        await asyncio.sleep(15 * MINUTE)

    first, second, third = sink.times
    assert second - first == pytest.approx(120, abs=1)
    assert third - second == pytest.approx(600, abs=1)


def refusing(seq: int) -> "ScriptedSink":
    """A sink that takes all but one, which may come later."""
    sink = ScriptedSink()
    sink.outcome = lambda batch: [Again("busy") if item.seq == seq else None for item in batch]
    return sink


async def test_the_position_never_passes_what_is_not_settled(state_path: str) -> None:
    """T-70: event 1 is blocked for a minute, 2 to 100 are fine, and the process restarts after half of it."""
    feed = MemoryFeed([delivery(seq) for seq in range(1, 101)])
    positions = []
    first, second = refusing(1), refusing(1)
    state = State(state_path)
    async with delivering(feed, state, [(first, plain())]):
        for _ in range(30):
            await asyncio.sleep(1)
            found = state.position("test")
            assert found is not None
            positions.append(found.settled)
    state.close()
    state = State(state_path)
    async with delivering(feed, state, [(second, plain())]) as engine:
        await asyncio.sleep(30)
        second.outcome = taken
        await asyncio.sleep(MINUTE)
        [figures] = engine.figures()
    found = state.position("test")
    state.close()

    assert set(positions) == {0}
    assert first.seqs == list(range(2, 101))
    assert second.seqs == [1]  # the others are not sent again
    assert {item.event.id for batch in second.sends for item in batch} == {first.sends[0][0].event.id}
    assert (figures.sent, figures.dead_letters) == (100, 0)
    assert found is not None
    assert found.settled == 100


async def test_a_blocked_event_holds_up_its_own_object_alone(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10, pods=10)), refusing(3)
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(0.3)
        feed.add(*deliveries(20, first=11, pods=10))
        await asyncio.sleep(2)
        held = engine.figures()[0].held
        others = sink.seqs
        sink.outcome = taken
        await asyncio.sleep(5 * MINUTE)

    assert [seq for seq in range(1, 31) if seq not in others] == [3, 13, 23]
    assert held == 3
    assert sink.seqs == [*others, 3, 13, 23]


async def test_an_event_that_is_never_taken_is_given_up_after_its_time(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), refusing(3)
    settings = plain(retry=Retrying(give_up="10m"))
    async with delivering(feed, state, [(sink, settings)]) as engine:
        await asyncio.sleep(9 * MINUTE)
        before = engine.figures()[0].dead_letters
        await asyncio.sleep(3 * MINUTE)
        [letter] = await engine.dead_letters("test")

    assert before == 0
    assert (letter.seq, letter.reason) == (3, "given up after 10m: busy")


async def test_the_time_to_give_up_goes_on_over_restarts(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), refusing(3)
    settings = plain(retry=Retrying(give_up="10m"))
    for _ in range(7):
        async with delivering(feed, state, [(sink, settings)]):
            await asyncio.sleep(2 * MINUTE)

    assert [letter.seq for letter in state.dead_letters("test")] == [3]


async def test_what_can_never_succeed_is_found_by_halving(state: State) -> None:
    """T-74"""
    feed, sink = MemoryFeed(deliveries(100)), ScriptedSink()

    def one_is_bad(batch: Sequence[Delivery]) -> Sequence[Answer]:
        if any(item.seq == 42 for item in batch):
            raise Permanent("HTTP 400")
        return taken(batch)

    sink.outcome = one_is_bad
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(1)
        [letter] = await engine.dead_letters("test")

    assert sink.seqs == [seq for seq in range(1, 101) if seq != 42]
    assert (letter.seq, letter.reason, letter.delivery.event.id) == (42, "HTTP 400", deliveries(42)[41].event.id)
    assert len(sink.sends) < 25


async def test_with_full_dead_letters_a_sink_stands_still_until_somebody_drops_some(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(6)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad") if item.seq < 4 else None for item in batch]
    async with delivering(feed, state, [(sink, plain(limits=Limits(dead_letters=2)))]) as engine:
        await asyncio.sleep(MINUTE)
        [full] = engine.figures()
        tries = len(sink.sends)
        assert await engine.drop_dead("test", [1]) == 1
        await asyncio.sleep(MINUTE)
        [after] = engine.figures()
        letters = await engine.dead_letters("test")

    assert (full.state, full.dead_letters, full.unsettled, tries) == ("full", 2, 1, 1)
    assert (after.state, after.unsettled, after.dead_letters_ever) == ("closed", 0, 3)
    assert [letter.seq for letter in letters] == [2, 3]


async def test_with_full_dead_letters_a_sink_goes_on_when_they_are_tried_again(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(6)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad") if item.seq < 4 else None for item in batch]
    async with delivering(feed, state, [(sink, plain(limits=Limits(dead_letters=2)))]) as engine:
        await asyncio.sleep(MINUTE)
        sink.outcome = taken
        assert await engine.retry_dead("test") == 2
        await asyncio.sleep(MINUTE)
        [after] = engine.figures()

    assert sink.seqs == [4, 5, 6, 1, 2, 3]
    assert (after.state, after.unsettled, after.dead_letters) == ("closed", 0, 0)


async def test_a_sink_goes_on_when_room_comes_after_the_event_that_needs_it(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(3)), ScriptedSink()
    sink.script.append(lambda batch: [Again("busy"), Rejected("bad"), Rejected("bad")])
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    async with delivering(feed, state, [(sink, plain(limits=Limits(dead_letters=2)))]) as engine:
        await asyncio.sleep(MINUTE)
        full = engine.figures()[0].state
        sink.outcome = lambda batch: [Rejected("bad") if item.seq == 1 else None for item in batch]
        assert await engine.retry_dead("test") == 2
        await asyncio.sleep(MINUTE)
        [after] = engine.figures()
        letters = await engine.dead_letters("test")

    assert (full, after.state, after.unsettled) == ("full", "closed", 0)
    assert [letter.seq for letter in letters] == [1]


async def test_a_sink_that_stands_still_does_so_whatever_its_ticks_do(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(3)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    fails = True
    states = []

    async def tick(now: int) -> None:
        if fails:
            raise Temporary("no connection", failure="refused")

    sink.tick = tick  # type: ignore[method-assign]
    async with delivering(feed, state, [(sink, plain(limits=Limits(dead_letters=1)))]) as engine:
        for _ in range(4):  # the first time until it stands still
            await asyncio.sleep(MINUTE)
            states.append(engine.figures()[0].state)
            fails = not fails

    assert states == ["full"] * 4
    assert len(sink.sends) == 1


async def test_dead_letters_are_tried_again_though_those_before_are_not_taken(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(150, pods=150)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(1)
        sink.outcome = lambda batch: [Again("busy") if item.seq <= 100 else None for item in batch]
        assert await engine.retry_dead("test", range(1, 101)) == 100
        await asyncio.sleep(3)
        assert await engine.retry_dead("test") == 50
        await asyncio.sleep(3)

    assert sink.seqs == list(range(101, 151))


async def test_dead_letters_that_are_not_taken_fill_no_memory(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(1000, pods=1000)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    async with delivering(feed, state, [(sink, plain(limits=Limits(queue=200)))]) as engine:
        await asyncio.sleep(MINUTE)
        sink.outcome = lambda batch: [Again("busy")] * len(batch)
        assert await engine.retry_dead("test") == 1000
        await asyncio.sleep(MINUTE)
        [figures] = engine.figures()
        sink.outcome = taken
        await asyncio.sleep(10 * MINUTE)

    assert 200 <= figures.held <= 300
    assert sorted(sink.seqs) == list(range(1, 1001))


async def test_dead_letters_are_tried_again_when_somebody_asks(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(6)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad") if item.seq < 4 else None for item in batch]
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(1)
        sink.outcome = lambda batch: [Rejected("still bad") if item.seq == 2 else None for item in batch]
        assert await engine.retry_dead("test") == 3
        await asyncio.sleep(3)
        [figures] = engine.figures()
        letters = await engine.dead_letters("test")

    assert sink.seqs == [4, 5, 6, 1, 3]
    assert [(letter.seq, letter.reason) for letter in letters] == [(2, "still bad")]
    assert (figures.dead_letters, figures.dead_letters_ever, figures.sent) == (1, 3, 5)


async def test_many_dead_letters_are_tried_again_once_each(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(950)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(1)
        sink.outcome = taken
        assert await engine.retry_dead("test") == 950
        await asyncio.sleep(5)
        [figures] = engine.figures()

    assert sink.seqs == list(range(1, 951))
    assert figures.dead_letters == 0


async def test_a_sink_that_fails_in_itself_costs_one_event_its_place_and_no_other(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    feed, sink = MemoryFeed(deliveries(100, pods=100)), ScriptedSink()

    def bug(batch: Sequence[Delivery]) -> Sequence[Answer]:
        if any(item.seq == 42 for item in batch):
            raise KeyError("oops")
        return taken(batch)

    sink.outcome = bug
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(10 * MINUTE)
        [figures] = engine.figures()

    assert sink.seqs == [seq for seq in range(1, 101) if seq != 42]
    assert (figures.held, figures.dead_letters) == (1, 0)
    assert len([record for record in caplog.records if "oops" in record.getMessage()]) < 10


async def test_wrong_answers_of_a_sink_lose_nothing(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(10)), ScriptedSink()
    sink.script.append(lambda batch: [None])
    async with delivering(feed, state, [(sink, plain())]):
        await asyncio.sleep(1)

    assert sink.seqs[-10:] == list(range(1, 11))


async def test_a_failure_is_logged_when_it_begins_and_when_it_ends(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipetrail.sinks")
    feed, sink = MemoryFeed(deliveries(1000)), ScriptedSink()
    async with delivering(feed, state, [(sink, plain())]):
        await asyncio.sleep(1)
        sink.outcome = failing(Temporary("HTTP 503", failure="server"))
        feed.add(*deliveries(100, first=1001))
        await asyncio.sleep(10 * MINUTE)
        sink.outcome = taken
        await asyncio.sleep(2 * MINUTE)

    texts = [record.getMessage() for record in caplog.records]
    assert texts[:2] == [
        "sink test: delivers",
        "sink test: can't deliver, and tries again until it can: HTTP 503",
    ]
    assert len(texts) == 3
    assert texts[2].startswith("sink test: delivers after ")


async def test_a_receiver_that_is_away_at_the_start_is_waited_for(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(5)), ScriptedSink()
    away = True

    async def start() -> None:
        if away:
            raise Temporary("no connection", failure="refused")

    sink.start = start  # type: ignore[method-assign]
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(10 * MINUTE)
        [meanwhile] = engine.figures()
        away = False
        await asyncio.sleep(2 * MINUTE)

    assert (meanwhile.state, meanwhile.failures["refused"] > 5) == ("starting", True)
    assert sink.seqs == [1, 2, 3, 4, 5]


async def test_a_tick_that_fails_is_tried_again_with_pauses(state: State) -> None:
    feed, sink = MemoryFeed(), ScriptedSink()
    ticks = 0

    async def tick(now: int) -> None:
        nonlocal ticks
        ticks += 1
        raise Temporary("no connection", failure="refused")

    sink.tick = tick  # type: ignore[method-assign]
    async with delivering(feed, state, [(sink, plain())]) as engine:
        await asyncio.sleep(10 * MINUTE)
        [figures] = engine.figures()

    assert 8 <= ticks <= 60
    assert figures.state in ("open", "half-open")


async def test_the_figures_of_a_failing_sink_are_in_the_state_file(state: State, state_path: str) -> None:
    feed, sink = MemoryFeed(deliveries(10)), ScriptedSink()
    sink.outcome = failing(Temporary("HTTP 503", failure="server"))
    async with delivering(feed, state, [(sink, plain(batch=Batching(events=4, seconds=0.0)))]):
        await asyncio.sleep(MINUTE)
        [figures] = read_figures(state_path)

    assert (figures.state, figures.last_error) == ("open", "HTTP 503")
    assert figures.failures["server"] == len(sink.sends)
    assert figures.oldest_at == deliveries(1)[0].event.observed_at
