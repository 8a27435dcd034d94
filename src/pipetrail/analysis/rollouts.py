"""Which event followed from which in a rollout: the Deployment scales, its ReplicaSet makes or deletes pods, they live.

The API has no such order: the events come by object, in any order, and with times of whole seconds. What one names in
its message is what joins them, so the answer does not depend on when they came.
"""

import re
from collections.abc import Iterable

from pipetrail.model import Event

_SCALED = re.compile(r"Scaled (up|down) replica set (\S+)")
_POD = re.compile(r"(Created|Deleted) pod: (\S+)")
_ENDINGS = frozenset({"Killing"})

Parents = dict[str, str]
"""The id of each event's parent: another event's, or ``update Deployment ns/name`` for what began it."""


def parents(events: Iterable[Event]) -> Parents:
    """The parent of each event that has one."""
    everything = sorted(events, key=lambda event: (event.at, event.id))
    scaled: dict[tuple[str, str, str], list[Event]] = {}
    named: dict[tuple[str, str, str], list[Event]] = {}
    found: Parents = {}
    for event in everything:
        namespace = event.about.namespace
        if (match := _SCALED.match(event.message)) is not None and event.about.kind == "Deployment":
            scaled.setdefault((namespace, match[2], match[1]), []).append(event)
            found[event.id] = f"update Deployment {namespace}/{event.about.name}"
        elif (match := _POD.match(event.message)) is not None:
            named.setdefault((namespace, match[2], match[1]), []).append(event)
            found[event.id] = ""
    for (namespace, _, what), made in named.items():
        direction = "up" if what == "Created" else "down"
        for event in made:
            cause = _nearest(scaled.get((namespace, event.about.name, direction), ()), event)
            if cause is not None:
                found[event.id] = cause.id
            else:
                del found[event.id]
    for event in everything:
        if event.about.kind != "Pod":
            continue
        parent = _of_pod(event, named, found)
        if parent:
            found[event.id] = parent
    return found


def _of_pod(event: Event, named: dict[tuple[str, str, str], list[Event]], found: Parents) -> str:
    key = (event.about.namespace, event.about.name)
    deleted = _nearest(named.get((*key, "Deleted"), ()), event)
    if event.reason in _ENDINGS and deleted is not None:
        # The kubelet stops the containers for the same cause for which the pod was deleted.
        return found.get(deleted.id, deleted.id)
    created = _nearest(named.get((*key, "Created"), ()), event)
    return created.id if created is not None else ""


def _nearest(candidates: Iterable[Event], event: Event) -> Event | None:
    """The last candidate up to the event's time, else the first after it."""
    last: Event | None = None
    for candidate in candidates:
        if candidate.at > event.at and last is not None:
            break
        last = candidate
    return last
