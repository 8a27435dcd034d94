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
from pipetrail.analysis.sight import Sight
from pipetrail.analysis.world import Key, Thing
from pipetrail.model import Link

DEPTH = 32
"""How far up owners are followed: real chains have five; anything deeper is a mistake or an attack."""
_MOST = 128  # objects on the way up
_LONGEST = 512  # characters of an id: it stands in every event, and nobody means a longer one
_MEMBERS = 16  # members of a group, and children, that are asked
_TIMED = frozenset({"Node", "PersistentVolume", "PersistentVolumeClaim"})
"""Kinds whose events reach those who used them at the time."""
SCHEDULES = frozenset({"CronJob", "CronWorkflow", "ScheduledWorkflow", "ScheduledSparkApplication", "RayCronJob"})
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
    firm: bool = False
    """No later object can say more of an event about this one, if the event itself names no other."""


def firm(links: tuple[Link, ...]) -> bool:
    """Whether links are more than guesses, and say whose the event is."""
    sure = False
    for link in links:
        if link.confidence == "weak":
            return False
        sure |= link.rel != "cause"
    return sure


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
        self.titles = frozenset(key for resolver in self.titled for key in resolver.keys)
        self.marked: tuple[Any, ...] = tuple(resolver for resolver in resolvers if hasattr(resolver, "marked"))

    def of(self, thing: Thing) -> list[Resolver]:
        """The resolvers that want to see an object."""
        found = list(self._by_kind.get((thing.group, thing.kind), ()))
        by_key = self._by_key
        for keys in (thing.labels, thing.annotations):
            for key in keys:
                if key in by_key:
                    found += by_key[key]
        for key, _ in thing.ids:
            found += by_key.get(key, ())
        return found if len(found) < 2 else list(dict.fromkeys(found))

    def resolve(self, thing: Thing, sight: Sight) -> Placement:
        """Where an object belongs."""
        return self.answer(thing, sight).placement

    def answer(self, thing: Thing, sight: Sight) -> Answer:
        """The same, with how it was found: too much to keep for every object."""
        met = self._way_up(thing, sight)
        identities: list[Named] = []
        places: list[tuple[int, int, Place]] = []
        turns = ""
        several = len(met) > 2 and sum(1 for entry in met if entry.depth == 1 and entry.thing.is_pod) > 1
        for at, entry in enumerate(met):
            for resolver in self.of(entry.thing):
                identity = resolver.identity(entry.thing, sight)
                if identity is not None and len(identity.id) <= _LONGEST:
                    identities.append(Named(resolver.tier, at, self._weighed(identity, entry)))
                if not entry.sideways and not (several and entry.depth):
                    place = resolver.place(entry.thing, sight)
                    if place is not None:
                        if entry.depth and entry.thing.is_pod:
                            place = Place(step=place.step, run_attempt=place.run_attempt)
                        if place.attempt == BY_TIME:
                            turns = turns or entry.thing.uid
                        places.append((resolver.tier or 99, entry.depth, place))
        if not thing.is_pod and all(named.tier >= TRAINING or not named.tier for named in identities):
            identities += self._below(thing, sight)
        chosen = _chosen(identities, met)
        shared: tuple[Key, ...] = ()
        for entry in met:
            if entry.thing.kind == "RayCluster" and entry.thing.group == "ray.io":
                shared = (*shared, ("uses", entry.thing.namespace, entry.thing.name))
                sight.keys.update(shared)
        links = _links(thing, chosen, places)
        turns = "" if thing.is_pod else turns
        placement = Placement(
            links=links,
            complete=not sight.missed,
            turns=turns,
            shared=shared,
            tier=min([named.tier for named in identities], default=99),
            firm=not (sight.missed or turns or shared) and thing.kind not in _TIMED and firm(links),
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
        if via == identity.via and confidence == identity.confidence:
            return identity
        return Identity(identity.system, identity.id, identity.name, via, confidence)

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

    def _parents(self, thing: Thing, sight: Sight) -> list[tuple[Thing, str, Confidence, bool]]:
        owners = thing.owners
        if len(owners) > 1:
            owners = tuple(sorted(owners, key=lambda owner: not owner.controller)[:_MEMBERS])
        found: list[tuple[Thing, str, Confidence, bool]] = [
            (sight.referred(owner, thing.namespace), "owner", "exact", False) for owner in owners
        ]
        ties = self.ties
        for keys in (thing.labels, thing.annotations):
            for key in keys:
                if key in ties:
                    for tie in ties[key]:
                        parent = self._tied(thing, keys, key, tie, sight)
                        if parent is not None:
                            found.append((parent, "label", "exact" if tie.uid else "strong", False))
        if thing.kind in _GANGS and not owners:
            found += self._of_gang(thing, sight)
        return found

    def _tied(self, thing: Thing, keys: dict[str, str], key: str, tie: Tie, sight: Sight) -> Thing | None:
        value = keys[key]
        if not value:
            return None
        if tie.uid:
            if thing.uid == value:
                return None
            for owner in thing.owners:
                if owner.uid == value:
                    return None  # the label says the same as the reference
            owner = Owner(f"{tie.group}/v1" if tie.group else "v1", tie.kind, keys.get(tie.name, ""), value, None)
            return sight.referred(owner, thing.namespace)
        for owner in thing.owners:
            if owner.kind == tie.kind and owner.name == value:
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
        # A schedule has many runs, and is none.
        level = [thing] if thing.kind not in SCHEDULES else []
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
    if len(identities) == 1 and identities[0].tier > 0:
        return [identities[0].identity]
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
            found = [_surely(best, met)]
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


def _surely(best: list[Named], met: list[Met]) -> Identity:
    """The topmost; told as a guess where another stands beside it, and neither is above the other."""
    top = _topmost(best, met)
    chosen = top.identity
    if chosen.confidence != "exact" or len(best) == 1:
        return chosen
    related = _above(top.at, met) | {top.at}
    for named in best:
        same = (named.identity.system, named.identity.id) == (chosen.system, chosen.id)
        if not same and named.at not in related and top.at not in _above(named.at, met):
            return msgspec.structs.replace(chosen, confidence="strong")
    return chosen


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
    if len(places) > 1:
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
