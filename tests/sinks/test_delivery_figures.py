"""What is counted of a sink, while it is written down and over the end of a process."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import msgspec
import pytest

from pipetrail.model import Again, Delivery, Permanent, Rejected, Temporary
from pipetrail.sinks.ledger import Ledger
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.settings import Retrying
from pipetrail.sinks.state import Position, Settled, State, read_figures
from pipetrail.testing.deliveries import START, MemoryFeed, deliveries, delivery
from tests.sinks.scripted import ScriptedSink, failing, taken
from tests.sinks.virtual import VIRTUAL_TIME, delivering, plain

pytestmark = VIRTUAL_TIME


class Later(Executor):
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        found: Future[Any] = Future()
        self.calls.append((found, fn, args))
        return found

    def run(self) -> None:
        for future, call, arguments in self.calls:
            try:
                future.set_result(call(*arguments))
            except Exception as error:
                future.set_exception(error)
        self.calls.clear()


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def ledger(state: State, later: Later) -> Ledger:
    return Ledger("test", "test", state, later, lambda: START)


async def write(ledger: Ledger) -> None:
    await ledger.write(Position(read=9), msgspec.structs.replace(ledger.figures))


async def test_dead_letters_are_counted_before_during_and_after_their_being_written(
    ledger: Ledger, later: Later
) -> None:
    counts = []
    ledger.bury(delivery(1), "bad")
    counts.append(ledger.figures.dead_letters)
    await write(ledger)
    counts.append(ledger.figures.dead_letters)
    ledger.bury(delivery(2), "bad")
    counts.append(ledger.figures.dead_letters)
    later.run()
    await ledger.durable()
    counts.append(ledger.figures.dead_letters)
    await write(ledger)
    later.run()
    await ledger.durable()
    counts.append(ledger.figures.dead_letters)

    assert counts == [1, 1, 2, 2, 2]


async def test_dead_letters_that_could_not_be_written_are_counted_once(
    ledger: Ledger, later: Later, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = state.commit
    ledger.bury(delivery(1), "bad")

    def full(name: str, settled: Settled) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(state, "commit", full)
    await write(ledger)
    later.run()
    with pytest.raises(StateError):
        await ledger.durable()
    failed = ledger.figures.dead_letters
    monkeypatch.setattr(state, "commit", commit)
    await write(ledger)
    later.run()
    await ledger.durable()

    assert (failed, ledger.figures.dead_letters, state.count_dead("test")) == (1, 1, 1)


async def test_a_dead_letter_that_comes_again_is_one(ledger: Ledger, later: Later, state: State) -> None:
    for _ in range(2):
        ledger.bury(delivery(1), "bad")
        await write(ledger)
        later.run()
        await ledger.durable()

    assert (ledger.figures.dead_letters, state.count_dead("test")) == (1, 1)


async def test_each_failure_is_counted_once_and_under_its_own_word(state: State) -> None:
    feed, sink = MemoryFeed(deliveries(1)), ScriptedSink()
    sink.script.extend(
        [
            failing(Temporary("503", failure="server")),
            lambda batch: [Again("429")],
            lambda batch: [Again("503", failure="server")],
            failing(KeyError("a bug")),
            failing(Permanent("no text", "template")),
        ]
    )
    async with delivering(feed, state, [(sink, plain(retry=Retrying(first=0.1, longest=0.2)))]) as engine:
        await asyncio.sleep(10)
        feed.add(delivery(2), delivery(3))
        sink.script.extend([failing(Permanent("400")), failing(Permanent("400")), lambda batch: [Rejected("mapping")]])
        await asyncio.sleep(10)
        [figures] = engine.figures()

    counted = {word: count for word, count in figures.failures.items() if count}
    assert counted == {"server": 2, "limited": 1, "other": 1, "template": 1, "client": 3}
    assert figures.dead_letters == 3


async def test_a_sink_that_was_removed_while_nothing_ran_is_stopped(state: State, state_path: str) -> None:
    gone, stays = ScriptedSink("gone"), ScriptedSink("stays")
    feed = MemoryFeed(deliveries(3))
    async with delivering(feed, state, [(gone, plain()), (stays, plain())]):
        await asyncio.sleep(3)
        killed = {each.name: each.state for each in read_figures(state_path)}
        # What a kill leaves: the file as it is now.
        position, figures = state.position("gone"), state.figures("gone", "test")
    assert position is not None
    state.commit("gone", Settled(position=position, figures=figures))
    async with delivering(feed, state, [(stays, plain())]):
        await asyncio.sleep(3)
        found = {each.name: each.state for each in read_figures(state_path)}

    assert killed == {"gone": "closed", "stays": "closed"}
    assert found == {"gone": "stopped", "stays": "closed"}


async def test_sinks_are_stopped_in_the_file_when_they_are_removed_and_when_delivery_ends(
    state: State, state_path: str
) -> None:
    away, stays = ScriptedSink("away"), ScriptedSink("stays")
    away.outcome = failing(Temporary("no connection", failure="refused"))
    states = []
    async with delivering(MemoryFeed(deliveries(3)), state, [(away, plain()), (stays, plain())]) as engine:
        await asyncio.sleep(60)
        states.append({each.name: each.state for each in read_figures(state_path)})
        await engine.set_sinks([(stays, plain())])
        states.append({each.name: each.state for each in read_figures(state_path)})
    states.append({each.name: each.state for each in read_figures(state_path)})

    assert states == [
        {"away": "open", "stays": "closed"},
        {"away": "stopped", "stays": "closed"},
        {"away": "stopped", "stays": "stopped"},
    ]


class Counted(MemoryFeed):
    """How often it was asked for its end; ``then`` comes when that was read."""

    asked = 0
    then: tuple[Delivery, ...] = ()

    def last(self) -> int:
        self.asked += 1
        found = super().last()
        more, self.then = self.then, ()
        self.add(*more)
        return found


async def test_a_journal_that_does_not_change_is_not_asked(state: State) -> None:
    feed, sink = Counted(deliveries(3)), ScriptedSink()
    stamp = 1
    async with delivering(feed, state, [(sink, plain())], poll=0.1, stamp=lambda: stamp):
        await asyncio.sleep(10)
        idle = feed.asked
        feed.add(delivery(4))
        feed.then = (delivery(5),)  # at nearly the same time, which the stamp does not show
        stamp = 2
        await asyncio.sleep(10)

    assert sink.seqs == [1, 2, 3, 4, 5]
    assert idle <= 4
    assert feed.asked - idle <= 3


async def test_a_journal_that_could_not_be_asked_is_asked_again(state: State) -> None:
    class Failing(Counted):
        broken = False

        def last(self) -> int:
            found = super().last()
            if self.broken:
                raise OSError("disk I/O error")
            return found

    feed, sink = Failing(), ScriptedSink()
    stamp = 1
    sink.outcome = taken
    async with delivering(feed, state, [(sink, plain())], poll=0.1, stamp=lambda: stamp):
        await asyncio.sleep(5)
        feed.add(delivery(1))
        stamp, feed.broken = 2, True
        await asyncio.sleep(5)
        feed.broken = False
        await asyncio.sleep(5)

    assert sink.seqs == [1]
