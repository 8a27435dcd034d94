"""``pipetrail deliver``: builds the sinks of a configuration, delivers to them, and does what it is asked meanwhile.

A process of its own: recording does not depend on it, and it does not depend on a recorder. What must survive it is in
the state file beside the journal, in one transaction with each batch.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from pipetrail import hangup
from pipetrail.app.feeding import JournalFeed
from pipetrail.app.skipping import skipped_batches
from pipetrail.config import Config, ConfigError, load
from pipetrail.control import Request, answering, ask
from pipetrail.documents.events import event_shape
from pipetrail.model import Micros, Sink
from pipetrail.sinks import state_path
from pipetrail.sinks.delivery import Deliverer
from pipetrail.sinks.figures import SinkFigures
from pipetrail.sinks.kinds import kind
from pipetrail.sinks.settings import Settings
from pipetrail.sinks.shared import Skipped
from pipetrail.sinks.state import DeadLetter, State
from pipetrail.sinks.tools import Tools
from pipetrail.stores.sqlite import Journal, JournalReader, MissingJournal
from pipetrail.stores.sqlite.errors import JournalError
from pipetrail.stores.sqlite.summary import labels

_log = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds that a request which is under way has still when delivery ends."""
PATIENCE = 60.0
"""Seconds without any progress after which ``--once`` gives a sink up."""
_LOOK_SECONDS = 0.25
_LABEL_SECONDS = 30.0
_GAP_SECONDS = 5.0

Progress = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery needs to know.

    ``while_stdin``: end when standard input does, which is when the parent ends. ``begun``: the newest change of the
    journal when the parent began to record.
    """

    journal: str
    config: str
    once: bool = False
    while_stdin: bool = False
    begun: int | None = None
    patience: float = PATIENCE


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one sink in a run with ``once``: events ``sent``, left out by its rules, new dead letters.

    ``behind``: why not all was sent or left out, as far as that is known; None where it was.
    """

    name: str
    sent: int
    left_out: int
    dead_letters: int
    behind: str | None = None


def made(
    settings: dict[str, Settings], state: State, now: Callable[[], Micros], clusters: Callable[[], Mapping[str, str]]
) -> list[tuple[Sink, Settings]]:
    """The sinks of a configuration, none of them started."""
    return [
        (kind(each.type).make(name, each, Tools(now=now, memory=state.memory(name), clusters=clusters)), each)
        for name, each in settings.items()
    ]


