# ruff: noqa: D102, S101 (these are tests; their names say what they check)
"""What every sink must hold when delivery uses it: whatever fails, each event arrives or is a dead letter."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from pipetrail.model import Delivery, Sink
from pipetrail.sinks.settings import Batching
from pipetrail.sinks.state import State
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful, MemoryFeed, deliveries
from pipetrail.testing.delivering import EAGER, MOMENTS, Death, Killed, MortalSink, MortalState, delivered, hasty
from pipetrail.testing.sink_world import FAULTS, Fault, Make, Receiver, named, now, shows


class DeliveryContract:
    """A subclass gives the fixtures ``receiver`` and ``make``; see :mod:`pipetrail.testing.sink_contract`."""

    faults: frozenset[Fault] = frozenset(FAULTS)
    """Those that this receiver can show. Tests of the others appear as one skipped case each."""

    def deliveries(self, count: int, *, first: int = 1, poison: Sequence[int] = ()) -> list[Delivery]:
        """Deliveries that each arrive as one thing of their own; override it where not every event does."""
        return deliveries(count, first=first, poison=poison)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test of :func:`shows` for those faults that the receiver can show."""
        wanted: Sequence[Fault] = getattr(metafunc.function, "shows", ())
        if wanted:
            metafunc.parametrize("fault", [word for word in wanted if word in self.faults])

    @pytest.fixture
    def memory(self) -> Forgetful:
        return Forgetful()

    @pytest.fixture
    async def sink(self, make: Make, memory: Forgetful) -> AsyncIterator[Sink]:
        made = make(Tools(now=now, memory=memory))
        yield made
        await made.stop()

    @pytest.fixture
    def state(self, tmp_path: Path) -> Iterator[State]:
        opened = State(str(tmp_path / "journal.db.sinks"))
        hasty(opened)
        yield opened
        opened.close()

    async def test_delivery_brings_all_in_order(self, sink: Sink, receiver: Receiver, state: State) -> None:
        sent = self.deliveries(25)
        [figures] = await delivered(MemoryFeed(sent), state, [(sink, EAGER)])

        assert receiver.received() == named(sent)
        assert (figures.sent, figures.dead_letters, figures.read) == (25, 0, 25)

    @shows("server", "auth", "silent", "refused")
    async def test_delivery_loses_nothing_by_a_failure_that_passes(
        self, sink: Sink, receiver: Receiver, state: State, fault: Fault
    ) -> None:
        sent = self.deliveries(25)
        feed = MemoryFeed(sent)
        await receiver.fault(fault)
        failed = await delivered(feed, state, [(sink, EAGER)], lambda engine: engine.figures()[0].retries >= 3)
        arrived_meanwhile = receiver.received()
        await receiver.fault(None)
        [figures] = await delivered(feed, state, [(sink, EAGER)])

        assert arrived_meanwhile == []
        assert sum(failed[0].failures.values()) >= 3
        assert failed[0].last_error
        assert_complete(receiver, sent)
        assert (figures.sent, figures.dead_letters) == (25, 0)

    @shows("intermittent")
    async def test_delivery_gets_past_a_receiver_that_fails_now_and_then(
        self, sink: Sink, receiver: Receiver, state: State, fault: Fault
    ) -> None:
        sent = self.deliveries(100)
        await receiver.fault(fault)
        [figures] = await delivered(MemoryFeed(sent), state, [(sink, EAGER)])

        assert_complete(receiver, sent)
        assert (figures.sent, figures.dead_letters) == (100, 0)

    @shows("slow")
    async def test_delivery_waits_for_a_slow_receiver(
        self, sink: Sink, receiver: Receiver, state: State, fault: Fault
    ) -> None:
        sent = self.deliveries(25)
        await receiver.fault(fault)
        [figures] = await delivered(MemoryFeed(sent), state, [(sink, EAGER)])

        assert_complete(receiver, sent)
        assert (figures.sent, figures.retries) == (25, 0)

    @shows("poison")
    async def test_one_poison_event_among_a_hundred_is_a_dead_letter_and_the_others_arrive(
        self, sink: Sink, receiver: Receiver, state: State, fault: Fault
    ) -> None:
        """T-74"""
        sent = self.deliveries(100, poison=[42])
        await receiver.fault(fault)
        whole = msgspec.structs.replace(EAGER, batch=Batching(events=100, seconds=0.0))
        [figures] = await delivered(MemoryFeed(sent), state, [(sink, whole)])

        assert set(receiver.received()) == set(named([each for each in sent if each.seq != 42]))
        assert (figures.sent, figures.dead_letters, figures.dead_letters_ever) == (99, 1, 1)
        [letter] = state.dead_letters("test")
        assert letter.delivery == sent[41]
        assert letter.reason

    @shows("poison")
    async def test_a_dead_letter_that_is_tried_again_arrives_when_it_can(
        self, sink: Sink, receiver: Receiver, state: State, fault: Fault
    ) -> None:
        sent = self.deliveries(3, poison=[2])
        feed = MemoryFeed(sent)
        await receiver.fault(fault)
        await delivered(feed, state, [(sink, EAGER)])
        await receiver.fault(None)
        assert state.retry_dead("test", None) == 1
        await delivered(feed, state, [(sink, EAGER)], lambda engine: not engine.figures()[0].dead_letters)

        assert set(receiver.received()) == set(named(sent))
        assert state.count_dead("test") == 0

    async def test_a_stop_with_500_queued_loses_nothing(self, sink: Sink, receiver: Receiver, state: State) -> None:
        """T-76: what was not sent when the process was told to end is sent by the next one, and nothing twice."""
        sent = self.deliveries(500)
        feed = MemoryFeed(sent)
        await delivered(feed, state, [(sink, EAGER)], lambda engine: engine.figures()[0].sent > 0)
        before = len(receiver.received())
        await delivered(feed, state, [(sink, EAGER)])

        assert 0 < before < 500
        assert receiver.received() == named(sent)

    async def test_a_kill_at_any_moment_loses_nothing(self, make: Make, receiver: Receiver, tmp_path: Path) -> None:
        """Killed again and again, before and after each of the first sends and commits of a life."""
        sent = self.deliveries(300)
        feed, path = MemoryFeed(sent), str(tmp_path / "journal.db.sinks")
        small = msgspec.structs.replace(EAGER, batch=Batching(events=5, seconds=0.0))
        for number, moment in itertools.product((1, 2, 3, 4), MOMENTS):
            death = Death(moment, number)
            mortal = MortalState(path, death)
            sink = MortalSink(make(Tools(now=now, memory=mortal.memory("test"))), death)
            with contextlib.suppress(Killed):
                await delivered(feed, mortal, [(sink, small)], death.has_come)
            await sink.stop()
            mortal.close()
            assert death.dead
        state = State(path)
        last = make(Tools(now=now, memory=state.memory("test")))
        try:
            await delivered(feed, state, [(last, EAGER)])
        finally:
            state.close()

        assert_complete(receiver, sent)


def assert_complete(receiver: Receiver, sent: Sequence[Delivery]) -> None:
    """All arrived; where some came twice, nothing differs; of each object the first arrivals are in order."""
    first = list(dict.fromkeys(receiver.received()))
    about = {(each.event.id, each.event.revision): each.event.about for each in sent}
    assert set(first) == set(named(sent))
    for one in dict.fromkeys(about.values()):
        assert [each for each in first if about[each] == one] == [each for each in about if about[each] == one]
