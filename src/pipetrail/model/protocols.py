"""The protocols between the parts. Parts are composed of these; nothing inherits."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pipetrail.model.times import Micros
from pipetrail.model.types import (
    Batch,
    Event,
    Gap,
    ObjectQuery,
    ObjectVersion,
    Query,
    SourceState,
)


class Temporary(Exception):
    """Sending failed, and trying again can help. ``after`` is how many seconds the receiver asked to wait."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Permanent(Exception):
    """Sending failed, and the same batch can never succeed."""


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


class Sink(Protocol):
    """Encodes and sends; it never queues, retries, sleeps or logs a failure: delivery does that for all."""

    name: str

    async def start(self) -> None:
        """Open what is needed. Called once before the first :meth:`send`."""
        ...

    async def send(self, batch: Sequence[Event]) -> Sequence[str | None]:
        """Answer for each event: None if taken, else why it was rejected.

        :raises Temporary: nothing was taken, or taking it twice is harmless.
        :raises Permanent: the whole batch can never succeed.
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
