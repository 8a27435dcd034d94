"""A sink in memory that does what a test tells it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from pipetrail.model import Answer, Delivery, Micros
from pipetrail.testing.deliveries import START

Outcome = Callable[[Sequence[Delivery]], Sequence[Answer]]


def taken(batch: Sequence[Delivery]) -> Sequence[Answer]:
    return [None] * len(batch)


def failing(error: Exception) -> Outcome:
    def fail(batch: Sequence[Delivery]) -> Sequence[Answer]:
        raise error

    return fail


class ScriptedSink:
    """Takes all after ``latency`` seconds, unless ``script`` (used up first) or ``outcome`` say otherwise."""

    def __init__(self, name: str = "test", latency: float = 0.0) -> None:
        self.name = name
        self.latency = latency
        self.outcome: Outcome = taken
        self.script: deque[Outcome] = deque()
        self.sends: list[list[Delivery]] = []
        self.times: list[float] = []
        self.took: list[Delivery] = []
        self.ticks = self.starts = self.stops = 0

    async def start(self) -> None:
        self.starts += 1

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        self.sends.append(list(batch))
        self.times.append(asyncio.get_running_loop().time())
        if self.latency:
            await asyncio.sleep(self.latency)
        outcome = self.script.popleft() if self.script else self.outcome
        answers = outcome(batch)
        self.took += [item for item, answer in zip(batch, answers, strict=False) if answer is None]
        return answers

    async def tick(self, now: Micros) -> None:
        self.ticks += 1

    async def probe(self) -> str:
        return "well"

    async def stop(self) -> None:
        self.stops += 1

    @property
    def seqs(self) -> list[int]:
        """What it took, in order."""
        return [item.seq for item in self.took]


def virtual_now() -> Micros:
    """The wall clock of a test with virtual time."""
    return START + int(asyncio.get_running_loop().time() * 1e6)
