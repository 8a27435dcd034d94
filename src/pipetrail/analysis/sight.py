"""What one resolution looks at, so that a later object that would change its answer is recognised."""

from collections.abc import Iterable

from pipetrail.analysis.bodies import Owner
from pipetrail.analysis.world import Cluster, Key, Thing, Turn
from pipetrail.model import Micros


class Sight:
    """What one resolution looks at; implements :class:`~pipetrail.analysis.placing.Look`."""

    __slots__ = ("cluster", "keys", "missed", "open", "titles")

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
        if found.seen_at is None:  # only its end was seen
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
