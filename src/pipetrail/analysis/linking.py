"""Which run an event belongs to: the object that it is about, at that time, and what else it names.

The usual event is about a pod that is known by its uid, and its links were found before: they are kept with the pod
until an object changes that was looked at to find them.
"""

from collections.abc import Hashable, Iterable, Sequence

from pipetrail.analysis import hints
from pipetrail.analysis.explaining import Explanation, explanation
from pipetrail.analysis.finding import Finder, Known
from pipetrail.analysis.pending import Pending, Waiting, raised
from pipetrail.analysis.placing import Resolver
from pipetrail.analysis.resolvers import BUILT_IN
from pipetrail.analysis.resolving import Placement, Resolvers, firm
from pipetrail.analysis.sight import Sight
from pipetrail.analysis.world import Key, Thing, World
from pipetrail.model import Event, Link, Micros, ObjectVersion
from pipetrail.model.times import SECOND

HOUR = 3600 * SECOND
"""How long Events live in a cluster by default, and so how long an object may come after them."""


class Linker:
    """Links events to runs, with the objects seen so far; pure, and so the same for a cluster and a recording.

    :param resolvers: the systems that are known; all that are built in by default.
    :param world: the objects to begin with, kept up to date by :meth:`see`.
    :param bound: how many events of a cluster may wait for objects that would raise their links.
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
        self._finder = Finder(self.resolvers)
        self._bound = bound
        self._age = age
        self._states: dict[str, Known] = {}
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
        cleared = state.changed(keys)
        titled = self._entitle(state, thing)
        if titled:
            cleared += state.changed(titled)
            keys = (*keys, *titled)
        state.pending.wake(keys, version.observed_at, thing.created)
        if cleared and len(state.pending):
            # Who was on a node, or at a claim, may have a better name now.
            for other in cleared:
                state.pending.wake(state.cluster.keys(other), version.observed_at, other.created)

    def links(self, event: Event) -> tuple[Link, ...]:
        """The links of an event by what is known now; the same question again gives the same answer."""
        state = self._states.get(event.cluster) or self._state(event.cluster)
        sure = self._sure(event, state)
        return sure if sure is not None else self._finder.links(event, state, Sight(state.cluster, state.titles))

    def take(self, key: Hashable, event: Event) -> tuple[Link, ...]:
        """The links of a new event, which waits if later objects may raise them.

        :param key: the caller's own name for it, given back by :meth:`relink`.
        """
        state = self._states.get(event.cluster) or self._state(event.cluster)
        sure = self._sure(event, state)
        if sure is not None:
            return sure
        sight = Sight(state.cluster, state.titles)
        links = self._finder.links(event, state, sight)
        if not _settled(event, links, sight):
            state.pending.add(key, event, links, _open(links, sight))
        return links

    def remember(self, key: Hashable, event: Event) -> bool:
        """Let an event that has its links already wait if later objects may raise them; says whether it does.

        That are events without a link or with a weak one, those of whose owners one was not seen yet, and those whose
        links come from who was there at a time: on a node, at a claim, on a shared cluster.
        """
        state = self._states.get(event.cluster) or self._state(event.cluster)
        if event.links and self._sure(event, state) is not None:
            return False
        sight = Sight(state.cluster, state.titles)
        self._finder.links(event, state, sight)
        if _settled(event, event.links, sight):
            return False
        state.pending.add(key, event, event.links, _open(event.links, sight))
        return True

    def _sure(self, event: Event, state: Known) -> tuple[Link, ...] | None:
        """The links of the usual event: those of its object, where neither it nor a later object can say more."""
        if event.marks or event.reason in hints.PARTIES:
            return None
        thing = state.things.get(event.about.uid)
        if thing is None:
            return None
        placement: Placement | None = thing.placement
        if placement is None:
            if thing.kind != "Pod":
                return None
            placement = self._finder.placement(thing, state)
        if not placement.firm or (thing.kind != "Pod" and hints.names_another(event)):
            return None
        return placement.links

    def relink(self) -> list[tuple[Hashable, tuple[Link, ...]]]:
        """The remembered events whose links were raised by objects seen since, with all links that they have now."""
        changed: list[tuple[Hashable, tuple[Link, ...]]] = []
        for state in self._states.values():
            for key, waiting in state.pending.awake():
                event = waiting.event
                sure = self._sure(event, state)
                if sure is not None:
                    state.pending.remove(key)
                    links = raised(waiting.links, sure)
                    if links != waiting.links:
                        changed.append((key, links))
                    continue
                sight = Sight(state.cluster, state.titles)
                links = raised(waiting.links, self._finder.links(event, state, sight))
                if links != waiting.links:
                    changed.append((key, links))
                if _settled(event, links, sight):
                    state.pending.remove(key)
                    continue
                keys = tuple(_open(links, sight))
                if links != waiting.links or len(keys) != len(waiting.keys):
                    state.pending.change(key, Waiting(waiting.packed, waiting.at, links, keys, waiting.since))
        return changed

    def explain(self, event: Event) -> Explanation:
        """Which rule linked an event, and which were tried."""
        state = self._state(event.cluster)
        tried: list[str] = []
        links = self._finder.links(event, state, Sight(state.cluster, state.titles), tried)
        thing, _ = self._finder.about(event, state, Sight(state.cluster, state.titles))
        sight = Sight(state.cluster, state.titles)
        answer = self.resolvers.answer(thing, sight) if thing is not None else None
        return explanation(event, links, tried, answer)

    def placement(self, thing: Thing, cluster: str) -> Placement:
        """Where an object of a cluster belongs."""
        return self._finder.placement(thing, self._state(cluster))

    @property
    def waiting(self) -> int:
        """How many events wait for objects."""
        return sum(len(state.pending) for state in self._states.values())

    @property
    def dropped(self) -> int:
        """How many events waited in vain: for too long, or until too many others did."""
        return sum(state.pending.dropped for state in self._states.values())

    def forget(self, before: Micros) -> int:
        """Drop the objects that were deleted before a time; returns how many."""
        return sum(state.forget(before) for state in self._states.values())

    def _state(self, cluster: str) -> Known:
        found = self._states.get(cluster)
        if found is None:
            found = self._states[cluster] = Known(self.world.cluster(cluster), Pending(self._bound, self._age))
        return found

    def _entitle(self, state: Known, thing: Thing) -> list[Key]:
        keys: list[Key] = []
        wanted = self.resolvers.titles
        if wanted.isdisjoint(thing.labels) and wanted.isdisjoint(thing.annotations):
            return keys
        for resolver in self.resolvers.titled:
            found = resolver.title(thing)
            if found is not None and state.titles.get((resolver.system, found[0])) != found[1]:
                state.titles[resolver.system, found[0]] = found[1]
                keys.append(("title", resolver.system, found[0]))
        return keys


def _settled(event: Event, links: tuple[Link, ...], sight: Sight) -> bool:
    """Whether no later object can raise these links."""
    return bool(links) and not (sight.missed or sight.open) and firm(links) and not _timed(event, links)


def _open(links: tuple[Link, ...], sight: Sight) -> Iterable[Key]:
    """What an event waits for: all that was looked at, or where its run is sure, all but the objects that are known."""
    if not firm(links):
        return sight.keys
    things = sight.cluster.things
    return [key for key in sight.keys if key[0] != "uid" or key[1] not in things]


def _timed(event: Event, links: tuple[Link, ...]) -> bool:
    """Whether the links are of those who were there at the time, to whom later objects may add."""
    kind = event.about.kind
    return kind in ("Node", "PersistentVolumeClaim") or any(link.rel == "affected" for link in links)
