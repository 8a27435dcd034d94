"""What a sink still has to be sent, in its order. It is in memory; the journal has it too.

Changes come in pages, in the order of the journal. They leave in batches, but three things may keep one back: it waits
for its run; the receiver takes others but not this one; or an earlier one of the same object waits. So:

* ``_pages`` is what nobody looked at. Nothing of it is in the state file: it is behind ``read``.
* ``_front`` goes first, by ``seq``: what came back after a failure, and what waits no more.
* ``_waiting`` has the objects of which a change waits, with all later changes of the same object.

What was taken out of a page and is not settled is a hole; the state file lists the holes. No input, no output, no
clock: ``now`` is the wall clock in microseconds, ``time`` the loop's in seconds.
"""

import heapq
import itertools
from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from pipetrail.model import Delivery, Micros
from pipetrail.model.times import SECOND
from pipetrail.sinks.feed import Page
from pipetrail.sinks.matching import Filter, about_an_object_of_a_run

_LOOKED_AT = 2_000  # changes in one call of take(): a filter that drops all must not hold up the other sinks

_Key = tuple[str, str, str, str]


def weight(found: Delivery) -> int:
    """About the bytes of the document of a delivery."""
    event = found.event
    return 900 + len(event.message) + 200 * len(event.links) + (6_000 if event.verdict is not None else 0)


class Hole(msgspec.Struct, array_like=True, frozen=True):
    """A change that is read and not settled. ``since``: when the receiver first did not take it, else 0."""

    seq: int
    since: Micros = 0


class Pile(msgspec.Struct):
    """A page and the weights of its items, of which those before ``index`` were taken."""

    page: Page
    weights: list[int]
    index: int = 0


def pile(page: Page) -> Pile:
    """Weigh a page. Made in the reader's thread."""
    return Pile(page, [weight(item) for item in page.items])


class Waiting(msgspec.Struct):
    """The changes of one object of which the first waits until ``due``: for its run, or to be sent ``again``."""

    items: list[Delivery]
    due: float
    why: Literal["hold", "again"]
    since: Micros = 0
    tries: int = 0


