"""One resource of a live cluster as batches: what its watch signals, read and put with the position after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from pipetrail.kube.decode import Broken
from pipetrail.kube.keep import rejected
from pipetrail.kube.kinds import Resource
from pipetrail.kube.watch import Blind, Changed, Listed, Signal, Watch
from pipetrail.model import Batch, Event, Gap, Micros, Reject, SourceState
from pipetrail.sources.changes import Changes
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.gaps import gap_event, gap_of
from pipetrail.sources.objects import ObjectReader

_ALIVE_EVERY = 5_000_000  # µs between two notes that a quiet source is alive

Vanished = Callable[[Micros], Awaitable[set[str] | None]]


async def _none_vanished(_: Micros) -> set[str] | None:
    return set()


class LiveSource:
    """Follows one resource, in all namespaces or in one.

    :param reader: the state of the Events, or of the objects of this resource.
    :param now: the wall clock, in microseconds.
    :param vanished: for Events, the uids of the namespaces that were deleted since a time; None: not known.
    """

    def __init__(
        self,
        cluster: str,
        resource: Resource,
        watch: Watch,
        reader: EventReader | ObjectReader,
        *,
        now: Callable[[], Micros],
        namespace: str = "",
        counts: Counts | None = None,
        vanished: Vanished = _none_vanished,
    ) -> None:
        self.cluster = cluster
        self.resource = resource
        self.namespace = namespace
        self.name = f"{namespace}/{resource.key}" if namespace else resource.key
        self.resyncs = 0
        self._watch = watch
        self.reader = reader
        self._now = now
        self._counts = counts
        self._vanished = vanished
        self._present: set[str] = set()
        self._state = "stopped"
        self._reason = ""
        self._noted_at: Micros = 0

    async def batches(self, position: str | None, alive_at: Micros | None = None) -> AsyncIterator[Batch]:
        """Yield what is seen, from a stored position onwards. Ends where the resource is gone."""
        async for signal in self._watch.follow(position, alive_at):
            batch = await self._batch(signal)
            if batch is not None:
                yield batch

    def broken(self, reason: str) -> Batch:
        """What to store when an error has ended :meth:`batches`: that nothing is seen until it is begun anew."""
        made = self._made(self._now(), Changes(), [], None, "blind", reason)
        return msgspec.structs.replace(made, alive_at=None)  # what came last is not stored: it is read again

    async def _batch(self, signal: Signal) -> Batch | None:
        now = self._now()
        match signal:
            case Changed():
                found, rejects = self._read_frames(signal, now)
                return self._made(now, found, rejects, signal.position, "watching")
            case Listed():
                return await self._listed(signal, now)
            case Blind():
                return self._made(now, Changes(), [], None, signal.state, signal.reason)
            case _:
                if self._state == "watching" and now - self._noted_at < _ALIVE_EVERY:
                    return None
                return self._made(now, Changes(), [], signal.position, "watching")

    def _read_frames(self, signal: Changed, now: Micros) -> tuple[Changes, list[Reject]]:
        into = Changes()
        rejects = [self._reject(broken, now) for broken in signal.broken] if signal.broken else []
        take = self.reader.take
        for frame in signal.frames:
            try:
                take(frame.type, frame.object, now, into)
            except Exception as error:  # one object that no rule foresaw must not cost the others
                rejects.append(self._odd(frame.object, error, now))
        return into, rejects

    async def _listed(self, page: Listed, now: Micros) -> Batch:
        into = Changes()
        if page.first:
            self._present = set()
            if page.cause == "ServerWentBack" and isinstance(self.reader, ObjectReader):
                self.reader.forget_deletions()
        rejects = [self._reject(broken, now) for broken in page.broken]
        for item in page.items:
            try:
                self.reader.take("ADDED", item, now, into)
            except Exception as error:
                rejects.append(self._odd(item, error, now))
        if isinstance(self.reader, ObjectReader):  # of a million Events this would be half of the memory
            self._present.update(item.metadata.uid for item in page.items)
        if not page.last:
            return self._made(now, into, rejects, None, "listing")
        if isinstance(self.reader, ObjectReader) and page.whole:
            gone = self.reader.missing(self._present, now)
            into.events += gone.events
            into.objects += gone.objects
        self._present = set()
        gap = gap_of(
            self.cluster,
            self.name,
            page.cause,
            page.since,
            now,
            ttl=self._ttl(),
            whole=page.whole,
            deleted_namespaces=await self._vanished(page.since) if page.since is not None else (),
        )
        self.resyncs += gap is None
        return self._made(now, into, rejects, page.version, "watching", gap=gap)

    def _ttl(self) -> Micros | None:
        if self._counts is None or not isinstance(self.reader, EventReader):
            return None
        seen = self.reader.shortest_life
        return min(self._counts.ttl, seen) if seen is not None else self._counts.ttl

    def _made(
        self,
        now: Micros,
        found: Changes,
        rejects: list[Reject],
        position: str | None,
        state: str,
        reason: str = "",
        gap: Gap | None = None,
    ) -> Batch:
        events: list[Event] = found.events
        if gap is not None:
            events = [*events, gap_event(gap, self.resource.kind, self.namespace)]
        changed: SourceState | None = None
        if state != self._state or reason != self._reason:
            self._state, self._reason = state, reason
            changed = SourceState(
                cluster=self.cluster,
                resource=self.name,
                state=state,  # type: ignore[arg-type]
                reason=reason,
                missing_rights=(f"list and watch {self.name}",) if state == "forbidden" else (),
            )
        if self._counts is not None:
            self._counts.turn(now)
        self._noted_at = now
        return Batch(
            cluster=self.cluster,
            resource=self.name,
            events=events,
            objects=found.objects,
            gaps=[gap] if gap is not None else [],
            rejects=rejects,
            position=position,
            alive_at=self._watch.alive_at,
            state=changed,
        )

    def _odd(self, item: Any, error: Exception, now: Micros) -> Reject:
        try:
            raw = msgspec.json.encode(item)
        except Exception:  # what could not be read may not be written either: nested too deep, a number too large
            raw = b""
        return self._reject(Broken(f"{type(error).__name__}: {error}"[:256], raw), now)

    def _reject(self, broken: Broken, now: Micros) -> Reject:
        body = rejected(broken.raw)
        return Reject(cluster=self.cluster, resource=self.name, at=now, reason=broken.reason, body=body)
