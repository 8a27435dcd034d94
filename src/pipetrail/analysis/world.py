"""The objects of the clusters as far as linking needs them: by uid, by name, by owner, by node, by claim, by group.

An object stays after its deletion, because its events arrive later than it goes, and because names are used again: who
bore a name at a certain time can be told only while those who bore it before are known.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Any, Literal

from pipetrail.analysis import bodies
from pipetrail.analysis.bodies import Owner, Shell
from pipetrail.analysis.slots import slot_of
from pipetrail.model import Micros, ObjectVersion
from pipetrail.model.times import SECOND

EARLY = 5 * SECOND
LATE = 120 * SECOND
"""How much before its creation and after its deletion an event may name an object: clocks differ, and events wait."""

_NOTHING: dict[str, str] = {}
_WHOLE_CORE = frozenset({("batch", "Job"), ("batch", "CronJob")})
_BARE = frozenset({"", "apps"})  # groups whose kinds have no status that says anything about a run

Turn = Literal["", "begins", "ends"]
"""What an event tells of the object that it names."""

Key = tuple[str, ...]
"""Something that can be looked up in a cluster, and so can change what was found before."""


class Thing:
    """One object in one life."""

    __slots__ = (
        "annotations",
        "claims",
        "created",
        "deleted",
        "deleting",
        "ends",
        "gang",
        "group",
        "ids",
        "kind",
        "labels",
        "name",
        "namespace",
        "node",
        "owners",
        "placement",
        "seen_at",
        "shell",
        "slot",
        "spec",
        "status",
        "uid",
    )

    def __init__(self, group: str, kind: str, namespace: str, name: str, uid: str) -> None:
        self.group = group
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.labels: dict[str, str] = _NOTHING
        self.annotations: dict[str, str] = _NOTHING
        self.owners: tuple[Owner, ...] = ()
        self.created: Micros = 0
        self.deleted: Micros | None = None
        self.deleting: Micros | None = None
        self.node = ""
        self.claims: tuple[str, ...] = ()
        self.ids: tuple[tuple[str, str], ...] = ()
        self.gang = ""
        self.ends = False
        self.shell: Shell | None = None
        self.spec: dict[str, Any] | None = None
        self.status: dict[str, Any] | None = None
        self.slot: Key | None = None
        self.seen_at: Micros | None = None
        self.placement: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.namespace}/{self.name} {self.uid}>"

    def bore_its_name_at(self, at: Micros) -> bool:
        """Whether an event of that time can be about this one, if it names it by name only."""
        return self.created - EARLY <= at and (self.deleted is None or at <= self.deleted + LATE)

    def ran_at(self, at: Micros) -> bool:
        """Whether this pod was on its node at that time: bound to it, not yet over and not yet deleted."""
        shell = self.shell
        since, until = self.created, self.deleted
        if shell is not None:
            since = shell.bound_at or since
            if shell.finished_at is not None:
                until = min(until, shell.finished_at) if until is not None else shell.finished_at
        return since <= at and (until is None or at <= until)

    def ended_near(self, at: Micros) -> bool:
        """Whether its containers ended, or it was deleted, about then."""
        finished = self.shell.finished_at if self.shell is not None else None
        return any(end is not None and abs(end - at) <= EARLY for end in (finished, self.deleting, self.deleted))

    @property
    def is_pod(self) -> bool:
        """Whether it is a core Pod."""
        return self.kind == "Pod" and not self.group


class Cluster:
    """The objects of one cluster, and the ways to find them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.things: dict[str, Thing] = {}
        self.kinds: set[str] = set()
        self._lives: dict[tuple[str, str, str], Thing | list[Thing]] = {}
        self._listed: dict[Key, Thing | list[Thing]] = {}

    def __len__(self) -> int:
        return len(self.things)

    def take(self, version: ObjectVersion) -> tuple[Thing, tuple[Key, ...]]:
        """Add or update an object; also returns what may be found differently now."""
        ref = version.ref
        thing = self.things.get(ref.uid)
        new = thing is None
        if thing is None:
            group = intern(ref.api_version.rpartition("/")[0])
            thing = Thing(group, intern(ref.kind), intern(ref.namespace), intern(ref.name), intern(ref.uid))
            thing.created = version.created_at or version.observed_at
            self.things[thing.uid] = thing
            self.kinds.add(thing.kind)
            self._add_life(thing)
        changed, lists = new, None
        if version.body and (thing.seen_at is None or version.observed_at >= thing.seen_at):
            again, lists = self._read(thing, version)
            changed = again or changed
        if version.deleted_at is not None and thing.deleted is None:
            thing.deleted = version.deleted_at
            if not changed:
                # What it was does not change; who bore its name at a time may.
                return thing, (("name", thing.kind, thing.namespace, thing.name),)
        if not changed:
            return thing, ()
        lists = self._lists(thing) if lists is None else lists
        return thing, (("uid", thing.uid), ("name", thing.kind, thing.namespace, thing.name), *lists)

    def _read(self, thing: Thing, version: ObjectVersion) -> tuple[bool, list[Key] | None]:
        """Take over a body; says whether what is looked at for links changed, and the lists if they were made."""
        whole = thing.group not in _BARE or (thing.group, thing.kind) in _WHOLE_CORE
        found = bodies.read(version.body, pod=thing.is_pod, whole=whole)
        first = thing.seen_at is None
        thing.seen_at = version.observed_at
        created = found.created or version.created_at
        before = (thing.labels, thing.annotations, thing.owners, thing.node, thing.claims, thing.ids, thing.gang)
        used = _used(thing)
        thing.shell, thing.status, thing.spec = found.shell, found.status, found.spec
        thing.deleting, thing.ends = found.deleting, found.ends
        if created is not None and created != thing.created:
            self._drop_life(thing)
            thing.created = created
            self._add_life(thing)
            first = True
        labels, annotations = found.labels or _NOTHING, found.annotations or _NOTHING
        after = (labels, annotations, found.owners, found.node, found.claims, found.ids, found.gang)
        if not first and before == after:
            return used != _used(thing), None
        old = set(self._lists(thing)) if not first else set()
        # Equal parts of two versions stay one object in memory.
        if labels != thing.labels:
            thing.labels = labels
        if annotations != thing.annotations:
            thing.annotations = annotations
        thing.owners, thing.node, thing.claims = found.owners, found.node, found.claims
        thing.ids, thing.gang = found.ids, found.gang
        thing.slot = slot_of(thing)
        new = self._lists(thing)
        for key in old.difference(new):
            self._drop(key, thing)
        for key in new:
            if key not in old:
                self._add(key, thing)
        return True, new

    def _lists(self, thing: Thing) -> list[Key]:
        """The lists in which this object stands."""
        keys: list[Key] = [("child", owner.uid) for owner in dict.fromkeys(thing.owners)]
        if thing.slot is not None:
            keys.append(thing.slot)
        if thing.is_pod:
            if thing.node:
                keys.append(("node", thing.node))
            keys.extend(("claim", thing.namespace, claim) for claim in dict.fromkeys(thing.claims))
            keys.extend(("gang", thing.namespace, name) for name in _gangs(thing))
        used = _used(thing)
        if used:
            keys.append(("uses", thing.namespace, used))
        return keys

    def named(self, kind: str, namespace: str, name: str) -> Iterator[Thing]:
        """Those that bore this name, the newest first."""
        found = self._lives.get((kind, namespace, name))
        if found is None:
            return iter(())
        return iter((found,)) if isinstance(found, Thing) else reversed(found)

    def at(
        self, kind: str, namespace: str, name: str, at: Micros, group: str | None = None, *, turn: Turn = ""
    ) -> Thing | None:
        """Who bore this name at a time: one not yet deleted then before one that was, else the newest.

        Times are of whole seconds, in which one may go and the next come. So what is told of a beginning is about one
        that began then or about none that is known yet, and what is told of an end about one that ended then, if any.
        """
        best: Thing | None = None
        lived: Thing | None = None
        for thing in self.named(kind, namespace, name):
            if group is not None and thing.group != group:
                continue
            if turn == "begins":
                if abs(thing.created - at) <= EARLY:
                    return thing
                continue
            if thing.bore_its_name_at(at):
                if turn == "ends" and thing.ended_near(at):
                    return thing
                if lived is None and thing.created <= at and (thing.deleted is None or at <= thing.deleted):
                    lived = thing
                    if not turn:
                        return thing
                best = best or thing
        return lived or best

    def listed(self, key: Key) -> Iterable[Thing]:
        """The objects that stand under a key, the eldest first: ``("child", uid)``, ``("node", name)`` and so on."""
        found = self._listed.get(key)
        if found is None:
            return ()
        return (found,) if isinstance(found, Thing) else found

    def ordinal(self, thing: Thing) -> int | None:
        """The how manieth this object is of those that took the same place, from 1."""
        if thing.slot is None:
            return None
        found = self._listed.get(thing.slot)
        if not isinstance(found, list):
            return 1 if found is thing else None
        place = bisect_left(found, _age(thing), key=_age)
        return place + 1 if place < len(found) and found[place] is thing else None

    def forget(self, before: Micros) -> int:
        """Drop what was deleted before a time; returns how many objects that were."""
        gone = [thing for thing in self.things.values() if thing.deleted is not None and thing.deleted < before]
        for thing in gone:
            del self.things[thing.uid]
            self._drop_life(thing)
            for key in self._lists(thing):
                self._drop(key, thing)
        return len(gone)

    def _add(self, key: Key, thing: Thing) -> None:
        found = self._listed.get(key)
        if found is None:
            self._listed[key] = thing
        elif isinstance(found, Thing):
            if found is not thing:
                self._listed[key] = sorted((found, thing), key=_age)
        elif _age(found[-1]) < _age(thing):
            found.append(thing)
        else:
            insort(found, thing, key=_age)

    def _drop(self, key: Key, thing: Thing) -> None:
        found = self._listed.get(key)
        if found is thing:
            del self._listed[key]
        elif isinstance(found, list) and thing in found:
            found.remove(thing)

    def _add_life(self, thing: Thing) -> None:
        key = (thing.kind, thing.namespace, thing.name)
        found = self._lives.get(key)
        if found is None:
            self._lives[key] = thing
        elif isinstance(found, Thing):
            self._lives[key] = sorted((found, thing), key=_age)
        else:
            insort(found, thing, key=_age)

    def _drop_life(self, thing: Thing) -> None:
        key = (thing.kind, thing.namespace, thing.name)
        found = self._lives.get(key)
        if isinstance(found, list):
            found.remove(thing)
        elif found is thing:
            del self._lives[key]


