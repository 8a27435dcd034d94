"""The recorder: one writer, any number of clusters, and what it says of itself."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pipetrail.app.child import Child
from pipetrail.app.cluster import ClusterOptions, ClusterRecorder
from pipetrail.app.skipping import skipped_batches
from pipetrail.control import Request, answering
from pipetrail.kube.keep import redact
from pipetrail.kube.login import Login
from pipetrail.model import Micros
from pipetrail.sinks.shared import Skipped
from pipetrail.stores.sqlite import Journal, Retention, Writer
from pipetrail.stores.sqlite.backup import backup
from pipetrail.stores.sqlite.retention import prune

_log = logging.getLogger(__name__)

STOP_SECONDS = 4.0


class RecorderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a recorder needs to know beside its clusters."""

    journal: str
    retention: Retention = Retention()
    full_text: bool = True


class Recorder:
    """Records clusters into one journal.

    :param clusters: a login and options for each.
    :param now: the wall clock, in microseconds.
    :param delivery: the process that sends events to the sinks; it is started when the journal is open.
    """

    def __init__(
        self,
        options: RecorderOptions,
        clusters: Sequence[tuple[Login, ClusterOptions]],
        *,
        now: Callable[[], Micros],
        on_commit: Callable[[int], None] | None = None,
        delivery: Child | None = None,
    ) -> None:
        self.options = options
        self.delivery = delivery
        self.now = now
        self.catalogue = next((wanted.catalogue for _, wanted in clusters if wanted.catalogue is not None), None)
        self.started_at = now()
        self.writer = Writer(self._open, now=now, bounds=options.retention, on_commit=on_commit)
        self.clusters = [
            ClusterRecorder(login, self.writer, options.journal, wanted, now) for login, wanted in clusters
        ]

    def _open(self) -> Journal:
        return Journal(self.options.journal, redact=redact, full_text=self.options.full_text)

    async def run(self, beside: Sequence[Callable[["Recorder"], Awaitable[None]]] = ()) -> bool:
        """Record until cancelled, then store what is under way. Returns whether all of it was stored.

        :param beside: what else runs meanwhile: the health server, the status line.
        :raises JournalError: when the journal can't be opened.
        :raises LoginError: when a cluster's first login fails.
        """
        await self.writer.start()
        ease_collector()
        stored = True
        if self.delivery is not None:
            self.delivery.more = ["--begun", str(self.writer.done.last_seq)]
        # No task of the group: whatever happens to it, recording goes on.
        delivery = (
            asyncio.create_task(_delivering(self.delivery), name="delivery") if self.delivery is not None else None
        )
        try:
            async with answering(self.options.journal, self._handlers()), asyncio.TaskGroup() as tasks:
                for part in beside:
                    tasks.create_task(_awaited(part(self)))
                for cluster in self.clusters:
                    tasks.create_task(cluster.run(), name=f"cluster {cluster.label}")
        finally:
            if delivery is not None:
                delivery.cancel()  # its process ends while the last batches are stored
            last = [batch for cluster in self.clusters for batch in cluster.last_batches()]
            stored = await self.writer.stop(STOP_SECONDS, last)
            if not stored:
                _log.error("Stopped before all was stored; it will be read again from the last position.")
            if delivery is not None:
                await asyncio.wait([delivery])
        return stored

    def blind(self) -> list[str]:
        """Why this recorder is not whole now; empty when it is."""
        reasons = [reason for cluster in self.clusters for reason in cluster.blind()]
        return [f"journal: {self.writer.done.trouble}", *reasons] if self.writer.done.trouble else reasons

    def lag_seconds(self) -> float:
        """How far the journal is behind what was received, or how long the most blind source has been so."""
        now = self.now()
        blind = [
            now - (known.watch.alive_at or known.since)
            for cluster in self.clusters
            for known in cluster.following.values()
            if known.state in ("blind", "listing")
        ]
        return max(max(blind, default=0) / 1e6, self.writer.done.commit_seconds if self.writer.pending else 0.0)

    # ---- what other commands may ask of a running recorder

    def _handlers(self) -> dict[str, Callable[[Request], Awaitable[object]]]:
        return {
            "prune": self._prune,
            "backup": self._backup,
            "flush": self._flush,
            "status": self._status,
            "gap": self._gap,
        }

    async def _prune(self, request: Request) -> object:
        bounds = Retention(size=request.get("size"), age=request.get("age"))
        return msgspec.to_builtins(await self.writer.ask(lambda journal: prune(journal, bounds, self.now())))

    async def _backup(self, request: Request) -> object:
        target = str(request["to"])
        pages = await self.writer.ask(lambda journal: backup(journal.db, target))
        return {"pages": pages}

    async def _flush(self, _: Request) -> object:
        await self.writer.flush()
        return {"last_seq": self.writer.done.last_seq}

    async def _gap(self, request: Request) -> object:
        skipped = msgspec.convert(request.get("skipped"), Skipped)
        batches = await asyncio.to_thread(skipped_batches, self.options.journal, skipped, self.now())
        await self.writer.put(*batches)
        await self.writer.flush()
        return {"gaps": len(batches)}

    async def _status(self, _: Request) -> object:
        return {
            "blind": self.blind(),
            "lag_seconds": self.lag_seconds(),
            "sinks": self.delivery.trouble if self.delivery is not None else "",
            "written": msgspec.to_builtins(self.writer.done),
        }


def ease_collector() -> None:
    """Let the cyclic collector look seldom, and never at what start-up made.

    The records of the hot path hold no cycles and are not tracked; what is left for the collector is asyncio's own.
    With Python's defaults it took a sixth of the recorder's time to look through the known objects again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _delivering(child: Child) -> None:
    """Keep the delivery running; its trouble is never the recorder's."""
    try:
        await child.run()
    except Exception:
        _log.exception("Delivery to the sinks can't be kept running; recording goes on.")


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def until_signal(work: Awaitable[bool]) -> bool:
    """Run until the work ends, or SIGTERM or SIGINT asks it to: then cancel it, and let it finish what it must."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if asked:
            return True
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
