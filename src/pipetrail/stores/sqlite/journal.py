"""The journal as its one writer has it: batches in, one transaction each time, in one order.

Everything recorded takes its ``seq`` here. A transaction that fails leaves nothing behind, in the file or in memory.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import msgspec

from pipetrail.marks import EVENT_ID
from pipetrail.model import Batch, Event, Gap, Micros, ObjectRef, ObjectVersion, Raise, Reject
from pipetrail.stores.sqlite import rows, schema
from pipetrail.stores.sqlite.bodies import Bodies
from pipetrail.stores.sqlite.declared import folded
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.interning import Interned
from pipetrail.stores.sqlite.links import Links, Runs
from pipetrail.stores.sqlite.opening import open_for_writing, reserve
from pipetrail.stores.sqlite.sources import keep_source
from pipetrail.stores.sqlite.turns import keep_turns
from pipetrail.stores.sqlite.verdicts import keep_verdict

SEGMENT_EVENTS = 250_000  # closing one takes half a second, which no event should wait longer
_REFS, _MESSAGES = 40_000, 10_000  # in memory, in each of two generations
_REJECTS = 1_000  # kept for inspection
_EVENT_SLOTS = rows.EVENT_COLUMNS.count(",") + 1

Row = tuple[Any, ...]


class Journal:
    """Writes a journal file.

    :param path: the file; created if it is not there.
    :param redact: what is done to each distinct message before it is stored.
    :param full_text: whether messages are indexed for search.
    :raises JournalError: when the file can't be used; the message says why and what to do.
    """

    def __init__(
        self,
        path: str,
        *,
        redact: Callable[[str], str] = str,
        full_text: bool = True,
        segment_events: int = SEGMENT_EVENTS,
    ) -> None:
        self.path = path
        self._redact = redact
        self._full_text = full_text
        self._segment_events = segment_events
        self.db, self._lock = open_for_writing(path)
        try:
            with explained(path):
                self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Take up what the file holds; also after a failed transaction."""
        self._loaded = False
        self.bodies = Bodies(self.db)
        ids = count(self.value("SELECT coalesce(max(id), 0) + 1 FROM strings"))
        self._strings: Interned[str] = Interned(1 << 62, lambda number, text: (number, text), ids)
        self._strings.update((text, number) for number, text in self.db.execute("SELECT id, text FROM strings"))
        self.next_seq: int = self.value("SELECT value FROM meta WHERE key = 'next_seq'")
        self.segment: int = self.value("SELECT coalesce(max(id), 0) FROM segments WHERE sealed = 0")
        self.segment_events: int = self.value(
            "SELECT coalesce(max(events), 0) FROM segments WHERE id = ?", (self.segment,)
        )
        self._indexed = bool(self.segment) and schema.has_full_text(self.db, self.segment)
        self._runs = Runs(self.db)
        self._begin_interning()
        self._loaded = True

    def value(self, sql: str, bindings: Row = ()) -> Any:
        """The first column of the first row of an answer, or None."""
        return self.db.execute(sql, bindings).get

    def _begin_interning(self) -> None:
        next_ref = next_message = 1
        if self.segment:
            next_ref = self.value(f"SELECT coalesce(max(id), 0) + 1 FROM refs_{self.segment}")
            next_message = self.value(f"SELECT coalesce(max(id), 0) + 1 FROM messages_{self.segment}")
        self._refs: dict[int, Interned[ObjectRef]] = {}
        self._ref_ids = count(next_ref)
        self._messages: Interned[str] = Interned(
            _MESSAGES, lambda number, text: (number, self._redact(text)), count(next_message)
        )
        self._links = Links(self.db, self._runs, self.segment) if self.segment else None

    def close(self) -> None:
        """Finish the log and release the file. Safe to call twice."""
        if self._lock >= 0:
            self.db.close()
            os.close(self._lock)
            self._lock = -1

    # ---- writing

    def append(self, batches: Sequence[Batch]) -> int:
        """Keep all batches in one transaction; returns the last ``seq`` given.

        :raises JournalError: when nothing was kept (a full disk, a failing one); the same batches may be sent again.
        """
        if self.full:
            self.seal()
        self.begin(batches)
        return self.commit()

    @property
    def full(self) -> bool:
        """Whether the current segment takes no more events: :meth:`seal` it then.

        It has all that it should take, or messages are to be indexed from now on and are not there, or the other way.
        """
        return self.segment_events >= self._segment_events or (self.segment > 0 and self._indexed != self._full_text)

    def begin(self, batches: Sequence[Batch]) -> None:
        """Put batches into a transaction that :meth:`commit` ends. This half computes, the other waits for the disk.

        :raises JournalError: when the transaction is undone.
        """
        with self._undone_on_error():
            if not self._loaded:
                self._load()
            self.db.execute("BEGIN IMMEDIATE")
            self._append(batches)
            self.db.execute("UPDATE meta SET value = ? WHERE key = 'next_seq'", (self.next_seq,))

    def commit(self) -> int:
        """Make durable what was begun; returns the last ``seq`` given.

        :raises JournalError: when nothing was kept.
        """
        with self._undone_on_error():
            reserve(self.db, self.path)
            self.db.execute("COMMIT")
        return self.next_seq - 1

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        with explained(self.path):
            try:
                yield
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                self._load()
                raise

    def _append(self, batches: Sequence[Batch]) -> None:
        self.bodies.learn()
        if any(batch.events for batch in batches) and not self.segment:
            self._begin_segment()
        event_rows: list[Row] = []
        raises: list[Raise] = []
        sources: dict[tuple[str, str], list[Batch]] = {}
        for batch in batches:
            event_rows += self._event_rows(batch.events)
            if batch.objects:
                self._keep_objects(batch.resource, batch.objects)
            for gap in batch.gaps:
                self._keep_gap(gap)
            if batch.rejects:
                self._keep_rejects(batch.rejects)
            raises += batch.raises
            self.next_seq = keep_turns(self.db, self._runs, self._strings, batch, self.next_seq)
            if batch.resource:
                sources.setdefault((batch.cluster, batch.resource), []).append(batch)
        if event_rows:
            self._keep_events(event_rows)
        for item in raises:
            self._raise(item)
        for (cluster, resource), parts in sources.items():
            keep_source(self.db, self._strings, cluster, resource, parts)
        self._keep_strings()

    def _event_rows(self, events: list[Event]) -> list[Row]:
        text, messages = self._strings, self._messages
        origin, severity, kind = rows.ORIGIN_NUMBER, rows.SEVERITY_NUMBER, rows.TYPE_NUMBER
        found: list[Row] = []
        links = self._links
        seq = self.next_seq
        for event in events:
            if event.marks and EVENT_ID in event.marks:
                added = folded(self.db, event, seq)
                if added is None:
                    continue
                event = added
            cluster = text[event.cluster]
            if event.origin == "verdict" and not keep_verdict(self.db, self._runs, self.segment, seq, cluster, event):
                continue
            refs = self._refs.get(cluster) or self._refs_of(cluster)
            source = event.source
            about = event.about
            if event.type is None or event.type in kind:
                type_number = kind[event.type]
            else:
                type_number = len(rows.TYPES) + text[event.type]
            found.append(
                (
                    seq,
                    event.at,
                    event.observed_at,
                    event.number,
                    origin[event.origin],
                    severity[event.severity],
                    type_number,
                    min(event.count, rows.INT64),
                    cluster,
                    refs[about],
                    text[event.reason],
                    messages[event.message],
                    text[event.action],
                    text[event.reporter],
                    text[event.node],
                    None if event.related is None else refs[event.related],
                    None if source is None or source.kind != "Event" else rows.pack_name(source.name, about.name),
                    None if source is None else rows.pack_uid(source.uid),
                    None if source is None else min(source.total, rows.INT64),
                    msgspec.json.encode(event.marks).decode() if event.marks else None,
                    1 if event.at_estimated else None,
                    links.number(cluster, event.links) if event.links and links is not None else None,
                )
            )
            seq += 1
        self.next_seq = seq
        return found

    def _refs_of(self, cluster: int) -> Interned[ObjectRef]:
        text = self._strings

        def row(number: int, ref: ObjectRef) -> Row:
            return (
                number,
                cluster,
                text[ref.api_version],
                text[ref.kind],
                text[ref.namespace],
                ref.name,
                ref.uid,
                text[ref.field_path],
            )

        return self._refs.setdefault(cluster, Interned(_REFS, row, self._ref_ids))

    def _keep_events(self, found: list[Row]) -> None:
        number = self.segment
        for refs in self._refs.values():
            if refs.fresh:
                self.db.executemany(f"INSERT INTO refs_{number} VALUES(?,?,?,?,?,?,?,?)", refs.fresh)
                refs.fresh = []
        if fresh := self._messages.fresh:
            self.db.executemany(f"INSERT INTO messages_{number} VALUES(?,?)", fresh)
            if self._indexed:
                self.db.executemany(f"INSERT INTO fts_{number}(rowid, text) VALUES(?,?)", fresh)
            self._messages.fresh = []
        if self._links is not None:
            self._links.flush(found[0][0])
        slots = ",".join("?" * _EVENT_SLOTS)
        self.db.executemany(f"INSERT INTO events_{number}({rows.EVENT_COLUMNS}) VALUES({slots})", found)
        times = [row[1] for row in found]
        observed = [row[2] for row in found]
        self.db.execute(
            "UPDATE segments SET last_seq = ?, events = events + ?, min_at = min(min_at, ?), max_at = max(max_at, ?),"
            " min_observed = min(min_observed, ?), max_observed = max(max_observed, ?) WHERE id = ?",
            (found[-1][0], len(found), min(times), max(times), min(observed), max(observed), number),
        )
        self.segment_events += len(found)

    def _raise(self, item: Raise) -> None:
        """Give an event better links, in whichever segment it is; one that was pruned needs none."""
        segments: list[Any] = self.db.execute(
            "SELECT id FROM segments WHERE min_at <= ?1 AND max_at >= ?1 ORDER BY id DESC", (item.at,)
        ).fetchall()
        for (segment,) in segments:
            seq = self.value(f"SELECT seq FROM events_{segment} WHERE at = ? AND hash = ?", (item.at, item.number))
            if seq is not None:
                links = self._links if segment == self.segment and self._links else Links(self.db, self._runs, segment)
                links.raise_event(seq, self._strings[item.cluster], item.links, self.next_seq)
                self.next_seq += 1
                return

    def _begin_segment(self) -> None:
        number = schema.next_segment(self.db)
        schema.create_segment(self.db, number, self._full_text)
        self.db.execute(
            "INSERT INTO segments VALUES(?, ?, ?, 0, ?, 0, ?, 0, 0)",
            (number, self.next_seq, self.next_seq, rows.INT64, rows.INT64),
        )
        self.segment, self.segment_events, self._indexed = number, 0, self._full_text
        self._begin_interning()

    def seal(self) -> None:
        """Close the current segment; the next event begins a new one."""
        if self.segment:
            with explained(self.path), self.db:
                schema.seal_segment(self.db, self.segment)
                reserve(self.db, self.path)
            self.segment = self.segment_events = 0

    def _keep_strings(self) -> None:
        if self._strings.fresh:
            self.db.executemany("INSERT INTO strings VALUES(?, ?)", self._strings.fresh)
            self._strings.fresh = []

    def _keep_objects(self, resource: str, versions: list[ObjectVersion]) -> None:
        text = self._strings
        for version in versions:
            ref = version.ref
            seq = self.next_seq
            self.next_seq += 1
            number = self.value(
                "INSERT INTO objects(cluster, source, api_version, kind, namespace, name, uid, created_at, deleted_at,"
                " last_version) VALUES(?,?,?,?,?,?,?,?,?,?) ON CONFLICT(cluster, uid) DO UPDATE SET"
                " last_version = excluded.last_version, deleted_at = excluded.deleted_at"
                " RETURNING id",
                (
                    text[version.cluster],
                    text[resource],
                    text[ref.api_version],
                    text[ref.kind],
                    text[ref.namespace],
                    ref.name,
                    ref.uid,
                    version.created_at,
                    version.deleted_at,
                    seq,
                ),
            )
            packed = self.bodies.pack(version.body)
            self.db.execute(
                "INSERT INTO versions VALUES(?,?,?,?,?)",
                (seq, number, version.observed_at, self.bodies.dictionary, packed),
            )

    def _keep_gap(self, gap: Gap) -> None:
        self.db.execute(
            "INSERT INTO gaps VALUES(?,?,?,?,?,?,?)",
            (
                self.next_seq,
                self._strings[gap.cluster],
                self._strings[gap.resource],
                gap.since,
                gap.until,
                gap.reason,
                gap.loss,
            ),
        )
        self.next_seq += 1

    def _keep_rejects(self, rejects: list[Reject]) -> None:
        text = self._strings
        self.db.executemany(
            "INSERT INTO rejects(cluster, resource, at, reason, body) VALUES(?,?,?,?,?)",
            [(text[item.cluster], text[item.resource], item.at, item.reason, item.body) for item in rejects],
        )
        self.db.execute("DELETE FROM rejects WHERE id <= (SELECT max(id) FROM rejects) - ?", (_REJECTS,))

    def name_cluster(self, cluster: str, label: str, event_ttl: Micros | None) -> None:
        """Remember what people call a cluster (its context or server), and how long it keeps Events."""
        with self._undone_on_error(), self.db:
            if not self._loaded:
                self._load()
            number = self._strings[cluster]
            self._keep_strings()
            self.db.execute(
                "INSERT INTO clusters VALUES(?,?,?) ON CONFLICT DO UPDATE SET label = excluded.label,"
                " event_ttl = excluded.event_ttl",
                (number, label, event_ttl),
            )
