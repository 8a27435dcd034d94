"""One sink and its way through the journal: what to send next, what became of it, and when to try again.

A lane is one task. It sends one batch at a time; meanwhile the reader's thread fetches the next page, and the thread of
the state file writes down what the batch before settled. A lane waits for that before it writes again, so at most two
batches come twice after a crash.

Whole batches that fail are put back and tried again for ever, with growing pauses: the circuit is open; after the pause
a small batch is tried, half-open. A batch that can never succeed is halved until the change that is to blame is alone.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence

import msgspec

from pipetrail.model import Again, Answer, Delivery, Permanent, Rejected, Sink, Temporary
from pipetrail.sinks.amounts import age
from pipetrail.sinks.backlog import Backlog, Hole, Pile
from pipetrail.sinks.backoff import pause
from pipetrail.sinks.calls import Calls
from pipetrail.sinks.circuit import Circuit, said
from pipetrail.sinks.figures import SinkFigures
from pipetrail.sinks.ledger import Ledger
from pipetrail.sinks.matching import Filter
from pipetrail.sinks.pacing import Pacer
from pipetrail.sinks.schema import StateError
from pipetrail.sinks.settings import Settings
from pipetrail.sinks.shared import Shared, Skipped
from pipetrail.sinks.state import Position

_TICK = 1.0  # seconds
_LEAST = 0.001  # seconds: a clock may be too coarse for less, and the lane would turn in circles until it moves
_NOTE = 1.0  # seconds until a change of the figures is written, where nothing else is
_PATIENCE = 1.0  # seconds before the journal or the state file is tried again
_TEXT = 1024  # characters of a reason in the dead letters


class Lane:
    """See the module.

    :param now: the change behind which ``start: now`` begins; the journal's last one when the lane begins if None.
    :raises ValueError: when the settings are wrong.
    """

    def __init__(self, sink: Sink, settings: Settings, shared: Shared, now: int | None = None) -> None:
        self.sink, self.settings, self._at_start = sink, settings, now
        self._shared = shared
        self._rules = Filter(settings.match, settings.drop, shared.clusters)
        self._give_up = age(settings.retry.give_up)
        self._last = 0  # the newest change of the journal, as far as the lane was told
        self._stopping = self._stopped = False
        self._wake = asyncio.Event()
        self._calls = Calls()
        self._reset(0)

    def _reset(self, read: int) -> None:
        """As if nothing but the state file was there."""
        settings, shared = self.settings, self._shared
        self._ledger = Ledger(self.sink.name, settings.type, shared.state, shared.executor, shared.now)
        self._backlog = Backlog(read, settings.hold, self._rules)
        self._flying: Sequence[Delivery] = ()
        self._reading: asyncio.Future[Pile] | None = None
        self._new = False  # whether this sink never read anything
        self._pacer = Pacer(settings.batch, settings.limits.rate)
        self._circuit = Circuit(self.sink.name, settings.retry, shared.rng)
        self._tick_at = self._note_at = 0.0

    # For delivery

    def poke(self, last: int) -> None:
        """The journal has changes up to this one."""
        if last > self._last:
            self._last = last
            self._wake.set()

    async def revive(self) -> None:
        """Somebody saw to the dead letters."""
        await self._ledger.count()
        self._circuit.empty()  # where there is no room still, the next one that is refused fills it up again
        self._wake.set()

    def stop(self, grace: float) -> None:
        """End :meth:`run`. What is being sent has ``grace`` seconds still."""
        self._stopping = True
        self._calls.hurry(grace)
        self._wake.set()

    def figures(self) -> SinkFigures:
        """The figures of this moment, a copy."""
        figures, backlog = self._ledger.figures, self._backlog
        oldest = backlog.oldest(self._flying)
        return msgspec.structs.replace(
            figures,
            state="stopped" if self._stopped else self._circuit.state,
            read=backlog.read,
            unsettled=len(self._holes()),
            oldest_at=oldest.event.observed_at if oldest is not None else None,
            held=backlog.held,
            rate=figures.rate_now(self._shared.now()),
            rate_at=self._shared.now(),
            failures=dict(figures.failures),
        )

    async def run(self) -> None:
        """Deliver until :meth:`stop`. A failure of the journal or of the state file is waited out."""
        begun = False
        while not self._stopping:
            try:
                if not begun:
                    await self._begin()
                    begun = True
                await self._step()
            except StateError as error:
                self._trouble("state", str(error))
                await self._pause(_PATIENCE)
            except Exception as error:
                self._trouble("lane", f"delivery failed in itself, and begins again: {said(error)}", error)
                await self._close()
                begun = False
                await self._pause(_PATIENCE)
        if begun:
            await self._end()
        else:  # nothing is known that could be written down
            self._stopped = True
            await self._close()

    # From here on: one step after the other

    async def _begin(self) -> None:
        """Go on where the state file says."""
        shared, name = self._shared, self.sink.name
        position = await self._ledger.position()
        self.poke(await shared.reader.last())
        now = self._last if self._at_start is None else min(self._at_start, self._last)
        if position is None:
            self._reset(now if self.settings.start == "now" else 0)
            self._new = True
            await self._write()
        elif position.read > self._last:
            self._reset(now)
            self._trouble("journal", f"the journal ends at {now}, but {position.read} was sent: goes on at its end")
        else:
            self._reset(position.read)
            found = await shared.reader.some([hole.seq for hole in position.holes])
            self._backlog.refill(found, position.holes)
            if lost := len(position.holes) - len(found):
                upto = position.holes[-1].seq
                self._skip(Skipped(sink=name, events=lost, after=position.holes[0].seq - 1, upto=upto))

    async def _step(self) -> None:
        if self._ledger.was_written:
            await self._ledger.durable()
            self._circuit.fine("state")
        if self._ledger.behind:  # nothing more is sent until it is written, else all of that came twice after a crash
            await self._write()
            await self._ledger.durable()
        if self._circuit.state == "starting" and not await self._tried("start", self.sink.start()):
            return
        time = asyncio.get_running_loop().time()
        if time >= self._tick_at:
            self._tick_at = time + _TICK
            if not await self._tried("tick", self.sink.tick(self._shared.now())):
                return
        await self._fetch()
        if self._is_ready():
            if batch := self._take():
                await self._send(batch)
            else:
                await asyncio.sleep(0)
            return
        self._note(self._ledger.written_state != self._circuit.state)
        if self._ledger.changed and asyncio.get_running_loop().time() >= self._note_at:
            await self._write()
        await self._wait()

    def _take(self) -> list[Delivery]:
        backlog, figures = self._backlog, self._ledger.figures
        read, filtered, merged = backlog.read, backlog.filtered, backlog.merged
        batch = backlog.take(self._pacer.most, self._pacer.room, self._shared.now(), asyncio.get_running_loop().time())
        figures.filtered += backlog.filtered - filtered
        figures.merged += backlog.merged - merged
        figures.filter_errors += self._rules.errors
        self._rules.errors = 0
        self._pacer.took()
        self._note(backlog.read != read)
        return batch

    def _note(self, changed: bool) -> None:
        """Let a change be written soon, though no batch settles it."""
        if changed and not self._ledger.unwritten:
            self._ledger.unwritten = True
            self._note_at = asyncio.get_running_loop().time() + _NOTE

    def _is_ready(self) -> bool:
        time = asyncio.get_running_loop().time()
        return self._circuit.state != "full" and self._pacer.is_ready(self._backlog, self._shared.now(), time)

    async def _wait(self) -> None:
        """Until there may be something to do."""
        if self._reading is not None and self._reading.done():
            return
        moments = [self._tick_at]
        if self._circuit.state != "full":
            moments += self._pacer.next(self._backlog)
        if self._ledger.changed:
            moments.append(max(self._note_at, asyncio.get_running_loop().time() + 0.01))
        await self._pause(min(moments) - asyncio.get_running_loop().time())

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not when something changes meanwhile."""
        if seconds > 0 and not self._wake.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(seconds, _LEAST)):
                    await self._wake.wait()
        self._wake.clear()

    # Reading

    async def _fetch(self) -> None:
        """Take in the page that was read, and have the next one read where there is room."""
        backlog, settings = self._backlog, self.settings
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                found = reading.result()
                self._circuit.fine("journal")
            except Exception as error:
                self._trouble("journal", f"the journal can't be read: {said(error)}")
                await self._pause(_PATIENCE)
                return
            if found.page.skipped and not self._new:
                upto = found.page.items[0].seq - 1 if found.page.items else found.page.upto
                events = found.page.skipped
                self._skip(Skipped(sink=self.sink.name, events=events, after=backlog.fetched, upto=upto))
            self._new = False
            read = backlog.read
            backlog.add(found)
            self._note(backlog.read != read)
        if backlog.ready < settings.batch.events and backlog.ready + backlog.held < settings.limits.queue:
            backlog.refill(each.delivery for each in await self._ledger.revived(settings.batch.events))
        most = max(1, min(2 * settings.batch.events, settings.limits.queue))
        full = backlog.in_pages >= most or backlog.ready + backlog.held + most > max(settings.limits.queue, most)
        if self._reading is None and backlog.fetched < self._last and not full:
            self._reading = self._shared.reader.page(backlog.fetched, most)
            self._reading.add_done_callback(self._was_read)

    def _was_read(self, reading: asyncio.Future[Pile]) -> None:
        if not reading.cancelled():
            reading.exception()  # else one that nobody looks at, since the lane ended, is a warning
        self._wake.set()

    def _skip(self, skipped: Skipped) -> None:
        self._ledger.figures.skipped += skipped.events
        self._shared.skipped(skipped)

    # Sending

    async def _send(self, batch: list[Delivery]) -> None:
        began = asyncio.get_running_loop().time()
        weight = self._backlog.bytes
        self._flying = batch
        figures, now = self._ledger.figures, self._shared.now
        answers: Sequence[Answer]
        try:
            answers = await self._calls.made(self.sink.send(batch))
            if len(answers) != len(batch):
                raise RuntimeError(f"it gave {len(answers)} answers for {len(batch)} events")
        except Temporary as error:
            self._flying = ()
            self._backlog.refill(batch)
            await self._failed("send", error)
            return
        except Exception as error:
            # What is no failure that the sink knows is its own fault, and may be one event's: the others must go on.
            self._flying = ()
            failure = error.failure if isinstance(error, Permanent) else None
            if failure is None:
                self._trouble("sink", f"failed in itself: {said(error)}", error)
            if len(batch) > 1:
                figures.count_failure(failure or "other", said(error), now())
                self._backlog.refill(batch)
                self._pacer.halve(len(batch))
                figures.retries += 1
                return
            answers = [Rejected(said(error), failure) if failure else Again(said(error), failure="other")]
        else:
            self._flying = ()
            figures.batches += 1
            figures.bytes += weight
            self._circuit.went_well("send")
            self._pacer.grow()
        self._settle(batch, answers)
        self._pacer.sent(len(batch), began)
        await self._write()

    def _settle(self, batch: list[Delivery], answers: Sequence[Answer]) -> None:
        figures, backlog, ledger = self._ledger.figures, self._backlog, self._ledger
        now, time = self._shared.now(), asyncio.get_running_loop().time()
        if not any(answers) and not ledger.reviving:
            backlog.settle(batch)
            figures.count_sent(len(batch), now)
            return
        taken = 0
        for item, answer in zip(batch, answers, strict=True):
            if answer is None:
                taken += 1
                ledger.taken(item.seq)
                backlog.settle([item])
            elif isinstance(answer, Rejected):
                figures.count_failure(answer.failure, answer.reason, now)
                self._bury(item, answer.reason)
            else:
                figures.count_failure(answer.failure, answer.reason, now)
                since, tries = backlog.refused(item, now)
                if now - since >= self._give_up:
                    self._bury(item, f"given up after {self.settings.retry.give_up}: {answer.reason}")
                else:
                    figures.retries += 1
                    backlog.again(item, time + pause(tries, self.settings.retry, self._shared.rng, answer.after))
        if taken:
            figures.count_sent(taken, now)
            if figures.dead_letters < self.settings.limits.dead_letters:  # some were among them
                self._circuit.empty()

    def _bury(self, item: Delivery, reason: str) -> None:
        """Make it a dead letter; where there is no room for one, stand still with it."""
        ledger = self._ledger
        if ledger.figures.dead_letters >= self.settings.limits.dead_letters and not ledger.is_revived(item.seq):
            self._backlog.refill([item])
            self._circuit.fill_up()
            return
        ledger.bury(item, reason[:_TEXT])
        self._backlog.settle([item])

    # Failing

    async def _tried(self, what: str, call: Awaitable[None]) -> bool:
        """Whether this went well; if not, the pause is over when it returns."""
        try:
            await self._calls.made(call)
        except Temporary as error:
            await self._failed(what, error)
            return False
        except Exception as error:
            failure = error.failure if isinstance(error, Permanent) else None
            if failure is None:
                self._trouble("sink", f"failed in itself: {said(error)}", error)
            await self._failed(what, Temporary(said(error), failure=failure or "other"))
            return False
        self._circuit.went_well(what)
        return True

    async def _failed(self, what: str, error: Temporary) -> None:
        """Count it, and wait."""
        figures, loop = self._ledger.figures, asyncio.get_running_loop()
        figures.count_failure(error.failure, said(error), self._shared.now())
        figures.retries += 1
        self._pacer.shrink()
        until = loop.time() + self._circuit.failed(what, error)
        await self._write()
        while not self._stopping and loop.time() < until:
            await self._pause(until - loop.time())
        self._circuit.waited()

    def _trouble(self, where: str, text: str, error: Exception | None = None) -> None:
        """Something failed here rather than at the receiver."""
        figures = self._ledger.figures
        figures.last_error, figures.last_error_at = text, self._shared.now()
        self._circuit.trouble(where, text, error)

    # Writing down

    def _holes(self) -> list[Hole]:
        return [hole for hole in self._backlog.holes(self._flying) if not self._ledger.is_revived(hole.seq)]

    async def _write(self) -> None:
        """Begin to write how it stands now, when what was begun before is written."""
        self._ledger.unwritten = True
        await self._ledger.durable()
        await self._ledger.write(Position(read=self._backlog.read, holes=self._holes()), self.figures())

    async def _end(self) -> None:
        """Write down how far it came, and close the sink."""
        self._stopped = True
        try:
            await self._write()
            await self._ledger.durable()
        except StateError as error:
            self._trouble("state", str(error))
        await self._close()

    async def _close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        try:
            await self._calls.made(self.sink.stop())
        except Exception as error:
            self._trouble("sink", f"can't be closed: {said(error)}", error)
