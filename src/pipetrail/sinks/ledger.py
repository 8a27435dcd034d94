"""What a sink has settled, and its being written down in the state file."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple, Unpack

from pipetrail.model import Delivery, Micros
from pipetrail.sinks.figures import LaneState, SinkFigures
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.state import DeadLetter, Position, Settled, State

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Ledger:
    """Writes one transaction at a time, in the thread of the state file; the next one waits for it.

    ``behind``: what should have been written could not be. ``unwritten``: something is to be written, sometime.
    """

    def __init__(self, name: str, type: str, state: State, executor: Executor, now: Callable[[], Micros]) -> None:
        self.name = name
        self.figures: SinkFigures = state.figures(name, type)
        self.behind = self.unwritten = False
        self._state = state
        self._executor = executor
        self._now = now
        self._memory = state.memory(name)
        self._dead: list[DeadLetter] = []
        self._gone: list[int] = []
        self._reviving: set[int] = set()
        self._revived: int | None = 0  # the last that was read of those that are due; None when there are no more
        self._writing: asyncio.Future[None] | None = None
        self._balance = 0  # dead letters that came less those that went, since the last write began
        self._written_balance = 0  # the same of the write before
        self._written = Settled(position=Position(read=0), figures=self.figures)

    @property
    def changed(self) -> bool:
        """Whether there is something to write: it was said so, or the sink wants to remember something."""
        return self.unwritten or self._memory.changed

    @property
    def reviving(self) -> bool:
        """Whether dead letters are being tried again."""
        return bool(self._reviving)

    @property
    def was_written(self) -> bool:
        """Whether what was begun has ended, well or not; :meth:`durable` tells then."""
        return self._writing is not None and self._writing.done()

    @property
    def written_state(self) -> LaneState:
        """The state of the sink that was written last, or is being written."""
        return self._written.figures.state

    def is_revived(self, seq: int) -> bool:
        """Whether this is a dead letter that is being tried again: it is in the state file, and so is no hole."""
        return seq in self._reviving

    async def revived(self, most: int) -> list[DeadLetter]:
        """Some more of the dead letters that somebody wants to be tried again; none when all are being tried."""
        while (after := self._revived) is not None:
            found = await self._in_thread(self._state.due_letters, self.name, after, most)
            if self._revived == after:  # else somebody saw to them meanwhile, and they are read from the first one on
                self._revived = found[-1].seq if found else None
            done = {*self._reviving, *self._gone, *self._written.gone}
            new = [each for each in found if each.seq not in done]
            if new:
                self._reviving.update(each.seq for each in new)
                return new
        return []

    def taken(self, seq: int) -> None:
        """The receiver has this change: if it was a dead letter, it is none any more."""
        if seq in self._reviving:
            self._reviving.discard(seq)
            self._gone.append(seq)
            self._count(-1)

    def bury(self, item: Delivery, reason: str) -> None:
        """The receiver will never take this."""
        if item.seq in self._reviving:
            self._reviving.discard(item.seq)
        else:
            self.figures.dead_letters_ever += 1
            self._count(1)
        self._dead.append(DeadLetter(seq=item.seq, at=self._now(), reason=reason, delivery=item))

    async def count(self) -> None:
        """Count the dead letters anew: somebody saw to them."""
        await self.durable()
        count = await self._in_thread(self._state.count_dead, self.name)
        self._revived = 0
        self.figures.dead_letters = count + self._balance

    async def position(self) -> Position | None:
        """Where the sink stood when it was written last; None for one that never began."""
        return await self._in_thread(self._state.position, self.name)

    async def write(self, position: Position, figures: SinkFigures) -> None:
        """Begin to write what was settled until now, when what was settled before is written.

        :raises StateError: when the latter failed; it is written with the next call.
        """
        self.unwritten = True
        await self.durable()
        self._written = Settled(
            position=position, figures=figures, dead=self._dead, gone=self._gone, memory=self._memory.changes()
        )
        self._dead, self._gone, self.behind, self.unwritten = [], [], False, False
        self._written_balance, self._balance = self._balance, 0
        self._writing = self._in_thread(self._state.commit, self.name, self._written)
        self._writing.add_done_callback(_seen)

    async def durable(self) -> None:
        """Wait until what was begun is written. Of two tasks that wait, the first one sees to how it ended.

        :raises StateError: when it failed.
        """
        writing, written = self._writing, self._written
        if writing is None:
            return
        try:
            await asyncio.shield(writing)
        except StateError:
            if self._writing is writing:
                self._writing = None
                self._dead = [*written.dead, *self._dead]
                self._gone = [*written.gone, *self._gone]
                self._balance += self._written_balance
                self._memory.restore(written.memory)
                self.behind = True
            raise
        if self._writing is writing:
            self._writing = None
            if written.dead or written.gone:
                self.figures.dead_letters = written.figures.dead_letters + self._balance

    def _count(self, more: int) -> None:
        """So many dead letters more: the figures show them before they are written."""
        self._balance += more
        self.figures.dead_letters += more

    def _in_thread(self, call: Callable[[Unpack[Ts]], T], *arguments: *Ts) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)


def _seen(writing: "asyncio.Future[None]") -> None:
    """Look at how it ended: where the lane ended in between, nobody else does, and that would be a warning."""
    if not writing.cancelled():
        writing.exception()
