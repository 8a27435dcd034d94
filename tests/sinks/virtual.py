"""Delivery in virtual time: hours pass at once, and nothing happens in a thread."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pipetrail.model import Sink
from pipetrail.sinks.delivery import Deliverer
from pipetrail.sinks.feed import Feed
from pipetrail.sinks.settings import Batching, Settings
from pipetrail.sinks.state import State
from pipetrail.testing.deliveries import Inline
from tests.sinks.scripted import virtual_now

VIRTUAL_TIME = pytest.mark.looptime(noop_cycles=2, idle_timeout=None)

PLAIN = Settings(type="test", start="oldest", hold=0.0, batch=Batching(events=100, seconds=0.0))


def plain(**changes: Any) -> Settings:
    return msgspec.structs.replace(PLAIN, **changes)


@asynccontextmanager
async def delivering(
    feed: Feed, state: State, sinks: Sequence[tuple[Sink, Settings]], *, poll: float = 1.0, **more: Any
) -> AsyncIterator[Deliverer]:
    rng = random.Random(7)
    deliverer = Deliverer(lambda: feed, state, virtual_now, rng=rng, executor=Inline(), poll=poll, **more)
    await deliverer.set_sinks(sinks)
    running = asyncio.ensure_future(deliverer.run())
    try:
        await asyncio.sleep(0)
        yield deliverer
    finally:
        deliverer.stop()
        await running