class Backlog:
    """See the module. ``holes`` are what was not settled when the process ended before.

    :param read: all changes up to this one were taken, apart from the holes.
    :param hold: how long an event may wait for its run, in seconds.
    """

    def __init__(self, read: int, hold: float, rules: Filter) -> None:
        self.read = read
        self.fetched = read
        self.filtered = self.merged = 0
        self.bytes = 0
        self._hold = hold
        self._rules = rules
        self._pages: deque[Pile] = deque()
        self._front: list[Delivery] = []
        self._waiting: dict[_Key, Waiting] = {}
        self._first_refused: dict[int, Micros] = {}
        self._dues: list[tuple[float, int, _Key]] = []
        self._numbers = itertools.count()
        self._in_pages = 0
        self._held = 0

    @property
    def in_pages(self) -> int:
        """How many changes nobody looked at."""
        return self._in_pages

    @property
    def held(self) -> int:
        """How many wait: for their run, for their own next try, or behind one that does."""
        return self._held

    @property
    def ready(self) -> int:
        """How many could go now, as far as is known before the rules are asked."""
        return self._in_pages + len(self._front)

    def holes(self, flying: Iterable[Delivery] = ()) -> list[Hole]:
        """What is read and not settled; ``flying`` is being sent."""
        found = dict.fromkeys((item.seq for item in itertools.chain(flying, self._front)), 0)
        for waiting in self._waiting.values():
            found.update(dict.fromkeys((item.seq for item in waiting.items), 0))
            found[waiting.items[0].seq] = waiting.since
        found.update((seq, since) for seq, since in self._first_refused.items() if seq in found)
        return [Hole(seq, since) for seq, since in sorted(found.items())]

    def oldest(self, flying: Sequence[Delivery] = ()) -> Delivery | None:
        """The first change that is not settled."""
        first = [*flying[:1], *self._front[:1], *(waiting.items[0] for waiting in self._waiting.values())]
        if not first and self._pages:
            first = next(([each.page.items[each.index]] for each in self._pages if each.index < len(each.weights)), [])
        return min(first, key=_seq, default=None)

    def first_ready(self) -> Delivery | None:
        """The first that could go now."""
        if self._front:
            return self._front[0]
        return next((each.page.items[each.index] for each in self._pages if each.index < len(each.weights)), None)

    def refill(self, items: Iterable[Delivery], refused: Iterable[Hole] = ()) -> None:
        """Put in what was taken once, and is not settled: after a restart, or after a failure."""
        self._first_refused.update((hole.seq, hole.since) for hole in refused if hole.since)
        self._front = sorted([*self._front, *items], key=_seq)

    def add(self, more: Pile) -> None:
        """A page that was read behind ``fetched``."""
        self.fetched = max(self.fetched, more.page.upto)
        self._pages.append(more)
        self._in_pages += len(more.weights)
        self._turn()

    def due(self) -> float | None:
        """When the first of those that wait may go on, in the loop's time."""
        while self._dues:
            due, _, key = self._dues[0]
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.due == due:
                return due
            heapq.heappop(self._dues)  # of one that waits no more, or longer
        return None

    def take(self, most: int, room: int, now: Micros, time: float) -> list[Delivery]:
        """The next batch: at most ``most`` changes and about ``room`` bytes, at least one. It may be empty."""
        self._wake(time)
        batch: list[Delivery] = []
        self.bytes = 0
        front, self._front = self._front, []
        taken = 0
        for item in front:
            if len(batch) >= most or (batch and self.bytes >= room):
                break
            taken += 1
            if self._blocked(item):
                continue
            if self._kept(item):
                batch.append(item)
                self.bytes += weight(item)
            else:
                self.settle([item])
        if taken < len(front):
            self.refill(front[taken:])
        looked_at = 0
        plain = self._rules.passes_all  # then only what waits, or has no run, must be looked at
        while self._pages and looked_at < _LOOKED_AT and len(batch) < most and (self.bytes < room or not batch):
            current = self._pages[0]
            items, weights = current.page.items, current.weights
            start = index = current.index
            end = min(len(items), start + _LOOKED_AT - looked_at)
            while index < end and len(batch) < most and (self.bytes < room or not batch):
                item = items[index]
                if (plain and item.event.links and not self._waiting) or self._admitted(item, now, time):
                    batch.append(item)
                    self.bytes += weights[index]
                index += 1
            looked_at += index - start
            self._in_pages -= index - start
            current.index = index
            if index > start:
                self.read = max(self.read, items[index - 1].seq)
            self._turn()
        return batch

    def settle(self, batch: Iterable[Delivery]) -> None:
        """These are done: taken by the receiver, or dead letters."""
        if not self._waiting and not self._first_refused:
            return
        for item in batch:
            self._first_refused.pop(item.seq, None)
            key = _key(item)
            waiting = self._waiting.get(key)
            if waiting is not None and waiting.items[0].seq == item.seq:
                self._release(key, 1)

    def refused(self, item: Delivery, now: Micros) -> tuple[Micros, int]:
        """Since when the receiver has not taken this change, and how often, this time included."""
        waiting = self._waiting.get(_key(item))
        tries = waiting.tries if waiting is not None and waiting.items[0].seq == item.seq else 0
        return self._first_refused.setdefault(item.seq, now), tries + 1

    def again(self, item: Delivery, due: float) -> None:
        """The receiver did not take this one; it waits until ``due``, and what is later of its object behind it."""
        key = _key(item)
        since = self._first_refused[item.seq]
        waiting = self._waiting.get(key)
        if waiting is None:
            self._wait(key, Waiting([item], due, "again", since, 1))
        elif waiting.items[0].seq == item.seq:
            waiting.due, waiting.tries = due, waiting.tries + 1
            heapq.heappush(self._dues, (due, next(self._numbers), key))
        elif item.seq < waiting.items[0].seq:
            self._held -= len(waiting.items)
            self._wait(key, Waiting([item, *waiting.items], due, "again", since, 1))
        else:
            insort(waiting.items, item, key=_seq)
            self._held += 1

    def _admitted(self, item: Delivery, now: Micros, time: float) -> bool:
        """Whether a change that comes out of a page goes into the batch now."""
        rules = self._rules
        if not rules.by_run and not self._kept(item):
            return False
        if self._waiting and self._blocked(item):
            return False
        if not item.event.links and self._hold and about_an_object_of_a_run(item.event):
            left = item.event.observed_at / SECOND + self._hold - now / SECOND
            if left > 0:
                self._wait(_key(item), Waiting([item], time + min(left, self._hold), "hold"))
                return False
        return not rules.by_run or self._kept(item)

    def _kept(self, item: Delivery) -> bool:
        """Whether the rules let it pass."""
        if self._rules.passes_all or self._rules.keeps(item):
            return True
        self.filtered += 1
        return False

    def _blocked(self, item: Delivery) -> bool:
        """Whether an earlier change of the same object waits; then this one does now, too."""
        key = _key(item)
        waiting = self._waiting.get(key)
        if waiting is None or waiting.items[0].seq >= item.seq:
            return False
        if waiting.why == "hold" and self._replaced(key, waiting, item):
            return True
        insort(waiting.items, item, key=_seq)
        self._held += 1
        return True

    def _replaced(self, key: _Key, waiting: Waiting, better: Delivery) -> bool:
        """Whether this is an event that waits, with its run; it takes the other's place, and its ``seq``."""
        event = better.event
        for index, item in enumerate(waiting.items):
            if item.event.number == event.number and item.event.id == event.id:
                waiting.items[index] = msgspec.structs.replace(better, seq=item.seq)
                self.merged += 1
                if all(each.event.links for each in waiting.items):  # due with the next batch: none overtakes in this
                    waiting.due = 0.0
                    heapq.heappush(self._dues, (0.0, next(self._numbers), key))
                return True
        return False

    def _wait(self, key: _Key, waiting: Waiting) -> None:
        self._waiting[key] = waiting
        self._held += len(waiting.items)
        heapq.heappush(self._dues, (waiting.due, next(self._numbers), key))

    def _release(self, key: _Key, done: int) -> None:
        """Nothing of this object waits any more; the first ``done`` of what waited are settled."""
        items = self._waiting.pop(key).items
        self._held -= len(items)
        self.refill(items[done:])

    def _wake(self, time: float) -> None:
        """Put in front what waited until now."""
        heads = []
        while (due := self.due()) is not None and due <= time:
            key = heapq.heappop(self._dues)[2]
            waiting = self._waiting[key]
            if waiting.why == "hold":
                self._release(key, 0)
            else:
                heads.append(waiting.items[0])
        if heads:
            self.refill(heads)

    def _turn(self) -> None:
        """Leave the pages behind that are used up."""
        while self._pages and self._pages[0].index >= len(self._pages[0].weights):
            self.read = max(self.read, self._pages.popleft().page.upto)


def _seq(item: Delivery) -> int:
    return item.seq


def _key(item: Delivery) -> _Key:
    """The object that a change is about."""
    about = item.event.about
    if about.uid:
        return (item.event.cluster, about.uid, "", "")
    return (item.event.cluster, about.kind, about.namespace, about.name)
