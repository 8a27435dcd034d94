"""Deliveries for tests, and a feed that has them in memory."""

import threading
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

import msgspec

from pipetrail.model import Delivery, Event, Link, Micros, ObjectRef
from pipetrail.model.identity import fingerprint
from pipetrail.model.times import SECOND, parse_time
from pipetrail.sinks.feed import Page

START = parse_time("2026-11-24T03:00:00Z")
POISON = "poison"
"""The word in a message that a receiver with the fault of that name refuses for ever."""

P = ParamSpec("P")
T = TypeVar("T")


def delivery(seq: int, *, message: str = "", pod: int | None = None, at: Micros | None = None) -> Delivery:
    """The delivery of an event of its own: Pod ``worker-<pod>`` of a run, one second after the one before it."""
    number = seq if pod is None else pod
    when = START + seq * SECOND if at is None else at
    link = Link(rel="subject", system="batch", run="run-1", run_name="train", replica=str(number))
    event = Event(
        number=fingerprint("test", str(seq)),
        cluster="prod",
        at=when,
        observed_at=when,
        origin="kubernetes",
        about=ObjectRef(api_version="v1", kind="Pod", namespace="ml", name=f"worker-{number}", uid=f"uid-{number}"),
        reason="BackOff",
        message=message or f"Back-off restarting failed container {seq}",
        severity="warning",
        type="Warning",
        reporter="kubelet",
        links=(link,),
        seq=seq,
    )
    return Delivery(seq=seq, event=event)


def deliveries(count: int, *, first: int = 1, pods: int = 10, poison: Sequence[int] = ()) -> list[Delivery]:
    """Some deliveries in order, about ``pods`` objects in turn; those with a ``seq`` in ``poison`` have that word."""
    return [
        delivery(seq, pod=seq % pods, message=f"{POISON} {seq}" if seq in poison else "")
        for seq in range(first, first + count)
    ]


def raised(first: Delivery, seq: int, links: tuple[Link, ...] | None = None) -> Delivery:
    """The same event again, with better links, as the change ``seq``."""
    link = Link(rel="subject", system="batch", run="run-1", run_name="train")
    better = msgspec.structs.replace(
        first.event, links=(link,) if links is None else links, revision=first.event.revision + 1
    )
    return msgspec.structs.replace(first, seq=seq, event=better)


class MemoryFeed:
    """A :class:`~pipetrail.sinks.feed.Feed` of what a test gave it. ``closed`` counts how often it was closed."""

    def __init__(self, items: Iterable[Delivery] = ()) -> None:
        self._items: list[Delivery] = []
        self._lock = threading.Lock()
        self._last = 0
        self._pruned = 0
        self.closed = 0
        self.add(*items)

    def add(self, *items: Delivery) -> None:
        """More changes."""
        with self._lock:
            for item in items:
                if item.seq > self._last:
                    self._items.append(item)
                    self._last = item.seq
                else:
                    insort(self._items, item, key=_seq)

    def prune(self, upto: int) -> None:
        """Lose all changes up to this one, as retention does."""
        with self._lock:
            del self._items[: bisect_right(self._items, upto, key=_seq)]
            self._pruned = max(self._pruned, upto)

    def page(self, after: int, most: int) -> Page:
        """Some changes behind ``after``."""
        with self._lock:
            start = bisect_right(self._items, after, key=_seq)
            items = self._items[start : start + most]
            upto = items[-1].seq if len(items) == most else max(after, self._last)
            return Page(items, upto, max(0, self._pruned - after))

    def some(self, seqs: Sequence[int]) -> list[Delivery]:
        """Those that are still there."""
        wanted = set(seqs)
        with self._lock:
            return [item for item in self._items if item.seq in wanted]

    def last(self) -> int:
        """The newest."""
        return self._last

    def first_since(self, since: Micros) -> int:
        """Behind which all that happened since then is."""
        with self._lock:
            return min((item.seq - 1 for item in self._items if item.event.at >= since), default=self._last)

    def close(self) -> None:
        """Counted."""
        self.closed += 1


def _seq(item: Delivery) -> int:
    return item.seq


class Forgetful:
    """A :class:`~pipetrail.sinks.tools.Memory` that ends with the test."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def load(self) -> Mapping[str, bytes]:
        """All that was put."""
        return dict(self.values)

    def put(self, key: str, value: bytes | None) -> None:
        """Remember it, or forget it."""
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value


class Inline(Executor):
    """Runs at once what is given to it: under a virtual clock nothing may happen in a thread beside it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run it, and return how it ended."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done
