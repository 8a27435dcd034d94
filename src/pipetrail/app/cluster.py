"""One cluster being recorded: its login, its identity, its resources as they come and go."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec

from pipetrail.app.linking import Linking
from pipetrail.app.reading import Patience
from pipetrail.app.restoring import object_reader, restore_counts, restore_objects
from pipetrail.app.verdicts import Verdicts
from pipetrail.catalogue import Catalogue
from pipetrail.kube import discovery, errors, wire
from pipetrail.kube.http import Api
from pipetrail.kube.kinds import CORE, EVENTS, Resource
from pipetrail.kube.login import Login, LoginError
from pipetrail.kube.watch import DEFAULT_TIMING, Timing, Watch
from pipetrail.model import Batch, Micros, SourceState
from pipetrail.model.times import micros
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.live import LiveSource
from pipetrail.sources.objects import ObjectReader, Stored
from pipetrail.stores.sqlite import JournalReader, Writer

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)

DISCOVERY_SECONDS = 60.0
_DISCOVERY_RETRY_SECONDS = 10.0
_JUDGE_SECONDS = 0.1
_REST_SECONDS = 0.25
_NAMESPACES = next(resource for resource in CORE if resource.plural == "namespaces")


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a cluster is recorded. Times in microseconds where not said otherwise."""

    name: str | None = None
    namespaces: tuple[str, ...] = ()
    event_ttl: Micros = 3_600_000_000
    resolvers: tuple[dict[str, Any], ...] = ()
    catalogue: Catalogue | None = None
    """What verdicts on runs are made with; without it none are made."""
    patience: Patience = Patience()
    discovery_seconds: float = DISCOVERY_SECONDS
    timing: Timing = DEFAULT_TIMING


class Following(msgspec.Struct):
    """One source and how it stands now."""

    resource: Resource
    namespace: str
    source: LiveSource
    watch: Watch
    state: str = "listing"
    reason: str = "not listed yet"
    since: Micros = 0
    missing_rights: tuple[str, ...] = ()
    task: asyncio.Task[None] | None = None