class World:
    """All clusters."""

    def __init__(self) -> None:
        self.clusters: dict[str, Cluster] = {}

    def __len__(self) -> int:
        return sum(map(len, self.clusters.values()))

    def cluster(self, name: str) -> Cluster:
        """The objects of one cluster."""
        found = self.clusters.get(name)
        if found is None:
            found = self.clusters[name] = Cluster(name)
        return found

    def see(self, version: ObjectVersion) -> Thing:
        """Add or update one object. Versions may come in any order, and the tombstone before the rest."""
        return self.cluster(version.cluster).take(version)[0]


def _age(thing: Thing) -> tuple[Micros, str]:
    return thing.created, thing.uid


def _gangs(thing: Thing) -> set[str]:
    """The groups that this pod is scheduled with."""
    labels, annotations = thing.labels, thing.annotations
    found = {
        thing.gang,
        annotations.get("scheduling.k8s.io/group-name", ""),
        annotations.get("pod-group-name", ""),
        annotations.get("kueue.x-k8s.io/workload", ""),
        labels.get("scheduling.x-k8s.io/pod-group", ""),
        labels.get("kueue.x-k8s.io/pod-group-name", ""),
    }
    found.discard("")
    return found


def _used(thing: Thing) -> str:
    """The RayCluster that a RayJob runs on: the only object that runs share by naming it in their status."""
    if thing.kind == "RayJob" and thing.status:
        name = thing.status.get("rayClusterName")
        return name if isinstance(name, str) else ""
    return ""
