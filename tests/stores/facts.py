"""Journals for tests: one of its own for each example, with a reader beside it."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pipetrail.model import Batch, Event, Gap, Micros, ObjectQuery, ObjectRef, ObjectVersion, Query, SourceState
from pipetrail.model.identity import fingerprint
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.testing.strategies import START

# The files of an example need not survive a power cut: in memory there is no wait for the disk.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class SqliteStore:
    """A journal's writer and a reader as one store."""

    def __init__(self, path: str, segment_events: int = 500_000, full_text: bool = True) -> None:
        self.journal = Journal(path, segment_events=segment_events, full_text=full_text)
        self.reader = JournalReader(path)

    def append(self, batches: Sequence[Batch]) -> int:
        return self.journal.append(batches)

    def events(self, query: Query) -> Iterator[Event]:
        return self.reader.events(query)

    def objects(self, query: ObjectQuery) -> Iterator[ObjectVersion]:
        return self.reader.objects(query)

    def sources(self) -> list[SourceState]:
        return self.reader.sources()

    def gaps(self, cluster: str | None = None) -> list[Gap]:
        return self.reader.gaps(cluster)

    def totals(self, cluster: str, since: Micros) -> Iterator[tuple[str, int, Micros]]:
        return self.reader.totals(cluster, since)

    def close(self) -> None:
        self.reader.close()
        self.journal.close()


class OpenedSqlite:
    """See :class:`pipetrail.testing.store_contract.Opened`."""

    def __init__(self, path: str, segment_events: int, full_text: bool) -> None:
        self.path, self._segment_events, self._full_text = path, segment_events, full_text
        self.store = SqliteStore(path, segment_events, full_text)

    def reopen(self) -> SqliteStore:
        self.store.close()
        self.store = SqliteStore(self.path, self._segment_events, self._full_text)
        return self.store


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pipetrail-test-", dir=MEMORY) as name:
        yield Path(name)


@cache
def _empty() -> bytes:
    """An empty journal. Making its tables anew for each example took most of a property's time."""
    with folder() as place:
        Journal(str(place / "j.db")).close()
        return (place / "j.db").read_bytes()


@contextmanager
def opened(segment_events: int = 500_000, full_text: bool = True) -> Iterator[OpenedSqlite]:
    """An empty journal with a reader."""
    with folder() as place:
        (place / "j.db").write_bytes(_empty())
        found = OpenedSqlite(str(place / "j.db"), segment_events, full_text)
        try:
            yield found
        finally:
            found.store.close()


def event(number: int, at: Micros | None = None, **changes: object) -> Event:
    """One of many events: its number tells it from the others."""
    fields: dict[str, object] = {
        "number": fingerprint("event", str(number)),
        "cluster": "prod",
        "at": START + number * SECOND if at is None else at,
        "observed_at": START + number * SECOND,
        "origin": "kubernetes",
        "about": ObjectRef(api_version="v1", kind="Pod", namespace="ml", name=f"train-{number}", uid=f"u-{number}"),
        "reason": "BackOff",
        "message": f"back-off restarting container {number}",
    }
    return Event(**fields | changes)  # type: ignore[arg-type]


def batch(numbers: Sequence[int], **changes: object) -> Batch:
    """The events of some numbers; the position is the last of them."""
    fields: dict[str, object] = {
        "cluster": "prod",
        "resource": "events",
        "events": [event(number) for number in numbers],
        "position": str(numbers[-1]) if numbers else None,
    }
    return Batch(**fields | changes)  # type: ignore[arg-type]


def version(name: str, observed_at: Micros, body: bytes = b"{}", deleted: bool = False) -> ObjectVersion:
    """A version of the object of a name, or its tombstone."""
    return ObjectVersion(
        cluster="prod",
        ref=ObjectRef(api_version="v1", kind="Pod", namespace="ml", name=name, uid=f"uid-{name}"),
        observed_at=observed_at,
        body=b"" if deleted else body,
        deleted_at=observed_at if deleted else None,
    )


def whole(path: str) -> str:
    """What SQLite says of the file's structure: ``ok``."""
    with JournalReader(path) as reader:
        return str(reader.db.execute("PRAGMA quick_check").get)