class ClusterRecorder:
    """Records one cluster until it is cancelled.

    :param now: the wall clock, in microseconds.
    """

    def __init__(
        self,
        login: Login,
        writer: Writer,
        journal: str,
        options: ClusterOptions,
        now: Callable[[], Micros],
    ) -> None:
        self._login = login
        self._writer = writer
        self._journal = journal
        self._options = options
        self._now = now
        self.id = options.name or ""
        self.label = options.name or ""
        self.following: dict[str, Following] = {}
        self.trouble = "not connected yet"
        self._known: dict[tuple[str, str], list[Stored]] = {}
        self._stored: dict[str, SourceState] = {}
        self._linking = Linking(options.resolvers, options.event_ttl)
        self._verdicts: Verdicts | None = None
        self._counts: Counts | None = None
        self._events: EventReader | None = None

    async def run(self) -> None:
        """Connect, find out what there is, and follow it; for ever.

        :raises LoginError: when the very first login fails: then the configuration is wrong, not the network.
        """
        await self._login.credentials()
        async with Api(self._login) as api, asyncio.TaskGroup() as tasks:
            await self._identify(api)
            await asyncio.to_thread(self._restore)
            if self._verdicts is not None:
                tasks.create_task(self._judge(self._verdicts), name=f"verdicts of {self.label}")
            while True:
                found_all = await self._discover(api, tasks)
                longest = self._options.discovery_seconds
                await asyncio.sleep(longest if found_all else min(longest, _DISCOVERY_RETRY_SECONDS))

    async def _identify(self, api: Api) -> None:
        wait = 0.5
        while True:
            try:
                found = await self._login.credentials()
                self.label = self.label or found.context or found.server
                # Also with a name of the user's this request is made: it says at once whether the server answers.
                uid = await discovery.cluster_uid(api)
                if not self.id:
                    address = hashlib.sha256(f"{found.ca or ''}\n{found.server}".encode()).hexdigest()[:32]
                    self.id = uid or address
                self.trouble = ""
                break
            except errors.Unauthorized as error:
                self.trouble = str(error)
                try:
                    await api.refresh()
                except LoginError as failed:
                    self.trouble = str(failed)
            except errors.ApiError as error:
                self.trouble = str(error)
            await asyncio.sleep(wait)
            wait = min(30.0, wait * 2)
        label, ttl = self.label, self._options.event_ttl
        await self._writer.ask(lambda journal: journal.name_cluster(self.id, label, ttl))

    def _restore(self) -> None:
        with JournalReader(self._journal) as reader:
            self._counts = restore_counts(reader, self.id, self._options.event_ttl, self._now())
            self._events = EventReader(self.id, self._counts)
            self._known = restore_objects(reader, self.id, self._now() - 2 * self._options.event_ttl)
            self._stored = {state.resource: state for state in reader.sources() if state.cluster == self.id}
            self._linking.restore(reader, self.id, self._now())
            options = self._options
            if options.catalogue is not None:
                found = Verdicts(self.id, options.catalogue, options.resolvers, options.patience, clock=time.monotonic)
                found.restore(reader, self._now())
                self._verdicts = found

    async def _judge(self, verdicts: Verdicts) -> None:
        """Look again and again at the runs that changed."""
        took = 0.0
        with JournalReader(self._journal) as reader:
            while True:
                # However much there is to judge, half of the time is left to recording.
                await asyncio.sleep(min(max(_JUDGE_SECONDS, took), _REST_SECONDS))
                began, now = time.monotonic(), self._now()
                if due := verdicts.due(now):
                    # What changed these runs must be there to be read; and a verdict need not wait for other events.
                    await self._writer.flush()
                    judged = await _to_the_end(verdicts.judge, reader, due, now)
                    for batch in verdicts.settle(judged):
                        await self._writer.put(batch)
                        await self._writer.flush()
                took = time.monotonic() - began

    async def _discover(self, api: Api, tasks: asyncio.TaskGroup) -> bool:
        """Follow what is served now and not followed yet. False where not all of it could be found out."""
        unclear: list[str] = []
        try:
            try:
                served, unclear = await discovery.discover(api)
            except errors.Unauthorized:
                await api.refresh()
                served, unclear = await discovery.discover(api)
        except errors.ApiError as error:
            # Discovery may be forbidden or out of order, the core kinds may work all the same.
            served = list(CORE)
            if isinstance(error, errors.Forbidden):
                _log.warning("Discovery is forbidden.", extra={"cluster": self.label, "reason": str(error)})
            else:
                unclear = [f"discovery: {error}"]
        self.trouble = "; ".join(unclear)
        for resource in served:
            namespaces = self._options.namespaces
            if namespaces and not resource.namespaced:
                continue
            for namespace in namespaces or ("",):
                name = f"{namespace}/{resource.key}" if namespace else resource.key
                known = self.following.get(name)
                if known is not None and known.task is not None and not known.task.done():
                    continue
                if known is None or known.resource != resource:  # it may have come back in another version
                    known = self.following[name] = self._follow(api, resource, namespace, known)
                known.task = tasks.create_task(self._supervise(name, known), name=f"{self.label} {name}")
        return not unclear

    def _follow(self, api: Api, resource: Resource, namespace: str, before: Following | None) -> Following:
        watch = Watch(api, resource, namespace=namespace, now=self._now, timing=self._options.timing)
        reader: EventReader | ObjectReader
        if before is not None:
            reader = before.source.reader
        elif resource is EVENTS:
            assert self._events is not None  # noqa: S101 (restored before anything is followed)
            reader = self._events
        else:
            reader = object_reader(self.id, resource.group, resource.api_version, resource.kind, self._known, namespace)
        source = LiveSource(
            self.id,
            resource,
            watch,
            reader,
            now=self._now,
            namespace=namespace,
            counts=self._counts if resource is EVENTS else None,
            vanished=lambda since: self._vanished(api, since),
        )
        return Following(resource, namespace, source, watch, since=self._now())

    async def _supervise(self, name: str, known: Following) -> None:
        """Run one source; a crash of it restarts it alone. Ends where the resource is gone, until it is found again."""
        stored = self._stored.get(name)
        position, alive_at = (stored.position, stored.alive_at) if stored else (None, None)
        while True:
            try:
                async for batch in known.source.batches(position, alive_at):
                    if batch.state is not None:
                        self._turn(known, batch.state)
                    linked = self._linking.link(batch)
                    await self._writer.put(*linked)
                    if self._verdicts is not None:
                        self._verdicts.note(linked, self._now())
                    position = batch.position or position
                    alive_at = batch.alive_at or alive_at
                # The place in a life that is over: when the resource comes back, its list begins a new one.
                self._stored[name] = SourceState(cluster=self.id, resource=name, alive_at=alive_at)
                return
            except Exception:
                _log.exception("A source failed; it is started again.", extra={"cluster": self.label, "source": name})
                batch = known.source.broken("an internal error; see the log")
                if batch.state is not None:
                    self._turn(known, batch.state)
                await self._writer.put(*self._linking.link(batch))
                await asyncio.sleep(5.0)

    def _turn(self, known: Following, state: SourceState) -> None:
        if state.state == known.state:
            pass  # at most another reason for the same: it goes to the status, the log has said it
        elif state.state in ("blind", "forbidden", "absent"):
            _log.warning(
                "A source is blind.", extra={"cluster": self.label, "source": state.resource, "reason": state.reason}
            )
        elif known.state in ("blind", "forbidden"):
            _log.info("A source sees again.", extra={"cluster": self.label, "source": state.resource})
        if (state.state == "watching") != (known.state == "watching"):
            known.since = self._now()
        known.state, known.reason, known.missing_rights = state.state, state.reason, state.missing_rights

    async def _vanished(self, api: Api, since: Micros) -> set[str] | None:
        """The uids of the namespaces that lived at a time and are gone now, or going: their Events go with them.

        None where that can't be known. With namespaced rights it need not be: these rights go with the namespace.
        """
        namespaces = self.following.get(_NAMESPACES.key)
        if namespaces is None or not isinstance(namespaces.source.reader, ObjectReader):
            return set()
        known = namespaces.source.reader.alive_at(since)
        try:
            found = await api.read(_NAMESPACES.path(), _NamespaceList, accept=_NAMESPACES.accept)
        except errors.ApiError:
            return None
        if not known:
            return None  # every cluster has namespaces: these were never seen
        return known - {item.metadata.uid for item in found.items if not _is_going(item.metadata, since)}

    def last_batches(self) -> list[Batch]:
        """What is stored when recording stops: that it did."""
        return [
            Batch(
                cluster=self.id,
                resource=name,
                alive_at=known.watch.alive_at if known.state == "watching" else None,
                state=SourceState(cluster=self.id, resource=name, state="stopped", missing_rights=known.missing_rights),
            )
            for name, known in self.following.items()
            if known.state != "absent"
        ]

    def blind(self) -> list[str]:
        """Why this cluster is not seen whole now; empty when it is. Kinds without rights stand in the status only."""
        if not self.following:
            return [f"{self.label or 'cluster'}: {self.trouble}"]
        trouble = [f"{self.label}: {self.trouble}"] if self.trouble else []
        return trouble + [
            f"{self.label}: {name}: {_public(known)}"
            for name, known in self.following.items()
            if known.state in ("listing", "blind") or (known.state == "forbidden" and known.resource is EVENTS)
        ]


async def _to_the_end(work: Callable[P, T], *arguments: P.args, **words: P.kwargs) -> T:
    """Run in a thread. Who is cancelled waits for it first: what the thread reads must not be closed under it."""
    thread = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **words))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


class _Item(wire.Wire):
    metadata: wire.Meta = msgspec.field(default_factory=wire.Meta)


def _public(known: Following) -> str:
    """Why a source is blind, without the server's words on who may not do what: those name accounts."""
    return "no right to list and watch" if known.state == "forbidden" else known.reason or known.state


def _is_going(meta: wire.Meta, since: Micros) -> bool:
    """Whether the deletion of a namespace was asked for after a time."""
    return meta.deletion_timestamp is not None and micros(meta.deletion_timestamp) >= since


class _NamespaceList(wire.Wire):
    items: list[_Item] = msgspec.field(default_factory=list)
