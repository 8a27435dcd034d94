"""Whatever receivers answer, wherever the process dies: nothing is lost, no order is broken, no position runs ahead."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import looptime
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Again, Answer, Delivery, Permanent, Rejected, Sink, Temporary
from pipetrail.sinks.settings import Batching, Retrying, Settings
from pipetrail.sinks.state import Settled, State
from pipetrail.testing.deliveries import START, Inline, MemoryFeed, delivery
from pipetrail.testing.delivering import MOMENTS, Death, Killed, Moment, MortalSink, MortalState, delivered
from tests.sinks.scripted import ScriptedSink, virtual_now
from tests.sinks.virtual import plain

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no test cuts the power, and a disk is waited for
_WORDS = ("ok", "ok", "temporary", "permanent", "again", "rejected")


class World:
    """A receiver that follows a script, and remembers what it took over all lives of the process."""

    def __init__(self, script: list[str]) -> None:
        self.script = script
        self.took: list[Delivery] = []
        self.refused: set[int] = set()

    def answer(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        word = self.script.pop(0) if self.script else "ok"
        if word == "temporary":
            raise Temporary("503")
        if word == "permanent":
            raise Permanent("400")
        answers: list[Answer] = []
        blocked: set[str] = set()  # a receiver that keeps an object's order itself does not take what is behind
        for number, item in enumerate(batch):
            uid = item.event.about.uid
            if item.seq in self.refused or (word == "rejected" and number % 3 == 0):
                self.refused.add(item.seq)  # what is bad once is bad for ever
                answers.append(Rejected("bad"))
            elif (word == "again" and number % 2 == 0) or uid in blocked:
                blocked.add(uid)
                answers.append(Again("busy"))
            else:
                self.took.append(item)
                answers.append(None)
        return answers


class Checked(MortalState):
    """A state file that looks at all that is written to it."""

    def __init__(self, path: str, death: Death, world: World) -> None:
        super().__init__(path, death)
        self._world = world

    def commit(self, name: str, settled: Settled) -> None:
        """The position never passes what is not settled."""
        super().commit(name, settled)
        done = {item.seq for item in self._world.took} | {letter.seq for letter in self.dead_letters(name)}
        if left := set(range(1, settled.position.settled + 1)) - done:
            raise Unsettled(f"{sorted(left)} are behind the position, and not settled")


class Unsettled(BaseException):
    """Nothing on the way may catch it."""


@given(
    pods=st.lists(st.integers(0, 3), min_size=1, max_size=25),
    links=st.lists(st.booleans(), min_size=25, max_size=25),
    script=st.lists(st.sampled_from(_WORDS), max_size=20),
    deaths=st.lists(st.tuples(st.sampled_from(MOMENTS), st.integers(1, 5)), max_size=4),
    size=st.integers(1, 8),
)
def test_every_event_is_taken_or_a_dead_letter_and_objects_keep_their_order(
    pods: list[int], links: list[bool], script: list[str], deaths: list[tuple[Moment, int]], size: int
) -> None:
    """T-70"""
    sent = [delivery(seq, pod=pod, at=START) for seq, pod in enumerate(pods, 1)]
    sent = [each if links[each.seq - 1] else _unlinked(each) for each in sent]
    world = World(list(script))
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        letters = _lives(MemoryFeed(sent), world, str(Path(folder) / "journal.db.sinks"), deaths, size)

    taken = [item.seq for item in world.took]
    assert set(taken) | letters == {each.seq for each in sent}
    first = list(dict.fromkeys(taken))
    for pod in set(pods):
        of_pod = [seq for seq in first if pods[seq - 1] == pod]
        assert of_pod == sorted(of_pod)
    known = {each.seq: (each.event.id, each.event.revision) for each in sent}
    assert all(known[item.seq] == (item.event.id, item.event.revision) for item in world.took)


def _lives(feed: MemoryFeed, world: World, path: str, deaths: list[tuple[Moment, int]], size: int) -> set[int]:
    """Deliver, die and begin again; the dead letters at the end."""
    retry = Retrying(first=0.1, longest=1.0)
    settings = plain(batch=Batching(events=size, seconds=0.0), retry=retry, hold=1.0)
    for each in [*deaths, (MOMENTS[0], 1_000_000)]:
        death = Death(*each)
        state = Checked(path, death, world)
        sink = ScriptedSink()
        sink.outcome = world.answer
        loop = looptime.patch_event_loop(asyncio.SelectorEventLoop(), noop_cycles=2, _enabled=True)
        try:
            loop.run_until_complete(_life(feed, state, MortalSink(sink, death), settings, death))
            letters = {letter.seq for letter in state.dead_letters("test")}
        finally:
            loop.close()
            state.close()
    return letters


async def _life(feed: MemoryFeed, state: State, sink: Sink, settings: Settings, death: Death) -> None:
    with contextlib.suppress(Killed):
        await delivered(
            feed,
            state,
            [(sink, settings)],
            death.has_come,
            seconds=3600,
            look=0.1,
            now=virtual_now,
            executor=Inline(),
        )


def _unlinked(item: Delivery) -> Delivery:
    return msgspec.structs.replace(item, event=msgspec.structs.replace(item.event, links=()))
