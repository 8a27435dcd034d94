"""The objects of the clusters as far as linking needs them: by uid, by name, by owner, by node, by claim, by group.

An object stays after its deletion, because its events arrive later than it goes, and because names are used again: who
bore a name at a certain time can be told only while those who bore it before are known.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from operator import attrgetter
from sys import intern
from typing import Any, Literal

from pipetrail.analysis import bodies
from pipetrail.analysis.bodies import Owner, Shell
from pipetrail.analysis.pool import Pool
from pipetrail.analysis.slots import gangs_of, shared_by, slot_of
from pipetrail.model import Micros, ObjectVersion
from pipetrail.model.times import SECOND

EARLY = 5 * SECOND
LATE = 120 * SECOND
"""How much before its creation and after its deletion an event may name an object: clocks differ, and events wait."""

_NOTHING: dict[str, str] = {}
_age = attrgetter("age")
_WHOLE_CORE = frozenset({("batch", "Job"), ("batch", "CronJob"), ("", "PersistentVolumeClaim")})
_BARE = frozenset({"", "apps"})  # groups whose kinds have no status that says anything about a run

Turn = Literal["", "begins", "ends"]
"""What an event tells of the object that it names."""

NEVER: Micros = 1 << 62
Age = tuple[Micros, Micros, str]
"""When an object was created, when it was deleted, and its uid."""

Key = tuple[str, ...]
"""Something that can be looked up in a cluster, and so can change what was found before."""


class Thing:
    """One object in one life."""

    __slots__ = (
        "age",
        "annotations",
        "claims",
        "created",
        "deleted",
        "deleting",
        "ends",
        "gang",
        "group",
        "ids",
        "is_pod",
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

    def __init__(self, group: str, kind: str, namespace: str, name: str, uid: str, created: Micros = 0) -> None:
        self.group = group
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.labels: dict[str, str] = _NOTHING
        self.annotations: dict[str, str] = _NOTHING
        self.owners: tuple[Owner, ...] = ()
        self.is_pod = kind == "Pod" and not group
        self.created = created
        self.age: Age = (created, NEVER, uid)
        """The elder of two comes first; kept, because objects are sorted by it often."""
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


class Cluster:
    """The objects of one cluster, and the ways to find them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.things: dict[str, Thing] = {}
        self.kinds: set[str] = set()
        self._lives: dict[tuple[str, str, str], Thing | list[Thing]] = {}
        self._listed: dict[Key, Thing | list[Thing]] = {}
        self._pool = Pool()

    def __len__(self) -> int:
        return len(self.things)

    def take(self, version: ObjectVersion) -> tuple[Thing, tuple[Key, ...]]:
        """Add or update an object; also returns what may be found differently now."""
        ref = version.ref
        thing = self.things.get(ref.uid)
        new = thing is None
        if thing is None:
            group = intern(ref.api_version.rpartition("/")[0])
            created = version.created_at or version.observed_at
            thing = Thing(group, intern(ref.kind), intern(ref.namespace), ref.name, ref.uid, created)
            self.things[thing.uid] = thing
            self.kinds.add(thing.kind)
            self._add_life(thing)
        changed, lists = new, None
        if version.body and (thing.seen_at is None or version.observed_at >= thing.seen_at):
            again, lists = self._read(thing, version)
            changed = again or changed
        if version.deleted_at is not None and thing.deleted is None:
            thing.deleted = version.deleted_at
            place = self._grow_old(thing)
            if not changed:
                # What it was does not change; who bore its name at a time may.
                return thing, (("name", thing.kind, thing.namespace, thing.name), *place)
        if not changed:
            return thing, ()
        if lists is None:
            return thing, self.keys(thing)
        return thing, (("uid", thing.uid), ("name", thing.kind, thing.namespace, thing.name), *lists)

    def keys(self, thing: Thing) -> tuple[Key, ...]:
        """All under which an object can be found."""
        return (("uid", thing.uid), ("name", thing.kind, thing.namespace, thing.name), *self._lists(thing))

    def _read(self, thing: Thing, version: ObjectVersion) -> tuple[bool, list[Key] | None]:
        """Take over a body; says whether what is looked at for links changed, and the lists if they were made."""
        whole = thing.group not in _BARE or (thing.group, thing.kind) in _WHOLE_CORE
        found = bodies.read(version.body, self._pool, pod=thing.is_pod, whole=whole)
        first = thing.seen_at is None
        thing.seen_at = version.observed_at
        used = None if first else shared_by(thing)
        old = [] if first or thing.is_pod else self._lists(thing)
        thing.shell, thing.status, thing.spec = found.shell, found.status, found.spec
        thing.deleting, thing.ends = found.deleting, found.ends
        created = found.created or version.created_at
        moved = created is not None and created != thing.created
        if not first:
            if (
                not moved
                and used == shared_by(thing)
                and thing.labels == found.labels
                and thing.annotations == found.annotations
                and (thing.owners, thing.node, thing.claims) == (found.owners, found.node, found.claims)
                and (thing.ids, thing.gang) == (found.ids, found.gang)
            ):
                return False, None
            if thing.is_pod:
                old = self._lists(thing)
        if moved and created is not None:
            # The lists are sorted by it.
            for key in old:
                self._drop(key, thing)
            old = []
            self._drop_life(thing)
            thing.created, thing.age = created, (created, *thing.age[1:])
            self._add_life(thing)
        thing.labels, thing.annotations = found.labels, found.annotations
        thing.owners, thing.node, thing.claims = found.owners, found.node, found.claims
        thing.ids, thing.gang = found.ids, found.gang
        slot = slot_of(thing)
        thing.slot = self._pool.items(slot) if slot is not None else None
        new = self._lists(thing)
        if old:
            before, after = set(old), set(new)
            for key in old:
                if key not in after:
                    self._drop(key, thing)
            for key in new:
                if key not in before:
                    self._add(key, thing)
        else:
            for key in new:
                self._add(key, thing)
        return True, new

    def _grow_old(self, thing: Thing) -> tuple[Key, ...]:
        """Sort anew one that was deleted: of two that were created in one second, the first was gone before the next.

        Returns its place, if it was given to another one in that second.
        """
        slot = thing.slot
        found = self._listed.get(slot) if slot is not None else None
        several = slot is not None and isinstance(found, list)
        if several and slot is not None:
            self._drop(slot, thing)
        self._drop_life(thing)
        thing.age = (thing.created, thing.deleted or NEVER, thing.uid)
        self._add_life(thing)
        if several and slot is not None:
            self._add(slot, thing)
            others = self._listed[slot]
            if isinstance(others, list):
                near = bisect_left(others, thing.age, key=_age)
                if any(
                    other is not thing and other.created == thing.created
                    for other in others[max(near - 1, 0) : near + 2]
                ):
                    return (slot,)
        return ()

    def _lists(self, thing: Thing) -> list[Key]:
        """The lists in which this object stands."""
        owners = thing.owners
        keys: list[Key] = [("child", owner.uid) for owner in (owners if len(owners) < 2 else dict.fromkeys(owners))]
        if thing.slot is not None:
            keys.append(thing.slot)
        if thing.is_pod:
            if thing.node:
                keys.append(("node", thing.node))
            if thing.claims:
                keys += [("claim", thing.namespace, claim) for claim in dict.fromkeys(thing.claims)]
            keys += [("gang", thing.namespace, name) for name in gangs_of(thing)]
        elif used := shared_by(thing):
            keys.append(used)
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
        if isinstance(found, Thing):
            return (found,)
        found.sort(key=_age)  # nearly always done already
        return found

    def ordinal(self, thing: Thing) -> int | None:
        """The how manieth this object is of those that took the same place, from 1."""
        if thing.slot is None:
            return None
        found = self._listed.get(thing.slot)
        if not isinstance(found, list):
            return 1 if found is thing else None
        place = bisect_left(found, thing.age, key=_age)
        return place + 1 if place < len(found) and found[place] is thing else None

    def forget(self, before: Micros) -> int:
        """Drop what was deleted before a time; returns how many objects that were."""
        gone = {thing for thing in self.things.values() if thing.deleted is not None and thing.deleted < before}
        for thing in gone:
            del self.things[thing.uid]
            self._drop_life(thing)
        # Each list once: taken out one by one, the pods of a busy node would cost the square of their number.
        for key in {key for thing in gone for key in self._lists(thing)}:
            found = self._listed.get(key)
            left = [thing for thing in found if thing not in gone] if isinstance(found, list) else []
            if left:
                self._listed[key] = left
            else:
                self._listed.pop(key, None)
        return len(gone)

    def _add(self, key: Key, thing: Thing) -> None:
        found = self._listed.get(key)
        if found is None:
            self._listed[key] = thing
        elif isinstance(found, Thing):
            if found is not thing:
                self._listed[key] = sorted((found, thing), key=_age)
        elif key[0] != "slot" or found[-1].age < thing.age:
            found.append(thing)
        else:
            # The order in a slot is asked for as often as it changes.
            insort(found, thing, key=_age)

    def _drop(self, key: Key, thing: Thing) -> None:
        found = self._listed.get(key)
        if found is thing:
            del self._listed[key]
        elif isinstance(found, list):
            place = bisect_left(found, thing.age, key=_age) if key[0] == "slot" else len(found)
            if place < len(found) and found[place] is thing:
                del found[place]
            elif thing in found:
                found.remove(thing)
            if not found:
                del self._listed[key]

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
