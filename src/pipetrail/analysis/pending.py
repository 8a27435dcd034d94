"""Events whose links may still be raised, and what each of them waits for.

The order between kinds is not defined: an event may come before its pod, and the pod before its Workflow. Each waiting
event knows the keys under which it looked for something; an object that stands under one of them wakes it.
"""

from collections.abc import Hashable, Iterable

import msgspec

from pipetrail.analysis.placing import RANK
from pipetrail.analysis.world import Key
from pipetrail.model import Event, Link, Micros


class Waiting(msgspec.Struct, gc=False):
    """One event that waits."""

    key: Hashable
    event: Event
    links: tuple[Link, ...]
    keys: tuple[tuple[str, Key], ...] = ()
    since: Micros = 0


class Pending:
    """The waiting events, at most ``bound`` of them and none older than ``age``; the eldest go first."""

    def __init__(self, bound: int, age: Micros) -> None:
        self._bound = bound
        self._age = age
        self._waiting: dict[Hashable, Waiting] = {}
        self._by_key: dict[tuple[str, Key], dict[Hashable, None]] = {}
        self._woken: dict[Hashable, None] = {}
        self._now: Micros = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Hashable, event: Event, links: tuple[Link, ...], keys: Iterable[tuple[str, Key]]) -> None:
        """Let an event wait."""
        self.remove(key)
        self._now = max(self._now, event.observed_at)
        waiting = Waiting(key, event, links, tuple(keys), event.observed_at)
        self._waiting[key] = waiting
        for wanted in waiting.keys:
            self._by_key.setdefault(wanted, {})[key] = None
        while len(self._waiting) > self._bound:
            self.dropped += 1
            self.remove(next(iter(self._waiting)))

    def remove(self, key: Hashable) -> None:
        """Let an event wait no more."""
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        self._woken.pop(key, None)
        for wanted in waiting.keys:
            sleepers = self._by_key.get(wanted)
            if sleepers is not None:
                sleepers.pop(key, None)
                if not sleepers:
                    del self._by_key[wanted]

    def wake(self, cluster: str, keys: Iterable[Key], now: Micros) -> None:
        """An object came or changed that stands under these keys."""
        self._now = max(self._now, now)
        if not self._by_key:
            return
        for key in keys:
            sleepers = self._by_key.get((cluster, key))
            if sleepers:
                self._woken.update(sleepers)

    def awake(self) -> list[Waiting]:
        """The events that may find more now; each is told once for each waking."""
        while self._waiting:
            eldest = next(iter(self._waiting.values()))
            if eldest.since >= self._now - self._age:
                break
            self.dropped += 1
            self.remove(eldest.key)
        found = [self._waiting[key] for key in self._woken]
        self._woken.clear()
        return found


def raised(before: tuple[Link, ...], now: tuple[Link, ...]) -> tuple[Link, ...]:
    """The links after a second look: never fewer or weaker than before.

    A subject gives way to one that is known at least as surely: the job that was seen first turns out to be part of a
    workflow. Who was affected, or the cause, stays, and others may be added.
    """
    subjects = [link for link in now if link.rel == "subject"]
    old = [link for link in before if link.rel == "subject"]
    if old and (not subjects or _sureness(subjects) < _sureness(old) or _says_less(subjects, old)):
        subjects = old
    others = {(link.rel, link.system, link.run, link.step, link.replica): link for link in before}
    others.update({(link.rel, link.system, link.run, link.step, link.replica): link for link in now})
    known = any(link.rel == "cause" and link.system != "unknown" for link in now)
    kept = [
        link
        for link in others.values()
        if link.rel != "subject" and not (known and link.rel == "cause" and link.system == "unknown")
    ]
    return (*subjects, *kept)


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
