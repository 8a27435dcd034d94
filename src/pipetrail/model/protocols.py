"""The protocols between the parts. Parts are composed of these; nothing inherits."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from pipetrail.model.times import Micros
from pipetrail.model.types import (
    Batch,
    Delivery,
    Event,
    Gap,
    ObjectQuery,
    ObjectVersion,
    Query,
    SourceState,
)

Failure = Literal["refused", "timeout", "tls", "auth", "limited", "server", "client", "answer", "template", "other"]
"""Why sending failed, in one word of a closed set: no connection; no answer in time; no trust; not allowed; too much
at once; an error of the receiver; an error of the request; an answer that makes no sense; the user's template."""


class Temporary(Exception):
    """Sending failed, and trying again can help. ``after`` is how many seconds the receiver asked to wait."""

    def __init__(self, message: str, after: float | None = None, failure: Failure = "other") -> None:
        super().__init__(message)
        self.after = after
        self.failure = failure


class Permanent(Exception):
    """Sending failed, and the same batch can never succeed."""

    def __init__(self, message: str, failure: Failure = "client") -> None:
        super().__init__(message)
        self.failure = failure


class Source(Protocol):
    """Turns one origin into batches, from a position onwards, for ever or until the origin ends."""

    def batches(self, position: str | None) -> AsyncIterator[Batch]:
        """Yield what is seen. The caller stores a batch whole before it counts as read."""
        ...


class Store(Protocol):
    """Keeps batches in one order and answers questions about them."""

    def append(self, batches: Sequence[Batch]) -> int:
        """Keep all of it in one transaction: events, objects, gaps and positions, or nothing.

        Returns the last ``seq`` given. Events get their ``seq`` in the order of the batches.
        """
        ...

    def events(self, query: Query) -> Iterator[Event]:
        """Yield the matching events without loading all of them, in the order that the query names."""
        ...

    def objects(self, query: ObjectQuery) -> Iterator[ObjectVersion]:
        """Yield the latest version of each matching object, or all versions where the query says so."""
        ...

    def sources(self) -> list[SourceState]:
        """What is known of each source."""
        ...

    def gaps(self, cluster: str | None = None) -> Iterable[Gap]:
        """The recorded gaps, oldest first."""
        ...

    def totals(self, cluster: str, since: Micros) -> Iterator[tuple[str, int, Micros]]:
        """For each Kubernetes Event seen since then: its source key, the total that it showed, and its time."""
        ...


class Again(msgspec.Struct, frozen=True):
    """A receiver could not take this event now, and may later. ``after``: how many seconds it asked to wait."""

    reason: str
    after: float | None = None
    failure: Failure = "limited"


class Rejected(msgspec.Struct, frozen=True):
    """A receiver can never take this event as it is: it goes to the dead letters, and the others go on."""

    reason: str
    failure: Failure = "client"


Answer = Again | Rejected | None
"""What became of one event that was sent: None where the receiver has it."""


class Sink(Protocol):
    """Encodes and sends; it never queues, retries, sleeps or logs a failure: delivery does that for all.

    ``send`` is called by one task at a time, with the deliveries of one object always in their order. The same
    delivery may come again, after a crash for example: its event's ``id`` and ``revision`` say that it is the same.
    """

    name: str

    async def start(self) -> None:
        """Open what is needed. Called before the first :meth:`send`; again after :meth:`stop`.

        :raises Temporary: when the receiver can't be used now.
        """
        ...

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Send all, and answer for each in the order of the batch: None if the receiver has it.

        :raises Temporary: nothing was taken, or taking it twice is harmless.
        :raises Permanent: this batch can never succeed as a whole; delivery then tries its parts.
        """
        ...

    async def tick(self, now: Micros) -> None:
        """Called about each second beside the sends: to repeat, rotate or close what time demands.

        :raises Temporary: when the receiver can't be reached; it is called again.
        """
        ...

    async def probe(self) -> str:
        """Ask the receiver whether it would take something, without leaving anything there; what it said.

        :raises Temporary: or :raises Permanent: with what it said, when it would not.
        """
        ...

    async def stop(self) -> None:
        """Safe without :meth:`start`, and when called twice."""
        ...


class Rule(Protocol):
    """Explains a case, or says nothing. Pure: same case, same answer."""

    id: str

    def judge(self, case: Sequence[Event]) -> Iterable[Mapping[str, Any]]:
        """The causes that these events prove, each with the ids that prove it."""
        ...
