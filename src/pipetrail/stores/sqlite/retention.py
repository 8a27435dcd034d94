"""How a journal stays within its bounds: the oldest segments go, then versions of objects and turns of their time.

Size always wins. What went is noted in the table ``prunes``: a hole in the history is never silent.
"""

import apsw
import msgspec

from pipetrail.model import Micros
from pipetrail.stores.sqlite import schema
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.journal import Journal
from pipetrail.stores.sqlite.tallies import tally_all
from pipetrail.stores.sqlite.turns import drop_turns

_STEP = 2_000  # rows of object versions a transaction
_LEAST_EVENTS = 1_000  # a segment with fewer is not halved, but dropped
_SEGMENTS_IN_CAP = 8  # a segment may take an eighth of the cap, so that there is always an old one to drop


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds. ``size`` in bytes of the file, ``age`` in microseconds since an event was stored; None: no bound."""

    size: int | None = None
    age: Micros | None = None


class Pruned(msgspec.Struct):
    """What was taken away."""

    segments: int = 0
    events: int = 0
    versions: int = 0
    objects: int = 0


def used_bytes(db: apsw.Connection) -> int:
    """How much of the file is in use."""
    pages, free, size = (int(db.pragma(name)) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def prune(journal: Journal, bounds: Retention, now: Micros, steps: int = 1_000_000) -> Pruned:
    """Bring the journal within its bounds, in transactions that are short each.

    :param steps: how many transactions at most; the rest is done at the next call.
    """
    done = Pruned()
    with explained(journal.path):
        while steps > 0:
            # The versions first: what they free may be enough.
            if not _drop_versions(journal, done) and not _drop_turns(journal):
                reason = _over(journal, bounds, now)
                if not reason or not _drop_oldest(journal, reason, now, done):
                    break
            steps -= 1
    return done


def _drop_turns(journal: Journal) -> bool:
    with journal.db:
        dropped = drop_turns(journal.db)
    return dropped


def _over(journal: Journal, bounds: Retention, now: Micros) -> str:
    """Why something must go, or nothing."""
    db = journal.db
    if bounds.size is not None:
        used = used_bytes(db)
        if used > bounds.size:
            return "size"
        if journal.segment and journal.segment_events >= 1_000:
            share = (
                used * journal.segment_events // max(1, int(db.execute("SELECT sum(events) FROM segments").get or 1))
            )
            if share > bounds.size // _SEGMENTS_IN_CAP:
                journal.seal()
    if bounds.age is not None:
        oldest = db.execute("SELECT max_observed FROM segments ORDER BY id LIMIT 1").get
        if oldest is not None and oldest < now - bounds.age:
            return "age"
    return ""


def _drop_oldest(journal: Journal, reason: str, now: Micros, done: Pruned) -> bool:
    db = journal.db
    found: list[tuple[int, ...]] = list(
        db.execute("SELECT id, events, min_at, max_at, first_seq, last_seq FROM segments ORDER BY id LIMIT 1")
    )
    if not found:
        return False
    number, events, since, until, first_seq, last_seq = found[0]
    if number == journal.segment:
        journal.seal()
    tally_all(db, last_seq)
    with db:
        if reason == "size" and events > _LEAST_EVENTS and _is_last(db, number):
            # It is all that there is: its newer half may fit.
            last_seq, until = _keep_newer_half(journal, number, events)
            events -= events // 2
        schema.drop_segment(db, number)
        db.execute(
            "INSERT INTO prunes(at, reason, events, since, until, first_seq, last_seq) VALUES(?,?,?,?,?,?,?)",
            (now, reason, events, since, until, first_seq, last_seq),
        )
        db.execute(
            "INSERT INTO meta VALUES('pruned_seq', ?1) ON CONFLICT DO UPDATE SET value = max(value, ?1)", (last_seq,)
        )
        db.execute("DELETE FROM gaps WHERE seq <= ?", (last_seq,))
        db.execute("DELETE FROM declared WHERE seq <= ?", (last_seq,))
    done.segments += 1
    done.events += events
    return True


def _is_last(db: apsw.Connection, number: int) -> bool:
    return not db.execute("SELECT count(*) FROM segments WHERE id > ? AND events > 0", (number,)).get


def _keep_newer_half(journal: Journal, number: int, events: int) -> tuple[int, Micros]:
    """Copy the newer half of a segment into a new one; returns the last seq and the latest time of the older half."""
    db = journal.db
    new = schema.next_segment(db)
    first = db.execute(f"SELECT seq FROM events_{number} ORDER BY seq LIMIT 1 OFFSET ?", (events - events // 2,)).get
    full_text = schema.has_full_text(db, number)
    schema.create_segment(db, new, full_text)
    db.execute(f"INSERT INTO events_{new} SELECT * FROM events_{number} WHERE seq >= ?", (first,))
    db.execute(
        f"INSERT INTO refs_{new} SELECT * FROM refs_{number} WHERE id IN"
        f" (SELECT about FROM events_{new} UNION SELECT related FROM events_{new})"
    )
    db.execute(
        f"INSERT INTO messages_{new} SELECT * FROM messages_{number} WHERE id IN (SELECT message FROM events_{new})"
    )
    db.execute(f"INSERT INTO links_{new} SELECT * FROM links_{number} WHERE id IN (SELECT run FROM events_{new})")
    db.execute(
        f"UPDATE raised SET segment = {new} WHERE segment = {number} AND event IN (SELECT seq FROM events_{new})"
    )
    db.execute(
        f"UPDATE verdicts SET segment = {new} WHERE segment = {number} AND seq IN (SELECT seq FROM events_{new})"
    )
    if full_text:
        db.execute(f"INSERT INTO fts_{new}(rowid, text) SELECT id, text FROM messages_{new}")
    db.execute(
        "INSERT INTO segments(id, first_seq, last_seq, events, min_at, max_at, min_observed, max_observed)"
        " SELECT ?, min(seq), max(seq), count(*), min(at), max(at), min(observed_at), max(observed_at)"
        f" FROM events_{new}",
        (new,),
    )
    schema.seal_segment(db, new)
    older = f"FROM events_{number} WHERE seq < ?"
    return journal.value(f"SELECT max(seq) {older}", (first,)), journal.value(f"SELECT max(at) {older}", (first,))


def _drop_versions(journal: Journal, done: Pruned) -> bool:
    """Drop some versions and tombstones that are older than the oldest event, but for each living object's last one."""
    db = journal.db
    until = db.execute("SELECT value FROM meta WHERE key = 'pruned_seq'").get
    if until is None or until == db.execute("SELECT value FROM meta WHERE key = 'versions_pruned_seq'").get:
        return False
    with db:
        # An object's state when history begins is still needed: its newest version before that stays.
        db.execute(
            "DELETE FROM versions WHERE seq IN (SELECT v.seq FROM versions v JOIN objects o ON o.id = v.object"
            " WHERE v.seq <= ?1 AND (o.deleted_at IS NOT NULL AND o.last_version <= ?1 OR EXISTS ("
            "  SELECT 1 FROM versions n WHERE n.object = v.object AND n.seq > v.seq AND n.seq <= ?1"
            "  AND length(n.body) > 0)) LIMIT ?2)",
            (until, _STEP),
        )
        versions = db.changes()
        db.execute(
            "DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE deleted_at IS NOT NULL"
            " AND last_version <= ?1 AND NOT EXISTS (SELECT 1 FROM versions WHERE object = objects.id) LIMIT ?2)",
            (until, _STEP),
        )
        objects = db.changes()
        if not versions and not objects:
            # Nothing more to find up to here; looking again each few seconds would cost as much as there is history.
            db.execute("INSERT OR REPLACE INTO meta VALUES('versions_pruned_seq', ?)", (until,))
    done.versions += versions
    done.objects += objects
    return versions + objects > 0