def _letter(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as the control socket hands it on."""
    event = msgspec.to_builtins(event_shape(letter.delivery.event))
    return {"seq": letter.seq, "at": letter.at, "reason": letter.reason, "event": event}


class Delivering:
    """One run of the command.

    :param now: the wall clock in microseconds.
    """

    def __init__(self, options: Options, now: Callable[[], Micros] = lambda: time.time_ns() // 1000) -> None:
        self._options = options
        self._now = now
        self._end = asyncio.Event()
        self._reload = asyncio.Event()
        self._clusters: dict[str, str] = {}
        self._skipped: asyncio.Queue[Skipped] = asyncio.Queue()
        self.outcomes: list[Outcome] = []
        """With ``once``, what became of each sink; empty when it was told to end before."""

    async def run(self, progress: Progress | None = None) -> bool:
        """Deliver until a signal says to end, or, once, until all is sent. Returns whether all of it was.

        :raises ConfigError: when the configuration has mistakes, or no sinks.
        :raises StateError: when the state file can't be used, as when another process delivers from the journal.
        :raises JournalError: when the journal is not there, and is not waited for.
        """
        options = self._options
        with self._signals():  # before the file is read: a signal that comes then must be told of what is new in it
            config = load(options.config, sinks=True)
            if not config.sinks:
                raise ConfigError([f"{options.config}: it names no sinks; see `pipetrail config schema`"])
            if not await self._journal():
                return True
            state = State(state_path(options.journal))
            try:
                return await self._deliver(config, state, progress)
            finally:
                state.close()

    @contextlib.contextmanager
    def _signals(self) -> Any:
        """SIGTERM and SIGINT end it, SIGHUP lets it read the configuration anew."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload}
        for number, event in handlers.items():
            loop.add_signal_handler(number, event.set)
        hangup.release()
        if self._options.while_stdin:
            loop.add_reader(sys.stdin.fileno(), self._read_stdin)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
            if self._options.while_stdin:
                loop.remove_reader(sys.stdin.fileno())

    def _read_stdin(self) -> None:
        """Nobody writes there: when there is something to read, it is the end."""
        with contextlib.suppress(OSError):
            if os.read(sys.stdin.fileno(), 4096):
                return
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._end.set()

    async def _journal(self) -> bool:
        """Wait for the journal; False when it is told to end before."""
        path = self._options.journal
        if await asyncio.to_thread(os.path.exists, path):
            return True
        if self._options.once:
            raise MissingJournal(f"{path}: no journal there; name it with --journal")
        _log.info("There is no journal yet; waiting for it.", extra={"journal": path})
        while not await asyncio.to_thread(os.path.exists, path):
            if await _happened(self._end, _LOOK_SECONDS):
                return False
        return True

    async def _deliver(self, config: Config, state: State, progress: Progress | None) -> bool:
        options = self._options
        deliverer = Deliverer(
            partial(JournalFeed, options.journal),
            state,
            self._now,
            clusters=self._clusters,
            skipped=self._skipped.put_nowait,
            grace=GRACE,
            begun=options.begun,
            stamp=partial(_stamp, options.journal),
        )
        await self._name_clusters()  # before rules ask for a name
        await deliverer.set_sinks(made(config.sinks, state, self._now, lambda: self._clusters))
        gc.freeze()  # what start-up made is never looked through again
        gc.set_threshold(50_000, 20, 100)
        whole = True
        async with (
            answering(state_path(options.journal), _handlers(deliverer)),
            _beside(self._reloads(deliverer, state), self._gaps(), self._labels()),
        ):
            running = asyncio.create_task(deliverer.run(), name="delivery")
            ending = asyncio.create_task(self._end.wait(), name="end")
            once = asyncio.create_task(self._once(deliverer, state, config, progress), name="once")
            waited = {running, ending, once} if options.once else {running, ending}
            try:
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                deliverer.stop()
                for task in (ending, once):
                    task.cancel()
                await asyncio.wait([running, ending, once])
            await running
            if options.once:
                whole = not once.cancelled() and once.result()
        return whole

    async def _once(self, deliverer: Deliverer, state: State, config: Config, progress: Progress | None) -> bool:
        """Return when each sink is done with what was in the journal at the beginning, or can't be.

        Whether all was sent: nothing is left, and nothing became a dead letter.
        """
        if not self._options.once:
            return True
        target = await asyncio.to_thread(_last_seq, self._options.journal)
        before = {name: msgspec.structs.replace(state.figures(name, "")) for name in config.sinks}
        moved = dict.fromkeys(config.sinks, (0.0, -1))  # when a sink last got further, and how far
        loop = asyncio.get_running_loop()
        while True:
            figures = {each.name: each for each in deliverer.figures()}
            left = []
            for name, found in figures.items():
                position = await asyncio.to_thread(state.position, name)
                if position is not None and position.settled >= target:
                    continue
                done = found.sent + found.filtered + found.merged + found.dead_letters_ever
                if done != moved[name][1]:
                    moved[name] = (loop.time(), done)
                if found.state != "full" and loop.time() - moved[name][0] < self._options.patience:
                    left.append(name)
            if progress is not None:
                progress(_progress(figures.values(), target) if left else "")
            if figures and not left:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        for name, found in figures.items():
            was = before.get(name) or SinkFigures(name=name, type=found.type)
            position = await asyncio.to_thread(state.position, name)
            behind = position is None or position.settled < target
            outcome = Outcome(
                name=name,
                sent=found.sent - was.sent,
                left_out=found.filtered - was.filtered,
                dead_letters=found.dead_letters_ever - was.dead_letters_ever,
                behind=found.last_error if behind else None,
            )
            self.outcomes.append(outcome)
            if behind:
                _log.error("A sink has not taken all.", extra={"sink": name, "error": found.last_error})
            if outcome.dead_letters:
                _log.error("A sink has new dead letters.", extra={"sink": name, "dead_letters": found.dead_letters})
        return all(each.behind is None and not each.dead_letters for each in self.outcomes)

    async def _reloads(self, deliverer: Deliverer, state: State) -> None:
        """Read the configuration anew when asked to. One with mistakes changes nothing."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                config = await asyncio.to_thread(load, self._options.config, sinks=True)
                await deliverer.set_sinks(made(config.sinks, state, self._now, lambda: self._clusters))
            except ConfigError as error:
                for line in error.errors:
                    _log.error("The configuration has a mistake; the one before stays in force.", extra={"error": line})
            except ValueError as error:
                _log.error(
                    "The configuration can't be used; the one before stays in force.", extra={"error": str(error)}
                )
            else:
                _log.info("The configuration was read anew.", extra={"sinks": sorted(config.sinks)})

    async def _gaps(self) -> None:
        """Have gaps recorded for what was pruned before it was sent."""
        while True:
            skipped = await self._skipped.get()
            extra = {"sink": skipped.sink, "events": skipped.events}
            _log.error("Events were pruned before a sink was sent them; a gap is recorded.", extra=extra)
            while (
                trouble := await asyncio.to_thread(record_gap, self._options.journal, skipped, self._now())
            ) is not None:
                _log.warning("The gap can't be recorded yet.", extra={**extra, "error": trouble})
                await asyncio.sleep(_GAP_SECONDS)

    async def _labels(self) -> None:
        """Know what people call the clusters."""
        while True:
            await asyncio.sleep(_LABEL_SECONDS)
            await self._name_clusters()

    async def _name_clusters(self) -> None:
        with contextlib.suppress(JournalError):
            self._clusters.update(await asyncio.to_thread(_read_labels, self._options.journal))


def record_gap(journal: str, skipped: Skipped, now: Micros) -> str | None:
    """Record what a sink missed: by the recorder, or without one in the journal itself. Returns why it could not be."""
    try:
        answer = ask(journal, {"do": "gap", "skipped": msgspec.to_builtins(skipped)}, 60.0)
        if answer is not None:
            return None if answer.get("ok") else str(answer.get("error"))
        writer = Journal(journal)
        try:
            writer.append(skipped_batches(journal, skipped, now))
        finally:
            writer.close()
    except (OSError, ValueError, JournalError) as error:
        return str(error) or type(error).__name__
    return None


def _handlers(deliverer: Deliverer) -> dict[str, Callable[[Request], Awaitable[object]]]:
    """What other commands may ask of a running delivery."""

    async def sinks(_: Request) -> object:
        return {"sinks": msgspec.to_builtins(deliverer.figures())}

    async def replay(request: Request) -> object:
        return {"changes": await deliverer.replay(str(request["sink"]), int(request["since"]))}

    async def letters(request: Request) -> object:
        found = await deliverer.dead_letters(
            str(request["sink"]), int(request.get("after") or 0), int(request.get("most") or 1000)
        )
        return {"letters": [_letter(each) for each in found]}

    async def retry(request: Request) -> object:
        return {"count": await deliverer.retry_dead(str(request["sink"]), request.get("seqs"))}

    async def drop(request: Request) -> object:
        return {"count": await deliverer.drop_dead(str(request["sink"]), request.get("seqs"))}

    async def probe(request: Request) -> object:
        return {"said": await deliverer.probe(str(request["sink"]))}

    return {"sinks": sinks, "replay": replay, "dead-letters": letters, "retry": retry, "drop": drop, "probe": probe}


@contextlib.asynccontextmanager
async def _beside(*works: Awaitable[None]) -> AsyncIterator[None]:
    """Run these while the block runs."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _happened(event: asyncio.Event, seconds: float) -> bool:
    """Whether it does within so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def _progress(figures: Iterable[SinkFigures], target: int) -> str:
    """One line on how far each sink is."""
    return " · ".join(
        f"{each.name} {min(100.0, 100.0 * max(0, target - each.lag_events) / max(1, target)):.0f} %, {each.rate:,.0f}/s"
        + (f", {each.state}" if each.state not in ("closed", "starting") else "")
        for each in figures
    )


def _stamp(journal: str) -> object:
    """What differs after each write to a journal: all of them go to its write-ahead log. None where there is none."""
    try:
        found = os.stat(journal + "-wal")
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _last_seq(journal: str) -> int:
    with JournalReader(journal) as reader:
        return reader.last_seq()


def _read_labels(journal: str) -> dict[str, str]:
    with JournalReader(journal) as reader:
        return labels(reader)
