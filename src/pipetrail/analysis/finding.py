"""What one event is linked to: the object that it is about, at that time, and what else it names."""

from collections.abc import Iterable

import msgspec

from pipetrail.analysis import hints
from pipetrail.analysis.declaring import declared
from pipetrail.analysis.pending import Pending
from pipetrail.analysis.resolving import Placement, Resolvers
from pipetrail.analysis.sharing import Subjects, affected_by_claim, affected_by_node, users_of
from pipetrail.analysis.sight import Sight
from pipetrail.analysis.world import Cluster, Key, Thing, Turn
from pipetrail.model import Event, Link, Micros


class Known:
    """One cluster: its objects, the names of its runs, and whose placement looked at what."""

    def __init__(self, cluster: Cluster, pending: Pending) -> None:
        self.cluster = cluster
        self.pending = pending
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

    def changed(self, keys: Iterable[Key]) -> list[Thing]:
        """Forget the placements that looked at something that changed; returns whose those are."""
        cleared: list[Thing] = []
        for key in keys:
            found = self.dependents.pop(key, None)
            if found is None:
                continue
            for thing in found if isinstance(found, set) else (found,):
                if thing.placement is not None:
                    thing.placement = None
                    cleared.append(thing)
        return cleared

    def forget(self, before: Micros) -> int:
        """Drop what was deleted before a time; returns how many objects."""
        gone = self.cluster.forget(before)
        for key, found in list(self.dependents.items()):
            alive = {thing for thing in (found if isinstance(found, set) else (found,)) if thing.uid in self.things}
            if not alive:
                del self.dependents[key]
            elif isinstance(found, set):
                self.dependents[key] = alive
        return gone


class Finder:
    """Finds the links of events and the places of objects, among what is known of a cluster."""

    def __init__(self, resolvers: Resolvers) -> None:
        self.resolvers = resolvers

    def placement(self, thing: Thing, known: Known) -> Placement:
        """Where an object belongs, kept until something changes that this depends on."""
        found: Placement | None = thing.placement
        return found if found is not None else self._placed(thing, known, Sight(known.cluster, known.titles))

    def _placed(self, thing: Thing, known: Known, sight: Sight) -> Placement:
        placement = self.resolvers.resolve(thing, sight)
        if known.things.get(thing.uid) is thing:
            thing.placement = placement
            known.depend(thing, sight.keys)
        return placement

    def links(self, event: Event, known: Known, sight: Sight, tried: list[str] | None = None) -> tuple[Link, ...]:
        """The links of an event.

        :param tried: takes a line for each thing that was looked for.
        """
        about = event.about
        if about.kind == "Node":
            return affected_by_node(event, sight, self._subjects(known))
        thing, via = self.about(event, known, sight)
        if tried is not None:
            tried.append(f"{via or 'object'}: {thing!r}" if thing is not None else "object: none of that uid or name")
        links: tuple[Link, ...] = ()
        if thing is not None:
            links = self._of(thing, event, known, sight)
            if via == "name+time":
                links = tuple(_by_name(link) for link in links)
        if not thing or not thing.is_pod:
            links = self._narrowed(event, links, known, sight, tried)
        if thing is not None and not links and about.kind in ("PersistentVolumeClaim", "PersistentVolume"):
            links = affected_by_claim(event, thing, sight, self._subjects(known))
        if event.reason in hints.PARTIES:
            links = (*links, *self._parties(event, links, known, sight))
        if event.marks:
            links = self._marked(event, links, thing, known, sight)
        return links

    def about(self, event: Event, known: Known, sight: Sight) -> tuple[Thing | None, str]:
        """The object that an event is about, in the life that it means; a stand-in where only its uid is known."""
        about = event.about
        if about.kind == "PersistentVolume":
            # A provisioned volume is named by the uid of its claim; of one that was made by hand the claim says it.
            claims = [sight.by_uid(about.name.removeprefix("pvc-")), *sight.listed(("volume", about.name))]
            lived = [claim for claim in claims if claim is not None and claim.bore_its_name_at(event.at)]
            sight.missed |= not lived
            return lived[-1] if lived else None, "volume"
        if about.uid:
            found = sight.by_uid(about.uid)
            if found is not None:
                return found, ""
            # Another life of the same name is not the one that is meant, so the name is not tried.
            sight.missed = True
            return Thing(
                about.api_version.rpartition("/")[0], about.kind, about.namespace, about.name, about.uid, event.at
            ), ""
        group = about.api_version.rpartition("/")[0] or None
        turn: Turn = "ends" if event.reason in hints.ENDINGS else ""
        found = sight.named(about.kind, about.namespace, about.name, event.at, group, turn=turn)
        return found, "name+time"

    def _of(self, thing: Thing, event: Event, known: Known, sight: Sight) -> tuple[Link, ...]:
        """The links of an object at the time of an event."""
        placement: Placement | None = thing.placement
        if placement is None or not placement.complete:
            placement = self._placed(thing, known, sight)
        links = placement.links
        if placement.turns and links:
            pods = sight.listed(("child", placement.turns))
            # Times are of whole seconds. What is said in the second in which the next pod comes is about the last one:
            # that it failed, and that another try is due.
            turn = sum(1 for pod in pods if pod.is_pod and pod.created < event.at)
            sight.open = True  # pods that were there already may be seen later
            links = tuple(msgspec.structs.replace(link, attempt=max(turn, 1)) for link in links)
        for key in placement.shared:
            links = (*links, *users_of(key, event.at, links, sight, self._subjects(known)))
        return links

    def _subjects(self, known: Known) -> Subjects:
        """The links of other objects than the one that an event is about."""
        return lambda thing: self.placement(thing, known).links

    def _narrowed(
        self, event: Event, links: tuple[Link, ...], known: Known, sight: Sight, tried: list[str] | None
    ) -> tuple[Link, ...]:
        """An event of a controller, or of a schedule, describes the member that it names."""
        for hint in hints.members(event):
            member = sight.by_uid(hint.uid) if hint.uid else None
            member = member or sight.named(hint.kind, hint.namespace, hint.name, event.at, turn=hint.turn)
            if tried is not None:
                tried.append(f"message: {hint.kind} {hint.name}: {member!r}")
            if member is None:
                continue
            found = self._of(member, event, known, sight)
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

    def _parties(self, event: Event, links: tuple[Link, ...], known: Known, sight: Sight) -> list[Link]:
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
            found = self._of(other, event, known, sight)
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
        self, event: Event, links: tuple[Link, ...], thing: Thing | None, known: Known, sight: Sight
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
        return declared(event, links, sight, self._subjects(known))


def _by_name(link: Link, via: str = "name+time") -> Link:
    confidence = "strong" if link.confidence == "exact" else link.confidence
    return msgspec.structs.replace(link, via=via, confidence=confidence)
