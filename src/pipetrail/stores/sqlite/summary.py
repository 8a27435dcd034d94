"""A journal as a whole: how large, from when to when, what was pruned or refused, and who writes it now."""

import fcntl
import os
from collections.abc import Iterator
from typing import Any

import msgspec

from pipetrail.model import Micros, Reject
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.retention import used_bytes


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    """History that was taken away: when, why (``size`` or ``age``), how many events, of what time and places.

    What was pruned by an older pipetrail has no places.
    """

    at: Micros
    reason: str
    events: int
    since: Micros
    until: Micros
    first_seq: int | None = None
    last_seq: int | None = None


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of history that goes as one when the journal is pruned."""

    events: int
    since: Micros
    until: Micros
    stored_until: Micros


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A journal in numbers. ``size`` is that of the files, ``used`` what of it holds something."""

    size: int
    used: int
    events: int
    objects: int
    oldest: Micros | None
    newest: Micros | None
    rejects: int
    prunes: list[Prune]


def summary(reader: JournalReader) -> Summary:
    """The numbers of a journal."""
    db, path = reader.db, reader.path
    with explained(path):
        found = segments(reader)
        return Summary(
            size=sum(os.path.getsize(name) for name in (path, path + "-wal") if os.path.exists(name)),
            used=used_bytes(db),
            events=sum(segment.events for segment in found),
            objects=db.execute("SELECT count(*) FROM objects").get,
            oldest=min((segment.since for segment in found), default=None),
            newest=max((segment.until for segment in found), default=None),
            rejects=db.execute("SELECT count(*) FROM rejects").get,
            prunes=[
                Prune(at=at, reason=reason, events=events, since=since, until=until, first_seq=first, last_seq=last)
                for at, reason, events, since, until, first, last in db.execute(
                    "SELECT at, reason, events, since, until, first_seq, last_seq FROM prunes ORDER BY id"
                )
            ],
        )


def segments(reader: JournalReader) -> list[Segment]:
    """The segments that hold events, oldest first."""
    with explained(reader.path):
        return [
            Segment(events=events, since=since, until=until, stored_until=stored)
            for events, since, until, stored in reader.db.execute(
                "SELECT events, min_at, max_at, max_observed FROM segments WHERE events > 0 ORDER BY id"
            )
        ]


def labels(reader: JournalReader) -> dict[str, str]:
    """What people call each cluster, by its id."""
    with explained(reader.path):
        found = reader.db.execute("SELECT s.text, c.label FROM clusters c JOIN strings s ON s.id = c.id")
        return {str(id_): str(label) for id_, label in found}


def rejects(reader: JournalReader) -> Iterator[Reject]:
    """The input that could not be recorded and is still kept, oldest first."""
    with explained(reader.path):
        found: list[tuple[Any, ...]] = reader.db.execute(
            "SELECT c.text, s.text, r.at, r.reason, r.body FROM rejects r JOIN strings c ON c.id = r.cluster"
            " JOIN strings s ON s.id = r.resource ORDER BY r.id"
        ).fetchall()
    for cluster, resource, at, reason, body in found:
        yield Reject(cluster=cluster, resource=resource, at=at, reason=reason, body=body)


def writer_of(path: str) -> int | None:
    """The process that writes a journal now; 0 where it can't be told which; None where nobody does."""
    try:
        lock = os.open(path + ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return 0  # not ours to look at
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 64, 0).decode("ascii", "replace").strip()
        return int(owner) if owner.isdigit() else 0
    finally:
        os.close(lock)
    return None
