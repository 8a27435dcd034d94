"""One run out of a journal, without the rest of it: its events, the objects that they name, and what is around those.

From the run's number to its events, from those to the uids of its objects, from those up to their owners: each step is
a question that an index answers, so that the size of the journal counts little.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Case
from pipetrail.analysis.diagnosis.gathering import beside, gathered
from pipetrail.analysis.linking import Linker
from pipetrail.analysis.members import Members, members_of
from pipetrail.analysis.resolvers import resolvers
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.standing import STUCK, ZOMBIE
from pipetrail.analysis.world import Thing
from pipetrail.app.refusals import explained
from pipetrail.model import Event, Gap, Micros, ObjectQuery, ObjectVersion, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader

BEFORE = 1800 * SECOND
"""What went wrong with a node or a claim may have begun so long before the run."""

_AFTER = 60 * SECOND
_LONGEST = 6 * 3600 * SECOND  # of a run that takes days, what was around it is read of its last hours
_DEPTH = 10
_PART = 500  # uids in one statement
_NAMED = 200  # objects around it, by name
_PARTY = ("Node", "NodeClaim", "PersistentVolumeClaim", "ConfigMap", "ClusterQueue", "LocalQueue")
_AUTOSCALER = "cluster-autoscaler-status"
_QUEUES = ("LocalQueue", "ClusterQueue", "Queue")


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run may wait without a change, and run without a living pod. None: for ever."""

    stuck_after: Micros | None = STUCK
    zombie_after: Micros | None = ZOMBIE


class Read(msgspec.Struct, frozen=True):
    """A run as it was read: the case that it makes, and its objects with their links."""

    case: Case
    things: Members


