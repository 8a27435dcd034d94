"""Events whose links may still be raised, and what each of them waits for.

The order between kinds is not defined: an event may come before its pod, and the pod before its Workflow. Each waiting
event knows the keys under which it looked for something; an object that stands under one of them wakes it.
"""

from collections.abc import Hashable, Iterable

import msgspec

from pipetrail.analysis.placing import RANK
from pipetrail.analysis.world import Key
from pipetrail.model import Event, Link, Micros, ObjectRef

_BY_TIME = frozenset({"node", "claim"})


class Asked(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """Of a waiting event what links are made of. Many wait, so it is kept packed."""

    cluster: str
    at: Micros
    reason: str
    about: ObjectRef
    message: str = ""
    related: ObjectRef | None = None
    marks: dict[str, str] = {}


class Waiting(msgspec.Struct, gc=False):
    """One event that waits."""

    packed: bytes
    at: Micros
    links: tuple[Link, ...]
    keys: tuple[Key, ...]
    since: Micros

    @property
    def event(self) -> Event:
        """As far as it is known here."""
        asked = _unpack(self.packed)
        return Event(
            number=0,
            cluster=asked.cluster,
            at=asked.at,
            observed_at=self.since,
            origin="kubernetes",
            about=asked.about,
            reason=asked.reason,
            message=asked.message,
            related=asked.related,
            marks=asked.marks,
        )


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Asked).decode


class Pending:
    """The waiting events of one cluster, at most ``bound`` and none older than ``age``; the eldest go first."""

    def __init__(self, bound: int, age: Micros) -> None:
        self._bound = bound
        self._age = age
        self._waiting: dict[Hashable, Waiting] = {}
        self._sleepers: dict[Key, Hashable | dict[Hashable, None]] = {}
        self._woken: dict[Hashable, None] = {}
        self._now: Micros = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Hashable, event: Event, links: tuple[Link, ...], keys: Iterable[Key]) -> None:
        """Let an event wait for objects under these keys."""
        asked = Asked(event.cluster, event.at, event.reason, event.about, event.message, event.related, event.marks)
        if event.observed_at > self._now:
            self._now = event.observed_at
        self.change(key, Waiting(_pack(asked), event.at, links, tuple(keys), event.observed_at))
        if len(self._waiting) > self._bound:
            self.dropped += 1
            self.remove(next(iter(self._waiting)))

    def change(self, key: Hashable, waiting: Waiting) -> None:
        """Let an event wait for other keys, or with other links, than before."""
        if key in self._waiting:
            self.remove(key)
        self._waiting[key] = waiting
        sleepers = self._sleepers
        for wanted in waiting.keys:
            found = sleepers.get(wanted)
            if found is None:
                sleepers[wanted] = key
            elif isinstance(found, dict):
                found[key] = None
            else:
                sleepers[wanted] = {found: None, key: None}

    def remove(self, key: Hashable) -> None:
        """Let an event wait no more."""
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        self._woken.pop(key, None)
        sleepers = self._sleepers
        for wanted in waiting.keys:
            found = sleepers[wanted]
            if isinstance(found, dict):
                del found[key]
                if found:
                    continue
            del sleepers[wanted]

    def wake(self, keys: Iterable[Key], now: Micros, created: Micros) -> None:
        """An object came or changed that stands under these keys.

        :param created: since when it is there: it was not on a node, nor at a claim, at any time before.
        """
        self._now = max(self._now, now)
        if not self._sleepers:
            return
        for key in keys:
            found = self._sleepers.get(key)
            if found is None:
                continue
            by_time = key[0] in _BY_TIME
            for event in found if isinstance(found, dict) else (found,):
                if not by_time or self._waiting[event].at >= created:
                    self._woken[event] = None

    def awake(self) -> list[tuple[Hashable, Waiting]]:
        """The events that may find more now; each is told once for each waking."""
        while self._waiting:
            key, eldest = next(iter(self._waiting.items()))
            if eldest.since >= self._now - self._age:
                break
            self.dropped += 1
            self.remove(key)
        found = [(key, self._waiting[key]) for key in self._woken]
        self._woken.clear()
        return found


def raised(before: tuple[Link, ...], now: tuple[Link, ...]) -> tuple[Link, ...]:
    """The links after a second look: never fewer or weaker than before.

    A subject, and a cause, give way to one that is known at least as surely: the job that was seen first turns out to
    be part of a workflow. Who was affected stays, and others may be added; only the run of a pod may get a better name.
    """
    if not before or before == now:
        return now
    affected = {_place(link): link for link in before if link.rel == "affected"}
    affected.update({_place(link): link for link in now if link.rel == "affected"})
    of_pod: dict[str | None, tuple[str, str]] = {
        link.pod_uid: (link.system, link.run) for link in now if link.rel == "affected" and link.pod_uid
    }
    kept = [link for link in affected.values() if of_pod.get(link.pod_uid) in (None, (link.system, link.run))]
    return (*_better("subject", before, now), *kept, *_better("cause", before, now))


def _place(link: Link) -> tuple[str | None, ...]:
    return link.system, link.run, link.step, link.replica


def _better(rel: str, before: tuple[Link, ...], now: tuple[Link, ...]) -> list[Link]:
    old = [link for link in before if link.rel == rel]
    new = [link for link in now if link.rel == rel]
    if old and (not new or _sureness(new) < _sureness(old) or _says_less(new, old)):
        return old
    return new


def _sureness(links: list[Link]) -> int:
    return max(RANK[link.confidence] for link in links)


def _says_less(new: list[Link], old: list[Link]) -> bool:
    """Whether the same run would lose its step, attempt or replica."""
    by_run = {(link.system, link.run): link for link in new}
    for link in old:
        found = by_run.get((link.system, link.run))
        if found is not None and (
            (link.step is not None and found.step is None)
            or (link.replica is not None and found.replica is None)
            or (link.pod_uid is not None and found.pod_uid is None)
        ):
            return True
    return False
