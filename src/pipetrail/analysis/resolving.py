"""From an object to its run: up along owners and the labels that stand for owners, and what is met on the way.

Every object on the way is shown to the resolvers that want it. The lowest tier among their answers names the run; what
says step, attempt and replica is taken from that system first, then from what the run is made of, the nearest first.
What was looked up is noted, so that a later object that would change the answer is recognised.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.bodies import Owner
from pipetrail.analysis.placing import (
    BY_TIME,
    ORCHESTRATOR,
    RANK,
    TRAINING,
    UNKNOWN,
    WORKFLOW,
    Confidence,
    Identity,
    Place,
    Resolver,
    Tie,
)
from pipetrail.analysis.world import Cluster, Key, Thing, Turn
from pipetrail.model import Link, Micros

DEPTH = 32
"""How far up owners are followed: real chains have five; anything deeper is a mistake or an attack."""
_MOST = 128  # objects on the way up
_MEMBERS = 16  # members of a group, and children, that are asked
_GANGS = frozenset({"PodGroup", "Workload", "PodGang"})
_UID_IN_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Met(msgspec.Struct, gc=False):
    """One object on the way up, and how it was reached."""

    thing: Thing
    depth: int
    via: str
    confidence: Confidence
    sideways: bool = False
    """Reached through members: it tells the run, not the place."""
    above: list[int] = []
    """The places of its parents on the way."""


class Placement(msgspec.Struct, gc=False):
    """What is known of one object: its links, and whether a later object may add to them."""

    links: tuple[Link, ...]
    complete: bool
    turns: str = ""
    """The uid of the object whose pods count the attempts, where that changes while it stays."""
    shared: tuple[Key, ...] = ()
    """Things on the way that other runs may use at the same time."""
    tier: int = 99


class Named(msgspec.Struct, frozen=True, gc=False):
    """An identity, and the place on the way up of the object that gave it."""

    tier: int
    at: int
    identity: Identity


class Answer(msgspec.Struct):
    """A placement, and how it was found."""

    placement: Placement
    identities: list[Named]
    met: list[Met]


class Sight:
    """What one resolution looks at; implements :class:`~pipetrail.analysis.placing.Look`."""

    def __init__(self, cluster: Cluster, titles: dict[tuple[str, str], str]) -> None:
        self.cluster = cluster
        self.titles = titles
        self.keys: set[Key] = set()
        self.missed = False
        """Something was looked for in vain."""
        self.open = False
        """Something was found by its name: who bore it then may turn out to be another."""

    def by_uid(self, uid: str) -> Thing | None:
        """The object of a uid."""
        self.keys.add(("uid", uid))
        return self.cluster.things.get(uid)

    def named(
        self, kind: str, namespace: str, name: str, at: Micros, group: str | None = None, *, turn: Turn = ""
    ) -> Thing | None:
        """Who bore this name at a time; ``turn`` where it is about a beginning or an end."""
        self.keys.add(("name", kind, namespace, name))
        found = self.cluster.at(kind, namespace, name, at, group, turn=turn)
        self.missed |= found is None
        self.open = True
        return found

    def listed(self, key: Key) -> Iterable[Thing]:
        """The objects under a key of the cluster."""
        self.keys.add(key)
        return self.cluster.listed(key)

    def owner(self, thing: Thing, kind: str) -> Thing | None:
        """The owner of that kind; one that is not known, as far as the reference describes it."""
        for reference in thing.owners:
            if reference.kind == kind:
                return self.referred(reference, thing.namespace)
        return None

    def referred(self, owner: Owner, namespace: str) -> Thing:
        """The object of an owner reference, or a stand-in that has only what the reference says."""
        found = self.by_uid(owner.uid) if owner.uid else None
        if found is None:
            self.missed = True
            return Thing(owner.group, owner.kind, namespace, owner.name, owner.uid)
        if found.seen_at is None:
            self.missed = True
        return found

    def ordinal(self, thing: Thing) -> int | None:
        """The how manieth of its place this object is, from 1."""
        if thing.slot is None:
            return None
        self.keys.add(thing.slot)
        return self.cluster.ordinal(thing)

    def elders(self, thing: Thing) -> list[Thing]:
        """The objects of the same place up to this one, the eldest first."""
        if thing.slot is None:
            return [thing]
        found: list[Thing] = []
        for other in self.listed(thing.slot):
            found.append(other)
            if other is thing:
                break
        return found

    def title(self, system: str, id_: str) -> str:
        """The best name known of a run."""
        self.keys.add(("title", system, id_))
        return self.titles.get((system, id_), "")


class Resolvers:
    """All resolvers, found by the kinds and keys that they want to see."""

    def __init__(self, resolvers: Sequence[Resolver]) -> None:
        self.all = tuple(resolvers)
        self._by_kind: dict[tuple[str, str], list[Resolver]] = {}
        self._by_key: dict[str, list[Resolver]] = {}
        self.ties: dict[str, list[Tie]] = {}
        for resolver in resolvers:
            for kind in resolver.kinds:
                self._by_kind.setdefault(kind, []).append(resolver)
            for key in resolver.keys:
                self._by_key.setdefault(key, []).append(resolver)
            for key, tie in resolver.ties.items():
                self.ties.setdefault(key, []).append(tie)
        self.titled: tuple[Any, ...] = tuple(resolver for resolver in resolvers if hasattr(resolver, "title"))
        self.marked: tuple[Any, ...] = tuple(resolver for resolver in resolvers if hasattr(resolver, "marked"))

    def of(self, thing: Thing) -> list[Resolver]:
        """The resolvers that want to see an object."""
        found = dict.fromkeys(self._by_kind.get((thing.group, thing.kind), ()))
        by_key = self._by_key
        for keys in (thing.labels, thing.annotations):
            for key in keys:
                if key in by_key:
                    found.update(dict.fromkeys(by_key[key]))
        for key, _ in thing.ids:
            found.update(dict.fromkeys(by_key.get(key, ())))
        return list(found)

    def resolve(self, thing: Thing, sight: Sight) -> Placement:
        """Where an object belongs."""
        return self.answer(thing, sight).placement

    def answer(self, thing: Thing, sight: Sight) -> Answer:
        """The same, with how it was found: too much to keep for every object."""
        met = self._way_up(thing, sight)
        identities: list[Named] = []
        places: list[tuple[int, int, Place]] = []
        turns = ""
        several = sum(1 for entry in met if entry.depth == 1 and entry.thing.is_pod) > 1
        for at, entry in enumerate(met):
            for resolver in self.of(entry.thing):
                identity = resolver.identity(entry.thing, sight)
                if identity is not None:
                    identities.append(Named(resolver.tier, at, self._weighed(identity, entry)))
                if not entry.sideways and not (several and entry.depth):
                    place = resolver.place(entry.thing, sight)
                    if place is not None:
                        if entry.depth and entry.thing.is_pod:
                            place = Place(step=place.step, run_attempt=place.run_attempt)
                        if place.attempt == BY_TIME:
                            turns = turns or entry.thing.uid
                        places.append((resolver.tier or 99, entry.depth, place))
        if all(named.tier >= TRAINING or not named.tier for named in identities):
            identities += self._below(thing, sight)
        chosen = _chosen(identities, met)
        shared = tuple(
            ("uses", entry.thing.namespace, entry.thing.name)
            for entry in met
            if entry.thing.kind == "RayCluster" and entry.thing.group == "ray.io"
        )
        sight.keys.update(shared)
        placement = Placement(
            links=_links(thing, chosen, places),
            complete=not sight.missed,
            turns="" if thing.is_pod else turns,
            shared=shared,
            tier=min((named.tier for named in identities), default=99),
        )
        return Answer(placement, identities, met)

    def _weighed(self, identity: Identity, entry: Met) -> Identity:
        confidence, via = identity.confidence, identity.via
        if via == "kind":
            via = entry.via
        if RANK[entry.confidence] < RANK[confidence]:
            confidence = entry.confidence
        if entry.thing.seen_at is None and identity.via == "kind" and confidence == "exact":
            # Not in the store: what owns it, and so the run, is not known yet.
            confidence = "strong"
        return msgspec.structs.replace(identity, confidence=confidence, via=via)

    def _way_up(self, thing: Thing, sight: Sight) -> list[Met]:
        """The object and all above it, breadth first, controllers before other owners, each once."""
        met = [Met(thing, 0, "uid", "exact")]
        seen = {thing.uid: 0} if thing.uid else {}
        for entry in met:
            if entry.depth >= DEPTH or len(met) >= _MOST:
                break
            for parent, via, confidence, sideways in self._parents(entry.thing, sight):
                key = parent.uid or f"{parent.kind}/{parent.namespace}/{parent.name}"
                if key in seen:
                    entry.above.append(seen[key])
                    continue
                seen[key] = len(met)
                entry.above.append(len(met))
                worse = confidence if RANK[confidence] < RANK[entry.confidence] else entry.confidence
                met.append(Met(parent, entry.depth + 1, via, worse, sideways or entry.sideways))
        return met

    def _parents(self, thing: Thing, sight: Sight) -> Iterable[tuple[Thing, str, Confidence, bool]]:
        owners = thing.owners
        if len(owners) > 1:
            owners = tuple(sorted(owners, key=lambda owner: not owner.controller)[:_MEMBERS])
        for owner in owners:
            yield sight.referred(owner, thing.namespace), "owner", "exact", False
        for keys in (thing.labels, thing.annotations):
            for key in keys:
                for tie in self.ties.get(key, ()):
                    found = self._tied(thing, keys, key, tie, sight)
                    if found is not None:
                        yield found, "label", "exact" if tie.uid else "strong", False
        if thing.kind in _GANGS and not owners:
            yield from self._of_gang(thing, sight)

    def _tied(self, thing: Thing, keys: dict[str, str], key: str, tie: Tie, sight: Sight) -> Thing | None:
        value = keys[key]
        if tie.uid:
            if thing.uid == value or not value:
                return None
            owner = Owner(f"{tie.group}/v1" if tie.group else "v1", tie.kind, keys.get(tie.name, ""), value, None)
            return sight.referred(owner, thing.namespace)
        if not value or any(owner.kind == tie.kind and owner.name == value for owner in thing.owners):
            return None
        if thing.kind == tie.kind and thing.name == value:
            return None
        return sight.named(tie.kind, thing.namespace, value, thing.created, tie.group)

    def _of_gang(self, thing: Thing, sight: Sight) -> Iterable[tuple[Thing, str, Confidence, bool]]:
        """A group without an owner: its members know the run; else its name may hold the uid of what it is for."""
        members = list(sight.listed(("gang", thing.namespace, thing.name)))
        for member in members[:_MEMBERS]:
            yield member, "group", "strong", True
        if not members:
            sight.missed = True
            for uid in _UID_IN_NAME.findall(thing.name):
                found = sight.by_uid(uid)
                if found is not None and found.uid != thing.uid:
                    yield found, "name", "strong", True

    def _below(self, thing: Thing, sight: Sight) -> list[Named]:
        """What the children say of a run that the object itself does not know; nothing unless they agree."""
        found: dict[tuple[str, str], Named] = {}
        level = [thing]
        for _ in range(3):
            below: list[Thing] = []
            for parent in level:
                if parent.uid and not parent.is_pod:
                    children = sight.listed(("child", parent.uid))
                    below += [child for _, child in zip(range(_MEMBERS), children, strict=False)]
            for child in below:
                for resolver in self.of(child):
                    if resolver.tier not in (ORCHESTRATOR, WORKFLOW):
                        continue
                    identity = resolver.identity(child, sight)
                    if identity is not None and identity.via != "kind":
                        identity = msgspec.structs.replace(identity, confidence="strong", via="member")
                        found.setdefault((identity.system, identity.id), Named(resolver.tier, 0, identity))
            if found or not below:
                break
            level = below
        return list(found.values()) if len(found) == 1 else []


def _chosen(identities: list[Named], met: list[Met]) -> list[Identity]:
    """The identities that name the run: one, or several of the first tier, between which nobody may guess.

    Within the systems that know runs by an id the nearest object counts; otherwise the topmost owner. What is
    configured renames the run, and leaves its system.
    """
    configured = [named for named in identities if named.tier == 0]
    known = [named for named in identities if named.tier > 0]
    found: list[Identity] = []
    if known:
        tier = min(named.tier for named in known)
        best = [named for named in known if named.tier == tier]
        if tier == ORCHESTRATOR:
            nearest: dict[str, Identity] = {}
            for named in best:
                nearest.setdefault(named.identity.system, named.identity)
            found = list(nearest.values())
        else:
            found = [_topmost(best, met).identity]
    if configured:
        name = _topmost(configured, met).identity
        system = found[0].system if found else name.system
        found = [msgspec.structs.replace(name, system=system)]
    if len(found) > 1:
        found = [
            msgspec.structs.replace(identity, confidence="strong") if identity.confidence == "exact" else identity
            for identity in found
        ]
    return found


def _topmost(best: list[Named], met: list[Met]) -> Named:
    """The one with none of the others above it. A label may be a short cut to it, so the distance does not tell."""
    if len(best) == 1:
        return best[0]
    at = {named.at for named in best}
    tops = [named for named in best if not (_above(named.at, met) - {named.at}) & at]
    return max(tops or best, key=lambda named: met[named.at].depth)


def _above(start: int, met: list[Met]) -> set[int]:
    found: set[int] = set()
    ways = list(met[start].above)
    while ways:
        at = ways.pop()
        if at not in found:
            found.add(at)
            ways += met[at].above
    return found


def _links(thing: Thing, chosen: list[Identity], places: list[tuple[int, int, Place]]) -> tuple[Link, ...]:
    if not chosen:
        return ()
    step = attempt = run_attempt = replica = None
    places.sort(key=lambda entry: entry[:2])
    for _, _, place in places:
        step = place.step if step is None else step
        attempt = place.attempt if attempt is None else attempt
        run_attempt = place.run_attempt if run_attempt is None else run_attempt
        replica = place.replica if replica is None else replica
    return tuple(
        Link(
            rel="subject",
            system=identity.system,
            run=identity.id,
            run_name=identity.name,
            step=step,
            attempt=None if attempt in (UNKNOWN, BY_TIME) else attempt,
            run_attempt=run_attempt,
            replica=replica,
            pod_uid=thing.uid if thing.is_pod and thing.uid else None,
            confidence=identity.confidence,
            via=identity.via,
        )
        for identity in chosen
    )
