"""Which run an event belongs to: the object that it is about, at that time, and what else it names.

The usual event is about a pod that is known by its uid, and its links were found before: they are kept with the pod
until an object changes that was looked at to find them.
"""

from collections.abc import Hashable, Iterable, Sequence

import msgspec

from pipetrail.analysis import hints
from pipetrail.analysis.declaring import declared
from pipetrail.analysis.explaining import Explanation, explanation
from pipetrail.analysis.pending import Pending, raised
from pipetrail.analysis.placing import Resolver
from pipetrail.analysis.resolvers import BUILT_IN
from pipetrail.analysis.resolving import Placement, Resolvers, Sight
from pipetrail.analysis.sharing import affected_by_claim, affected_by_node, users_of
from pipetrail.analysis.world import Cluster, Key, Thing, Turn, World
from pipetrail.model import Event, Link, Micros, ObjectVersion
from pipetrail.model.times import SECOND

HOUR = 3600 * SECOND
"""How long Events live in a cluster by default, and so how long an object may come after them."""

_PARTIES = hints.CAUSED | hints.VICTIM


class _State:
    """One cluster: its objects, the names of its runs, and whose placement looked at what."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.things = cluster.things
        self.titles: dict[tuple[str, str], str] = {}
        self.dependents: dict[Key, Thing | set[Thing]] = {}

    def depend(self, thing: Thing, keys: Iterable[Key]) -> None:
        """Note what was looked at for a placement."""
        dependents = self.dependents
        for key in keys:
            found = dependents.get(key)
            if found is None:
                dependents[key] = thing
            elif isinstance(found, set):
                found.add(thing)
            elif found is not thing:
                dependents[key] = {found, thing}

    def changed(self, keys: Iterable[Key]) -> None:
        """Forget the placements that looked at something that changed."""
        for key in keys:
            found = self.dependents.pop(key, None)
            if found is None:
                continue
            for thing in found if isinstance(found, set) else (found,):
                thing.placement = None


class Linker:
    """Links events to runs, with the objects seen so far; pure, and so the same for a cluster and a recording.

    :param resolvers: the systems that are known; all that are built in by default.
    :param world: the objects to begin with, kept up to date by :meth:`see`.
    :param bound: how many events may wait for objects that would raise their links.
    :param age: how long they wait, in microseconds of the time of receipt.
    """

    def __init__(
        self,
        resolvers: Sequence[Resolver] = BUILT_IN,
        world: World | None = None,
        *,
        bound: int = 100_000,
        age: Micros = HOUR,
    ) -> None:
        self.world = world if world is not None else World()
        self.resolvers = Resolvers(resolvers)
        self.pending = Pending(bound, age)
        self._states: dict[str, _State] = {}
        for name, cluster in self.world.clusters.items():
            state = self._state(name)
            for thing in cluster.things.values():
                self._entitle(state, thing)

    def see(self, version: ObjectVersion) -> None:
        """Take a version of an object, in any order; the same one twice changes nothing."""
        state = self._state(version.cluster)
        thing, keys = state.cluster.take(version)
        if not keys:
            return
        thing.placement = None
        state.changed(keys)
        titled = self._entitle(state, thing)
        if titled:
            state.changed(titled)
            keys = (*keys, *titled)
        self.pending.wake(version.cluster, keys, version.observed_at)

    def links(self, event: Event) -> tuple[Link, ...]:
        """The links of an event by what is known now; the same question again gives the same answer."""
        state = self._states.get(event.cluster)
        if state is not None and not event.marks:
            thing = state.things.get(event.about.uid)
            # The fast path: nothing about this event can say more than its pod does.
            if thing is not None and thing.kind == "Pod" and event.reason not in _PARTIES:
                placement = thing.placement
                if placement is None:
                    placement = self.placement(thing, state)
                if not placement.shared:
                    links: tuple[Link, ...] = placement.links
                    return links
        state = state or self._state(event.cluster)
        return self._links(event, state, Sight(state.cluster, state.titles))

    def remember(self, key: Hashable, event: Event, links: tuple[Link, ...] | None = None) -> bool:
        """Let an event wait if later objects may raise its links; says whether it does.

        That are events without a link or with a weak one, those of whose owners one was not seen yet, and those whose
        links come from who was there at a time: on a node, at a claim, on a shared cluster.

        :param key: the caller's own name for it, given back by :meth:`relink`.
        :param links: what :meth:`links` said, if it was asked before.
        """
        state = self._state(event.cluster)
        thing = state.things.get(event.about.uid)
        if thing is not None and thing.kind == "Pod" and thing.placement is not None and links and not event.marks:
            placement: Placement = thing.placement
            if placement.complete and not placement.shared and _firm(links) and event.reason not in _PARTIES:
                return False
        sight = Sight(state.cluster, state.titles)
        found = self._links(event, state, sight)
        if links is None:
            links = found
        if _settled(event, links, sight):
            return False
        keys = [(event.cluster, wanted) for wanted in sight.keys]
        self.pending.add(key, event, links, keys)
        return True

    def relink(self) -> list[tuple[Hashable, tuple[Link, ...]]]:
        """The remembered events whose links were raised by objects seen since, with all links that they have now."""
        changed: list[tuple[Hashable, tuple[Link, ...]]] = []
        for waiting in self.pending.awake():
            event = waiting.event
            state = self._state(event.cluster)
            sight = Sight(state.cluster, state.titles)
            links = raised(waiting.links, self._links(event, state, sight))
            if links != waiting.links:
                changed.append((waiting.key, links))
            if _settled(event, links, sight):
                self.pending.remove(waiting.key)
                continue
            if links != waiting.links or len(sight.keys) != len(waiting.keys):
                self.pending.add(waiting.key, event, links, [(event.cluster, key) for key in sight.keys])
        return changed

    def explain(self, event: Event) -> Explanation:
        """Which rule linked an event, and which were tried."""
        state = self._state(event.cluster)
        tried: list[str] = []
        links = self._links(event, state, Sight(state.cluster, state.titles), tried)
        thing, _ = self._about(event, state, Sight(state.cluster, state.titles))
        sight = Sight(state.cluster, state.titles)
        answer = self.resolvers.answer(thing, sight) if thing is not None else None
        return explanation(event, links, tried, answer)

    def placement(self, thing: Thing, state: _State | None = None, cluster: str = "") -> Placement:
        """Where an object belongs, kept until something changes that this depends on."""
        found: Placement | None = thing.placement
        if found is None:
            state = state or self._state(cluster)
            sight = Sight(state.cluster, state.titles)
            found = self.resolvers.resolve(thing, sight)
            if state.things.get(thing.uid) is thing:
                thing.placement = found
                state.depend(thing, sight.keys)
        return found

    def forget(self, before: Micros) -> int:
        """Drop the objects that were deleted before a time; returns how many."""
        gone = 0
        for state in self._states.values():
            gone += state.cluster.forget(before)
            for key, found in list(state.dependents.items()):
                alive = {
                    thing for thing in (found if isinstance(found, set) else (found,)) if thing.uid in state.things
                }
                if not alive:
                    del state.dependents[key]
                elif isinstance(found, set):
                    state.dependents[key] = alive
        return gone

    def _state(self, cluster: str) -> _State:
        found = self._states.get(cluster)
        if found is None:
            found = self._states[cluster] = _State(self.world.cluster(cluster))
        return found

    def _entitle(self, state: _State, thing: Thing) -> list[Key]:
        keys: list[Key] = []
        for resolver in self.resolvers.titled:
            found = resolver.title(thing)
            if found is not None and state.titles.get((resolver.system, found[0])) != found[1]:
                state.titles[resolver.system, found[0]] = found[1]
                keys.append(("title", resolver.system, found[0]))
        return keys

    def _links(self, event: Event, state: _State, sight: Sight, tried: list[str] | None = None) -> tuple[Link, ...]:
        about = event.about
        if about.kind == "Node":
            return affected_by_node(event, sight, self._subjects(state))
        thing, via = self._about(event, state, sight)
        if tried is not None:
            tried.append(f"{via or 'object'}: {thing!r}" if thing is not None else "object: none of that uid or name")
        links: tuple[Link, ...] = ()
        if thing is not None:
            links = self._of(thing, event, state, sight)
            if via == "name+time":
                links = tuple(_by_name(link) for link in links)
        if not thing or not thing.is_pod:
            links = self._narrowed(event, links, state, sight, tried)
        if thing is not None and not links and about.kind in ("PersistentVolumeClaim", "PersistentVolume"):
            links = affected_by_claim(event, thing, sight, self._subjects(state))
        if event.reason in _PARTIES:
            links = (*links, *self._parties(event, links, state, sight))
        if event.marks:
            links = self._marked(event, links, thing, state, sight)
        return links

    def _about(self, event: Event, state: _State, sight: Sight) -> tuple[Thing | None, str]:
        """The object that an event is about, in the life that it means; a stand-in where only its uid is known."""
        about = event.about
        if about.kind == "PersistentVolume" and about.name.startswith("pvc-"):
            # A provisioned volume is named by the uid of its claim.
            return sight.by_uid(about.name.removeprefix("pvc-")), "volume"
        if about.uid:
            found = sight.by_uid(about.uid)
            if found is not None:
                return found, ""
            # Another life of the same name is not the one that is meant, so the name is not tried.
            sight.missed = True
            stand_in = Thing(about.api_version.rpartition("/")[0], about.kind, about.namespace, about.name, about.uid)
            stand_in.created = event.at
            return stand_in, ""
        group = about.api_version.rpartition("/")[0] or None
        turn: Turn = "ends" if event.reason in hints.ENDINGS else ""
        found = sight.named(about.kind, about.namespace, about.name, event.at, group, turn=turn)
        return found, "name+time"

    def _of(self, thing: Thing, event: Event, state: _State, sight: Sight) -> tuple[Link, ...]:
        """The links of an object at the time of an event."""
        placement: Placement | None = thing.placement
        if placement is None or not placement.complete:
            placement = self.resolvers.resolve(thing, sight)
            if state.things.get(thing.uid) is thing:
                thing.placement = placement
                state.depend(thing, sight.keys)
        links = placement.links
        if placement.turns and links:
            pods = sight.listed(("child", placement.turns))
            turn = sum(1 for pod in pods if pod.is_pod and pod.created <= event.at)
            links = tuple(msgspec.structs.replace(link, attempt=max(turn, 1)) for link in links)
        for key in placement.shared:
            links = (*links, *users_of(key, event.at, links, sight, self._subjects(state)))
        return links

    def _subjects(self, state: _State) -> "_Subjects":
        return _Subjects(self, state)

    def _narrowed(
        self, event: Event, links: tuple[Link, ...], state: _State, sight: Sight, tried: list[str] | None
    ) -> tuple[Link, ...]:
        """An event of a controller, or of a schedule, describes the member that it names."""
        for hint in hints.members(event):
            member = sight.by_uid(hint.uid) if hint.uid else None
            member = member or sight.named(hint.kind, hint.namespace, hint.name, event.at, turn=hint.turn)
            if tried is not None:
                tried.append(f"message: {hint.kind} {hint.name}: {member!r}")
            if member is None:
                continue
            found = self._of(member, event, state, sight)
            if not found:
                continue
            if not links:
                return tuple(_by_name(link, "message") for link in found if link.rel == "subject")
            same = next((link for link in found if (link.system, link.run) == (links[0].system, links[0].run)), None)
            if same is None:
                continue
            first = msgspec.structs.replace(
                links[0],
                step=same.step if same.step is not None else links[0].step,
                attempt=same.attempt,
                run_attempt=same.run_attempt,
                replica=same.replica,
                pod_uid=same.pod_uid,
            )
            return (first, *links[1:])
        return links

    def _parties(self, event: Event, links: tuple[Link, ...], state: _State, sight: Sight) -> list[Link]:
        """The other side of a preemption: the cause of a victim's event, or the victim of who acted."""
        own = {(link.system, link.run) for link in links}
        rel = "affected" if event.reason in hints.VICTIM else "cause"
        unknown = ""
        for hint in hints.others(event):
            other = sight.by_uid(hint.uid) if hint.uid else None
            if other is None and hint.name:
                other = sight.named(hint.kind, hint.namespace, hint.name, event.at)
            if other is None:
                unknown = hint.uid or unknown
                continue
            found = self._of(other, event, state, sight)
            subjects = [link for link in found if link.rel == "subject"]
            if not subjects or any((link.system, link.run) in own for link in subjects):
                continue
            via = "related" if event.related is not None else "message"
            return [
                msgspec.structs.replace(link, rel=rel, via=via, attempt=None, replica=None, pod_uid=None)
                for link in subjects
            ]
        if not unknown:
            return []
        # Who it was may be out of our sight for good, in another namespace; its uid is all that can be said.
        sight.missed = True
        return [Link(rel="cause" if rel == "cause" else "affected", system="unknown", run=unknown, confidence="weak")]

    def _marked(
        self, event: Event, links: tuple[Link, ...], thing: Thing | None, state: _State, sight: Sight
    ) -> tuple[Link, ...]:
        """What the labels and annotations of the Event itself say."""
        if links and (thing is None or not thing.is_pod or not links[0].step):
            for resolver in sorted(self.resolvers.marked, key=lambda resolver: resolver.system != links[0].system):
                name = thing.name if thing is not None and not thing.is_pod else ""
                place = resolver.marked(event.marks, name)
                if place is not None:
                    fields = {
                        field: value
                        for field in ("step", "attempt", "replica")
                        if (value := getattr(place, field)) is not None
                    }
                    first = msgspec.structs.replace(links[0], **fields)
                    links = (first, *links[1:])
                    break
        return declared(event, links, sight, self._subjects(state))


class _Subjects:
    """The subject links of other objects than the one that an event is about."""

    def __init__(self, linker: Linker, state: _State) -> None:
        self._linker = linker
        self._state = state

    def __call__(self, thing: Thing) -> tuple[Link, ...]:
        placement = self._linker.placement(thing, self._state)
        return placement.links


def _by_name(link: Link, via: str = "name+time") -> Link:
    confidence = "strong" if link.confidence == "exact" else link.confidence
    return msgspec.structs.replace(link, via=via, confidence=confidence)


def _firm(links: tuple[Link, ...]) -> bool:
    return all(link.confidence != "weak" for link in links) and any(link.rel != "cause" for link in links)


def _settled(event: Event, links: tuple[Link, ...], sight: Sight) -> bool:
    """Whether no later object can raise these links."""
    return bool(links) and not (sight.missed or sight.open) and _firm(links) and not _timed(event, links)


def _timed(event: Event, links: tuple[Link, ...]) -> bool:
    """Whether the links are of those who were there at the time, to whom later objects may add."""
    kind = event.about.kind
    return kind in ("Node", "PersistentVolumeClaim") or any(link.rel == "affected" for link in links)
