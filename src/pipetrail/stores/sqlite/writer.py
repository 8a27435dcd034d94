"""The one writer: takes batches from a bounded queue and commits them in groups; a thread waits for the disk.

A commit covers up to 1,000 events, or what came in 200 ms. When a commit fails, its batches are tried again before any
other: nothing is lost as long as the process lives, and what it has not committed it has not moved past. Only a batch
that no journal can take is left out, and noted as a reject. While the queue is full, :meth:`Writer.put` waits, and so
do the sources.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apsw
import msgspec

from pipetrail.model import Batch, Micros, Reject
from pipetrail.stores.sqlite.errors import FullDisk, JournalError, explained
from pipetrail.stores.sqlite.journal import Journal
from pipetrail.stores.sqlite.retention import Retention, prune, used_bytes

T = TypeVar("T")
Group = tuple[Batch, ...]
_log = logging.getLogger(__name__)

COMMIT_EVENTS = 1_000
COMMIT_SECONDS = 0.2
QUEUE_EVENTS = 4_000
_PRUNE_SECONDS = 5.0
_PRUNE_SHARE = 16  # and when the journal has grown by this part of its bound
_RETRY_SECONDS = (0.2, 5.0)
_BAD_VALUES = (
    ValueError,
    TypeError,
    OverflowError,
    apsw.TooBigError,
    apsw.MismatchError,
    apsw.ConstraintError,
    msgspec.MsgspecError,
)
"""What a value that no journal can take raises."""


class Written(msgspec.Struct):
    """What a writer has done so far."""

    events: int = 0
    objects: int = 0
    gaps: int = 0
    rejects: int = 0
    commits: int = 0
    failures: int = 0
    pruned_events: int = 0
    last_seq: int = 0
    commit_seconds: float = 0.0
    bytes: int = 0
    trouble: str = ""  # why nothing can be written now


class Writer:
    """Feeds a journal from asyncio.

    :param open_journal: makes the journal; called in the thread that will use it.
    :param now: the wall clock, in microseconds.
    :param on_commit: called in the loop after each commit, with the last ``seq``.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        *,
        now: Callable[[], Micros],
        bounds: Retention | None = None,
        on_commit: Callable[[int], None] | None = None,
    ) -> None:
        self._open = open_journal
        self._now = now
        self._on_commit = on_commit
        self.bounds = bounds or Retention()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._queue: deque[Group] = deque()
        self._pending = 0
        self._put = self._stored = 0  # groups of batches
        self._change = asyncio.Event()  # something was put, or stop was asked
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._hurry = False  # somebody waits for what is queued
        self._task: asyncio.Task[None] | None = None
        self._journal: Journal | None = None
        self._lock = asyncio.Lock()  # a question must not meet a transaction that is under way
        self._prune_above = 0
        self.done = Written()

    @property
    def pending(self) -> int:
        """Events and object versions that wait for their commit."""
        return self._pending

    async def start(self) -> None:
        """Open the journal and begin. :raises JournalError: when it can't be opened."""
        self._journal = await self._in_thread(self._open)
        self.done.bytes = await self._in_thread(lambda: used_bytes(self._opened.db))
        self.done.last_seq = self._opened.next_seq - 1
        self._task = asyncio.create_task(self._run(), name="journal writer")

    async def put(self, *batches: Batch) -> None:
        """Hand over a batch, or several that must go into one transaction.

        Waits while the queue is full; returns before they are durable.
        """
        await self._room.wait()
        self._queue.append(batches)
        self._put += 1
        self._pending += sum(len(batch.events) + len(batch.objects) for batch in batches)
        if self._pending >= QUEUE_EVENTS:
            self._room.clear()
        if self._pending >= COMMIT_EVENTS or len(self._queue) == 1:
            self._change.set()

    async def ask(self, question: Callable[[Journal], T]) -> T:
        """Run something on the journal between two commits, in its thread, and return the answer."""
        async with self._lock:
            return await self._in_thread(lambda: question(self._opened))

    async def flush(self) -> None:
        """Return once all that was put so far is durable; what is put meanwhile may not be.

        :raises JournalError: when the writer has stopped without it.
        """
        wanted = self._put
        while self._stored < wanted:
            if self._task is None or self._task.done():
                raise JournalError(self.done.trouble or "the writer has stopped")
            self._hurry = True
            self._change.set()
            await asyncio.sleep(0.005)
        self._hurry = False

    async def stop(self, seconds: float = 4.0, last: Sequence[Batch] = ()) -> bool:
        """Commit what is queued and close the journal. False where that took too long: the rest will be read again.

        :param last: batches that are queued without waiting for room.
        """
        if last:
            self._queue.append(tuple(last))
            self._put += 1
            self._pending += _size(self._queue[-1])
        if self._task is None:
            self._thread.shutdown(wait=False)
            return True
        self._stopping = True
        self._change.set()
        self._room.set()
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        if not done:
            self._task.cancel()
        task, self._task = self._task, None
        await asyncio.gather(task, return_exceptions=True)
        await self._in_thread(self._opened.close)
        self._thread.shutdown()
        return bool(done) and not self._queue

    @property
    def _opened(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("the writer was not started")
        return self._journal

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _run(self) -> None:
        pruned_at = 0.0
        while True:
            await self._wait()
            groups = self._take()
            if groups:
                await self._commit(groups)
            loop_time = asyncio.get_running_loop().time()
            grown = self.bounds.size is not None and self.done.bytes > self._prune_above
            if grown or loop_time - pruned_at > _PRUNE_SECONDS:
                await self._in_thread(self._prune)
                pruned_at = loop_time
            if self._stopping and not self._queue:
                return

    async def _wait(self) -> None:
        """Until there is enough to commit, or it has waited long enough."""
        try:
            async with asyncio.timeout(_PRUNE_SECONDS):
                while not self._queue and not self._stopping:
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                while self._pending < COMMIT_EVENTS and not (self._stopping or self._hurry):
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            return

    def _take(self) -> list[Group]:
        groups: list[Group] = []
        taken = 0
        while self._queue and taken < 2 * COMMIT_EVENTS:
            groups.append(self._queue.popleft())
            taken += _size(groups[-1])
        return groups

    async def _commit(self, groups: list[Group]) -> None:
        wait, longest = _RETRY_SECONDS
        done = self.done
        batches = [batch for group in groups for batch in group]
        taken = sum(map(_size, groups))
        refused = False
        while True:
            started = time.perf_counter()
            try:
                async with self._lock:
                    if self._opened.full:
                        await self._in_thread(self._opened.seal)
                    # Computing in a second thread would only move every event from one core to the other and back;
                    # waiting for the disk is what a thread is good for.
                    self._opened.begin(batches)
                    done.last_seq = await self._in_thread(self._finish)
                break
            except JournalError as error:
                done.failures += 1
                if not done.trouble:
                    _log.error("The journal can't be written; it is tried again.", extra={"error": str(error)})
                done.trouble = str(error)
                if isinstance(error, FullDisk):
                    await self._in_thread(self._make_room)
            except _BAD_VALUES as error:
                done.failures += 1
                if len(groups) > 1:
                    for group in groups:
                        await self._commit([group])
                    return
                if not refused:
                    _log.exception("A batch can't be stored; it is left out.")
                    batches, refused = [_refused(batch, error) for batch in batches], True
                    continue
                done.trouble = f"a batch can't be stored: {error}"
            except Exception as error:
                # Not a fault of the batch: leaving it out would let the positions pass all that comes.
                done.failures += 1
                if not done.trouble:
                    _log.exception("The journal can't be written; it is tried again.")
                done.trouble = f"internal error: {type(error).__name__}: {error}"
            if self._stopping:
                self._queue.extendleft(reversed(groups))
                raise RuntimeError(done.trouble)
            await asyncio.sleep(wait)
            wait = min(longest, wait * 2)
        done.commit_seconds = time.perf_counter() - started
        done.commits += 1
        if done.trouble:
            _log.warning("The journal can be written again.")
            done.trouble = ""
        for batch in batches:
            done.events += len(batch.events)
            done.objects += len(batch.objects)
            done.gaps += len(batch.gaps)
            done.rejects += len(batch.rejects)
        self._pending -= taken
        self._stored += len(groups)
        if self._pending < QUEUE_EVENTS // 2:
            self._room.set()
        if self._on_commit is not None:
            self._on_commit(done.last_seq)

    # ---- in the thread

    def _finish(self) -> int:
        last_seq = self._opened.commit()
        with contextlib.suppress(apsw.Error):  # it is stored: nothing may make it be sent again
            self.done.bytes = used_bytes(self._opened.db)
        return last_seq

    def _prune(self) -> None:
        try:
            self.done.pruned_events += prune(self._opened, self.bounds, self._now(), steps=20).events
            self.done.bytes = used_bytes(self._opened.db)
            self._prune_above = self.done.bytes + (self.bounds.size or 0) // _PRUNE_SHARE
        except JournalError as error:
            _log.warning("The journal can't be pruned; it is tried again.", extra={"error": str(error)})

    def _make_room(self) -> None:
        """The disk is full: pages that the oldest segment frees can be written again without growing the file.

        Dropping it takes some room itself: that of the log, once it is emptied.
        """
        journal = self._opened
        try:
            with explained(journal.path):
                journal.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if journal.db.execute("SELECT count(*) FROM segments WHERE sealed = 1").get:
                smaller = Retention(size=max(1, used_bytes(journal.db) - 1))
                self.done.pruned_events += prune(journal, smaller, self._now(), steps=1).events
        except JournalError:
            return  # the append is tried again all the same


def _size(group: Group) -> int:
    return sum(len(batch.events) + len(batch.objects) for batch in group)


def _refused(batch: Batch, error: Exception) -> Batch:
    """A batch without what can't be stored: its position moves on, and a reject says what was left out."""
    reject = Reject(
        cluster=batch.cluster,
        resource=batch.resource,
        at=batch.alive_at or max((event.observed_at for event in batch.events), default=0),
        reason=f"{type(error).__name__}: {error}"[:256],
        body=f"{len(batch.events)} events and {len(batch.objects)} objects were left out",
    )
    return msgspec.structs.replace(batch, events=[], objects=[], gaps=[], rejects=[reject])