class RunReader:
    """Reads runs out of a journal, as they are known now or were at some time.

    :param now: the wall clock; what a cluster was last known to do counts instead, if that is before.
    :param at: answer as of this time: what was observed later is left out. None: all counts.
    :param configured: what the configuration says of in-house systems.
    :raises ValueError: when a resolver of the configuration does not have its form.
    """

    def __init__(
        self,
        reader: JournalReader,
        now: Micros,
        configured: Sequence[dict[str, Any]] = (),
        *,
        at: Micros | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.reader = reader
        self.at = at
        self.configured = tuple(configured)
        self._resolvers = resolvers(configured)
        self._patience = patience if patience is not None else Patience()
        self.sources = reader.sources()
        seen: dict[str, Micros] = {}
        for state in self.sources:
            seen[state.cluster] = max(seen.get(state.cluster, 0), state.alive_at or 0, state.last_event_at or 0)
        latest = min(now, at) if at is not None else now
        self._now = {cluster: min(latest, last or latest) for cluster, last in seen.items()}
        self._latest = latest

    @property
    def clusters(self) -> list[str]:
        """All clusters of the journal."""
        return list(self._now)

    def now(self, cluster: str) -> Micros:
        """Up to when a cluster is known."""
        return self._now.get(cluster, self._latest)

    def run(self, cluster: str, id_: str) -> Read | None:
        """A run by its id; None where no object of it is known."""
        events = self.events(Query(clusters=(cluster,), runs=(id_,)))
        loaded = _Loaded(self, cluster, Linker(self._resolvers))
        own = {link.pod_uid for event in events for link in event.links if link.run == id_ and link.pod_uid}
        own |= {
            event.about.uid
            for event in events
            if any(link.run == id_ and link.rel == "subject" for link in event.links)
        }
        own.add(id_)  # of most systems it is the uid of the root
        loaded.uids(own)
        return self._read(cluster, id_, events, loaded)

    def runs_with(self, cluster: str, versions: Sequence[ObjectVersion]) -> dict[str, set[str]]:
        """The ids of the runs that some objects of a cluster belong to, each with the uids of these objects."""
        loaded = _Loaded(self, cluster, Linker(self._resolvers))
        loaded.uids({version.ref.uid for version in versions})
        found: dict[str, set[str]] = {}
        for version in versions:
            thing = loaded.things.get(version.ref.uid)
            for link in loaded.linker.placement(thing, cluster=cluster).links if thing is not None else ():
                if link.rel == "subject":
                    found.setdefault(link.run, set()).add(version.ref.uid)
        return found

    def _read(self, cluster: str, id_: str, events: list[Event], loaded: "_Loaded") -> Read | None:
        now, patience = self.now(cluster), self._patience
        loaded.names(_pods_nodes(loaded.things.values()), ("Node",))
        told = runs(loaded.linker, now=now, stuck_after=patience.stuck_after, zombie_after=patience.zombie_after)
        found = explained(self.reader, [run for run in told if run.id == id_], now)
        if not found:
            return None
        run = found[0]
        members = members_of(loaded.linker, found)[cluster, id_]
        for namespace, names in _claims(thing for thing, _ in members).items():
            loaded.names(names, ("PersistentVolumeClaim",), namespace)
        loaded.names([run.queue] if run.queue else [], _QUEUES)
        objects = [thing for thing, _ in members]
        around = list(beside(loaded.linker.world.cluster(cluster), objects))
        case = gathered(
            loaded.linker,
            run,
            _merged(events, self._beside(run, around, now)),
            now=now,
            objects=objects,
            bodies=loaded.bodies,
            gaps=[gap for gap in self.reader.gaps(cluster) if _near(gap, run, now)],
            sources=self.sources,
        )
        return Read(case, members)

    def _beside(self, run: Run, around: Iterable[Thing], now: Micros) -> list[Event]:
        """The events of the nodes, claims and queues of a run, and of the autoscaler, about its time."""
        until = _end(run, now) + _AFTER
        since = max(run.created or 0, until - _LONGEST) - BEFORE
        names = {thing.name for thing in around if thing.kind in _PARTY} | set(run.nodes)
        named = (*sorted(names)[:_NAMED], _AUTOSCALER)
        return self.events(Query(clusters=(run.cluster,), kinds=_PARTY, names=named, since=since, until=until + 1))

    def events(self, query: Query) -> list[Event]:
        """Events as they were known then, without verdicts."""
        at = self.at
        if at is None:
            return [event for event in self.reader.events(query) if event.origin != "verdict"]
        query = msgspec.structs.replace(query, until=min(at + 1, query.until or at + 1))
        found = self.reader.events(query)
        return [event for event in found if event.observed_at <= at and event.origin != "verdict"]

    def versions(self, query: ObjectQuery) -> Iterable[ObjectVersion]:
        """Objects as they were known then."""
        at = self.at
        if at is None:
            return self.reader.objects(query)
        every = self.reader.objects(msgspec.structs.replace(query, versions=True))
        return [version for version in every if version.observed_at <= at]


class _Loaded:
    """The objects of one cluster that were read for a run."""

    def __init__(self, runs_: RunReader, cluster: str, linker: Linker) -> None:
        self._read: Callable[[ObjectQuery], Iterable[ObjectVersion]] = runs_.versions
        self._cluster = cluster
        self.linker = linker
        self.bodies: dict[str, bytes] = {}
        self._asked: set[str] = set()

    @property
    def things(self) -> dict[str, Thing]:
        return self.linker.world.cluster(self._cluster).things

    def uids(self, wanted: set[str]) -> None:
        """Read objects, and up from them to whatever they belong to."""
        for _ in range(_DEPTH):
            missing = {uid for uid in wanted if uid} - self._asked
            if not missing:
                return
            self._asked |= missing
            ordered = sorted(missing)
            for start in range(0, len(ordered), _PART):
                part = tuple(ordered[start : start + _PART])
                self._take(self._read(ObjectQuery(clusters=(self._cluster,), uids=part)))
            wanted = {owner.uid for uid in missing if uid in self.things for owner in self.things[uid].owners}

    def names(self, names: Iterable[str], kinds: tuple[str, ...], namespace: str = "") -> None:
        """Read objects of these names, all of them that ever were."""
        wanted = tuple(sorted({name for name in names if name and not name.endswith("*")}))[:_NAMED]
        if wanted:
            spaces = (namespace,) if namespace else ()
            self._take(self._read(ObjectQuery(clusters=(self._cluster,), kinds=kinds, names=wanted, namespaces=spaces)))

    def _take(self, versions: Iterable[ObjectVersion]) -> None:
        for version in versions:
            self.linker.see(version)
            if version.body:
                self.bodies[version.ref.uid] = version.body


def _end(run: Run, now: Micros) -> Micros:
    return run.finished if run.finished is not None else now


def _near(gap: Gap, run: Run, now: Micros) -> bool:
    """Whether something of the run, or of what went before it, may be missing for this gap."""
    return gap.until >= (run.created or 0) - BEFORE and (gap.since or 0) <= min(now, _end(run, now) + _AFTER)


def _pods_nodes(things: Iterable[Thing]) -> list[str]:
    return [thing.node for thing in things if thing.is_pod and thing.node]


def _claims(things: Iterable[Thing]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for thing in things:
        if thing.claims:
            found.setdefault(thing.namespace, []).extend(thing.claims)
    return found


def _merged(first: list[Event], second: list[Event]) -> list[Event]:
    """Both, each event once, in the order of time."""
    known = {event.seq for event in first}
    return sorted([*first, *(event for event in second if event.seq not in known)], key=lambda one: (one.at, one.seq))
