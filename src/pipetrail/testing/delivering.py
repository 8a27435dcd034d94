"""Runs the delivery engine for a test: until something is so, or until it is killed at a chosen moment."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Literal

from pipetrail.model import Answer, Delivery, Micros, Sink
from pipetrail.sinks.delivery import Deliverer
from pipetrail.sinks.feed import Feed
from pipetrail.sinks.figures import SinkFigures
from pipetrail.sinks.settings import Batching, Retrying, Settings
from pipetrail.sinks.state import Settled, State

EAGER = Settings(
    type="test",
    start="oldest",
    hold=0.0,
    batch=Batching(events=10, seconds=0.0),
    retry=Retrying(first=0.01, longest=0.05),
)
"""Settings with which a test does not wait."""

Moment = Literal["before commit", "after commit", "before send", "after send"]
MOMENTS: tuple[Moment, ...] = ("before commit", "after commit", "before send", "after send")


class Killed(BaseException):
    """The process ends here, as by SIGKILL."""


class Death:
    """Kills at the ``number``-th occurrence of a moment, counted from 1."""

    def __init__(self, moment: Moment, number: int) -> None:
        self.moment = moment
        self.dead = False
        self._left = number

    def has_come(self, deliverer: Deliverer) -> bool:
        """Whether there is nothing more to wait for."""
        return self.dead or settled(deliverer)

    def comes(self, moment: Moment) -> None:
        """Such a moment is now.

        :raises Killed: when it is the one. Nothing is done afterwards either.
        """
        if moment == self.moment:
            self._left -= 1
        if self._left <= 0:
            self.dead = True
            raise Killed


def hasty(state: State) -> None:
    """Let commits not wait for the disk: no test cuts the power, and an hour of virtual time has thousands of them."""
    state._db.execute("PRAGMA synchronous = OFF")


class MortalState(State):
    """A state file whose process dies at a commit, before it or after it."""

    def __init__(self, path: str, death: Death) -> None:
        super().__init__(path)
        hasty(self)
        self._death = death

    def commit(self, name: str, settled: Settled) -> None:
        """Commit, unless it is dead before."""
        self._death.comes("before commit")
        super().commit(name, settled)
        self._death.comes("after commit")


class MortalSink:
    """A sink whose process dies at a send, before it or after it."""

    def __init__(self, sink: Sink, death: Death) -> None:
        self.name = sink.name
        self._sink, self._death = sink, death

    async def start(self) -> None:
        """As the sink does."""
        await self._sink.start()

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Send, unless it is dead before."""
        self._death.comes("before send")
        answers = await self._sink.send(batch)
        self._death.comes("after send")
        return answers

    async def tick(self, now: Micros) -> None:
        """As the sink does."""
        await self._sink.tick(now)

    async def probe(self) -> str:
        """As the sink does."""
        return await self._sink.probe()

    async def stop(self) -> None:
        """As the sink does."""
        await self._sink.stop()


async def delivered(
    feed: Feed,
    state: State,
    sinks: Sequence[tuple[Sink, Settings]],
    done: Callable[[Deliverer], bool] | None = None,
    *,
    seconds: float = 30.0,
    look: float = 0.005,
    now: Callable[[], Micros] | None = None,
    executor: Executor | None = None,
) -> list[SinkFigures]:
    """Deliver until ``done``, or until all is settled; returns the figures of that moment.

    :param look: the seconds until it is asked again whether it is done.

    :raises Killed: when it was.
    :raises TimeoutError: when it is not done in time.
    """
    wall = now if now is not None else lambda: time.time_ns() // 1000
    deliverer = Deliverer(lambda: feed, state, wall, grace=5.0, rng=random.Random(1), executor=executor)  # noqa: S311
    await deliverer.set_sinks(sinks)
    async with asyncio.timeout(seconds):
        running = asyncio.ensure_future(deliverer.run())
        try:
            while not running.done():
                await asyncio.sleep(look)
                if (done or settled)(deliverer):
                    break
            figures = deliverer.figures()
        finally:
            deliverer.stop()
            try:
                await running
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
    return figures


def settled(deliverer: Deliverer) -> bool:
    """Whether all sinks have settled all that the journal has."""
    figures = deliverer.figures()
    return bool(figures) and all(each.read >= deliverer.last > 0 and not each.unsettled for each in figures)
