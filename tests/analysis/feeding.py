"""Objects and Events as a cluster sends them, put into a linker the way that the program would."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import msgspec

from pipetrail.analysis import Linker
from pipetrail.kube import wire
from pipetrail.kube.decode import fit
from pipetrail.kube.kinds import group_of, shape
from pipetrail.model import Event, Link, ObjectVersion
from pipetrail.model.times import parse_time
from pipetrail.sources.changes import Changes
from pipetrail.sources.counting import Counts
from pipetrail.sources.events import EventReader
from pipetrail.sources.objects import ObjectReader

CLUSTER = "here"
_BARE = {("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("apps", "Deployment"), ("apps", "DaemonSet")}


class Feed:
    """Feeds items one by one, relinks after each object, and keeps the links that each event has."""

    def __init__(self, linker: Linker | None = None, cluster: str = CLUSTER) -> None:
        self.linker = linker or Linker()
        self.cluster = cluster
        self.links: dict[Hashable, tuple[Link, ...]] = {}
        self.events: dict[Hashable, Event] = {}
        self._events = EventReader(cluster, Counts(3_600_000_000, 0))
        self._objects: dict[str, ObjectReader] = {}

    def event(self, found: Mapping[str, Any], at: str) -> Event | None:
        """Take an Event as JSON; returns what it adds."""
        name = found["metadata"]["name"]
        event = self._events.read(fit(dict(found), wire.KubeEvent), parse_time(at))
        if event is not None:
            self.take(name, event)
        return event

    def take(self, name: Hashable, event: Event) -> None:
        links = self.linker.take(name, event)
        assert self.linker.links(event) == links
        self.links[name], self.events[name] = links, event

    def object(self, found: Mapping[str, Any], at: str, type_: str = "ADDED") -> None:
        """Take an object as JSON."""
        changes = Changes()
        kind = str(found.get("kind", ""))
        group = group_of(str(found.get("apiVersion", "")))
        item: Any = fit(dict(found), shape(group, kind, (group, kind) in _BARE))
        reader = self._objects.setdefault(f"{group}/{kind}", ObjectReader(self.cluster))
        reader.take(type_, item, parse_time(at), changes)
        for version in changes.objects:
            self.linker.see(version)
        self.relink()

    def gone(self, uid: str, at: str) -> None:
        """The object of that uid was deleted."""
        thing = self.linker.world.cluster(self.cluster).things[uid]
        reader = self._objects[f"{thing.group}/{thing.kind}"]
        changes = reader.missing(reader.alive_at(1 << 62) - {uid}, parse_time(at))
        for version in changes.objects:
            self.linker.see(version)
        self.relink()

    def see(self, versions: Iterable[ObjectVersion]) -> None:
        for version in versions:
            self.linker.see(version)
        self.relink()

    def relink(self) -> None:
        for key, links in self.linker.relink():
            assert links != self.links[key]
            self.links[key] = links


def object_ref(found: Mapping[str, Any]) -> dict[str, Any]:
    """The reference of an object, as an Event has it."""
    meta = found["metadata"]
    return {
        "apiVersion": found["apiVersion"],
        "kind": found["kind"],
        "name": meta["name"],
        "namespace": meta.get("namespace", ""),
        "uid": meta["uid"],
    }


def summary(links: Iterable[Link]) -> list[dict[str, Any]]:
    """Links in short, for messages of tests."""
    return [msgspec.to_builtins(link) for link in links]
