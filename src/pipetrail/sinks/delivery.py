"""Delivery: all sinks together, each on its own lane. What they share is the journal's reader and the state file.

No lane waits for another: a receiver that hangs costs the others nothing.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from pipetrail.model import Micros, Sink
from pipetrail.sinks.feed import Feed
from pipetrail.sinks.figures import SinkFigures, lag
from pipetrail.sinks.lane import Lane
from pipetrail.sinks.reading import Reader
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.settings import Settings
from pipetrail.sinks.shared import Shared, Skipped
from pipetrail.sinks.state import DeadLetter, State

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger(__name__)


class Deliverer:
    """Delivers while :meth:`run` runs. All methods are for its event loop.

    :param feed: opens the journal; called in the reader's thread, and again after a failure.
    :param state: the state file; the caller closes it.
    :param now: the wall clock in microseconds.
    :param clusters: what people call the clusters, by id, for rules; it is read each time.
    :param skipped: told of what was pruned from the journal before a sink read it.
    :param grace: the seconds that a request may still take when delivery ends.
    :param poll: the seconds between two looks for what is new: the least that an event takes, at worst.
    :param stamp: what differs whenever the journal may have changed; asked at each look, in the event loop. None: the
        journal itself is asked each time, in the reader's thread, which is a hundred times dearer.
    :param begun: the newest change before all that is to be delivered to new sinks with ``start: now``; what is
        recorded while this process starts must not depend on who was faster. Sinks that come later begin at the end.
    :param executor: runs what would block; two threads by default, one for the journal and one for the state file.
    """

    def __init__(
        self,
        feed: Callable[[], Feed],
        state: State,
        now: Callable[[], Micros],
        *,
        clusters: Mapping[str, str] | None = None,
        skipped: Callable[[Skipped], None] = lambda _: None,
        grace: float = 10.0,
        poll: float = 0.18,
        stamp: Callable[[], object] = lambda: None,
        begun: int | None = None,
        rng: random.Random | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._feed, self._state, self._now = feed, state, now
        self._clusters = clusters if clusters is not None else {}
        self._skipped = skipped
        self._grace, self._pause, self._stamp = grace, poll, stamp
        self._begun = begun
        self._rng = rng if rng is not None else random.Random()  # noqa: S311 (it spreads waiting times)
        self._executor = executor
        self._wanted: list[tuple[Sink, Settings]] = []
        self._lanes: dict[str, Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._shared: Shared | None = None
        self._changing = asyncio.Lock()
        self._end = asyncio.Event()
        self.last = 0  # the newest change of the journal

    # Running

    async def run(self) -> None:
        """Deliver until :meth:`stop`, or until it is cancelled: then what is being sent is still waited for."""
        async with self._threads() as shared:
            self._shared = shared
            try:
                async with asyncio.TaskGroup() as self._group:
                    poller = self._group.create_task(self._poll(shared.reader))
                    try:
                        await self.set_sinks(self._wanted)
                        await self._end.wait()
                    finally:
                        poller.cancel()
                        self._end.set()
                        async with self._changing:
                            await self._stop_lanes(list(self._lanes))
            finally:
                self._group = self._shared = None

    def stop(self) -> None:
        """End :meth:`run` in order."""
        self._end.set()

    async def set_sinks(self, sinks: Sequence[tuple[Sink, Settings]]) -> None:
        """Deliver to these from now on, and to no others.

        A lane whose settings are the same goes on undisturbed, with the sink that it has; one whose settings changed
        goes on at its position with the new sink; one that is not named ends, and its position is kept.

        :raises ValueError: when a sink's settings are wrong; nothing is changed then.
        """
        self._wanted = list(sinks)
        async with self._changing:
            if self._shared is None or self._end.is_set():
                return
            new = {
                sink.name: Lane(sink, settings, self._shared, self._begun)
                for sink, settings in sinks
                if sink.name not in self._lanes or self._lanes[sink.name].settings != settings
            }
            named = {sink.name for sink, _ in sinks}
            await self._stop_lanes([name for name in self._lanes if name in new or name not in named])
            for lane in new.values():
                self._begin(lane)
            self._begun = None
            try:
                await self._in_thread(self._state.stop_others, named)
            except StateError as error:
                _log.error("sinks that are gone can't be noted as stopped: %s", error)

    def _begin(self, lane: Lane) -> None:
        if self._group is None or self._end.is_set():
            return
        name = lane.sink.name
        self._lanes[name] = lane
        lane.poke(self.last)
        self._tasks[name] = self._group.create_task(lane.run(), name=f"sink {name}")

    async def _stop_lanes(self, names: Sequence[str]) -> None:
        """End some lanes, all at once."""
        for name in names:
            self._lanes[name].stop(self._grace)
        tasks = [self._tasks.pop(name) for name in names]
        if tasks:
            await asyncio.wait(tasks)
        for name in names:
            del self._lanes[name]

    async def _poll(self, reader: Reader) -> None:
        """Look for what is new, and wake the lanes."""
        told = ""
        known: object = None
        is_new = True
        while True:
            seen = self._stamp()
            # A stamp may be too coarse to tell two changes at almost the same time apart: one more look sees both.
            look = is_new or seen is None or seen != known
            is_new, known = seen != known, seen
            if look:
                try:
                    self.last = await reader.last()
                    told = ""
                except Exception as error:
                    is_new = True
                    if str(error) != told:
                        told = str(error)
                        _log.error("the journal can't be read, and is tried again: %s", error)
                for lane in self._lanes.values():
                    lane.poke(self.last)
            await asyncio.sleep(self._pause)

    @contextlib.asynccontextmanager
    async def _threads(self) -> AsyncIterator[Shared]:
        """The reader's thread and that of the state file."""
        with contextlib.ExitStack() as stack:
            reading = writing = self._executor
            if reading is None or writing is None:
                reading = stack.enter_context(ThreadPoolExecutor(1, "pipetrail-feed"))
                writing = stack.enter_context(ThreadPoolExecutor(1, "pipetrail-state"))
            reader = Reader(self._feed, reading)
            try:
                yield Shared(
                    reader=reader,
                    state=self._state,
                    executor=writing,
                    now=self._now,
                    rng=self._rng,
                    skipped=self._skipped,
                    clusters=self._clusters,
                )
            finally:
                await reader.close()

    # What people ask

    def figures(self) -> list[SinkFigures]:
        """The figures of all sinks at this moment."""
        found = [lane.figures() for _, lane in sorted(self._lanes.items())]
        for each in found:
            each.lag_events = lag(each, self.last)
        return found

    async def replay(self, name: str, since: Micros) -> int:
        """Send again what happened since then; returns about how many changes that is.

        :raises LookupError: when there is no such sink.
        """
        async with self._changing:
            lane, shared = self._lane(name), self._shared
            if shared is None:
                raise LookupError("delivery does not run")
            read = await shared.reader.first_since(since)
            await self._stop_lanes([name])
            try:
                read = await self._in_thread(self._state.move, name, read)
            finally:
                self._begin(Lane(lane.sink, lane.settings, shared))
            return max(0, self.last - read)

    async def dead_letters(self, name: str, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """The dead letters of a sink behind a ``seq``."""
        self._lane(name)
        return await self._in_thread(self._state.dead_letters, name, after, most)

    async def retry_dead(self, name: str, seqs: Sequence[int] | None = None) -> int:
        """Try some dead letters again, or all; how many there were."""
        return await self._seen_to(self._state.retry_dead, name, seqs)

    async def drop_dead(self, name: str, seqs: Sequence[int] | None = None) -> int:
        """Throw some dead letters away, or all; how many there were."""
        return await self._seen_to(self._state.drop_dead, name, seqs)

    async def probe(self, name: str) -> str:
        """Ask a sink's receiver whether it would take something; what it said.

        :raises LookupError: when there is no such sink.
        :raises Temporary: or :raises Permanent: with what it said, when it would not.
        """
        return await self._lane(name).sink.probe()

    async def _seen_to(
        self, call: Callable[[str, Sequence[int] | None], int], name: str, seqs: Sequence[int] | None
    ) -> int:
        """Do something to dead letters, and tell the lane."""
        async with self._changing:  # a lane that began meanwhile would have counted those of before
            lane = self._lane(name)
            count = await self._in_thread(call, name, seqs)
            await lane.revive()
        return count

    def _in_thread(self, call: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> "asyncio.Future[T]":
        """Ask the state file where a commit that takes long holds up nobody."""
        if self._shared is None:
            raise LookupError("delivery does not run")
        return asyncio.get_running_loop().run_in_executor(self._shared.executor, call, *arguments)

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            raise LookupError(f"no sink {name!r} (there are: {', '.join(sorted(self._lanes)) or 'none'})")
        return lane
