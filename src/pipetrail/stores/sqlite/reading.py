"""Reading a journal: events in order, without loading all, and never in a transaction of more than a second.

A list by time runs over the segments whose times can match, and merges them. A long answer is read in pages, each by a
statement of its own that goes on behind the last row: so the log can be checkpointed however slowly somebody reads.
"""

import heapq
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipetrail.model import (
    Event,
    Gap,
    Micros,
    ObjectQuery,
    ObjectRef,
    ObjectVersion,
    Query,
    SourceState,
)
from pipetrail.model.identity import parse_event_id
from pipetrail.stores.sqlite import rows
from pipetrail.stores.sqlite.bodies import Bodies
from pipetrail.stores.sqlite.decoding import Decoder, selecting
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.filters import event_filter, object_filter
from pipetrail.stores.sqlite.opening import open_for_reading

_SLICE_SECONDS = 0.8
_PAGE = 1024
_OBJECTS = 256  # whose bodies are read, and held, together
_TOTALS_PAGE = 20_000

Row = tuple[Any, ...]


class JournalReader:
    """Answers questions about a journal, beside its writer or without one. One reader serves one thread.

    :raises JournalError: when the file can't be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.db = open_for_reading(path)
        try:
            with explained(path):
                self._bodies = Bodies(self.db)
        except BaseException:
            self.db.close()
            raise
        self.decoder = Decoder(self.db)

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        self.db.close()

    def __enter__(self) -> "JournalReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- events

    def events(self, query: Query) -> Iterator[Event]:
        """The matching events in the order of the query; read as they are asked for."""
        with explained(self.path):
            segments = self._segments(query)
            if query.newest:
                yield from reversed(self._newest(query))
            elif query.order == "seq":
                for segment in segments:
                    yield from self._pages(segment, query)
            else:
                parts = (self._pages(segment, query) for segment in segments)
                yield from heapq.merge(*parts, key=lambda event: (event.at, event.seq))

    def event(self, id_: str) -> Event | None:
        """The event with that id, found through its time.

        :raises ValueError: when the text is no event id.
        """
        at, number = parse_event_id(id_)
        with explained(self.path), self.snapshot():
            timeless = "e.estimated AND e.origin = 0"
            for segment in self._segments(Query()):
                timed = f"e.hash = ? AND e.at = ? AND ({timeless}) IS NOT TRUE"
                for row in self._run(f"{selecting(segment)} WHERE {timed}", (number, at)):
                    return self.decoder.events(segment, [row])[0]
            # An id without a time is that of an event that had none, and was given the time of its arrival.
            for segment in self._segments(Query()) if not at else ():
                for row in self._run(f"{selecting(segment)} WHERE e.hash = ? AND {timeless}", (number,)):
                    return self.decoder.events(segment, [row])[0]
        return None

    def last_seq(self) -> int:
        """The newest ``seq`` given to anything."""
        return int(self.db.execute("SELECT value FROM meta WHERE key = 'next_seq'").get) - 1

    def _segments(self, query: Query) -> list[int]:
        since = query.since if query.since is not None else -rows.INT64
        until = query.until if query.until is not None else rows.INT64
        found = self._run(
            "SELECT id FROM segments WHERE events > 0 AND max_at >= ? AND min_at < ? AND last_seq > ? ORDER BY id",
            (since, until, query.after_seq),
        )
        return [row[0] for row in found]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One state of the file for a few statements. Nothing is yielded to a caller meanwhile: it may be slow."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            if self.db.in_transaction:
                self.db.execute("COMMIT")

    def _newest(self, query: Query) -> list[Event]:
        """The last events in time, newest first."""
        parts: list[list[tuple[int, int, int, Row]]] = []
        with self.snapshot():
            for segment in self._segments(query):
                where = event_filter(self.db, segment, query)
                sql = f"{selecting(segment)} {where.sql()} ORDER BY e.at DESC, e.seq DESC LIMIT {query.newest}"
                parts.append([(-row[1], -row[0], segment, row) for row in self._run(sql, where.bindings)])
            found = list(itertools.islice(heapq.merge(*parts), query.newest))
            events: dict[int, Iterator[Event]] = {}
            for segment in {segment for _, _, segment, _ in found}:
                of_segment = [row for _, _, number, row in found if number == segment]
                events[segment] = iter(self.decoder.events(segment, of_segment))
            return [next(events[segment]) for _, _, segment, _ in found]

    def _pages(self, segment: int, query: Query) -> Iterator[Event]:
        """The events of one segment in the order of the query, page by page."""
        behind: Event | None = None
        while True:
            with self.snapshot():
                page, more = self._page(segment, query, behind)
            yield from page
            if not more:
                return
            behind = page[-1]

    def _page(self, segment: int, query: Query, behind: Event | None) -> tuple[list[Event], bool]:
        """The events behind one, as many as are found in a short time; and whether there may be more."""
        if not self._run("SELECT 1 FROM segments WHERE id = ?", (segment,)):
            return [], False  # pruned meanwhile
        where = event_filter(self.db, segment, query)
        by_time = query.order == "at"
        if behind is not None and by_time:
            where.add("(e.at, e.seq) > (?, ?)", behind.at, behind.seq)
        elif behind is not None:
            where.add("e.seq > ?", behind.seq)
        sql = f"{selecting(segment)} {where.sql()} ORDER BY {'e.at, e.seq' if by_time else 'e.seq'}"
        started = time.monotonic()
        page: list[Row] = []
        cursor = self.db.execute(sql, where.bindings)
        for row in cursor:
            page.append(row)
            if len(page) >= _PAGE or time.monotonic() - started > _SLICE_SECONDS:
                cursor.close()
                return self.decoder.events(segment, page), True
        return self.decoder.events(segment, page), False

    def _run(self, sql: str, bindings: Iterable[Any] = ()) -> list[Row]:
        return self.db.execute(sql, tuple(bindings)).fetchall()

    # ---- objects

    def objects(self, query: ObjectQuery) -> Iterator[ObjectVersion]:
        """The matching objects, each in its latest version that has a body, or in all versions."""
        where = object_filter(self.db, query)
        text = self.decoder.texts
        with explained(self.path):
            found = self._run(
                "SELECT o.id, o.cluster, o.api_version, o.kind, o.namespace, o.name, o.uid, o.created_at, o.deleted_at"
                f" FROM objects o {where.sql()} ORDER BY o.cluster, o.namespace, o.kind, o.name, o.id",
                where.bindings,
            )
            for item, (seq, observed_at, dictionary, body) in self._versions(found, query):
                _, cluster, api_version, kind, namespace, name, uid, created_at, deleted_at = item
                yield ObjectVersion(
                    cluster=text[cluster],
                    ref=ObjectRef(
                        api_version=text[api_version], kind=text[kind], namespace=text[namespace], name=name, uid=uid
                    ),
                    observed_at=observed_at,
                    body=self._bodies.unpack(dictionary, body),
                    created_at=created_at,
                    deleted_at=deleted_at if not query.versions or not body else None,
                    seq=seq,
                )

    def _versions(self, objects: list[Row], query: ObjectQuery) -> Iterator[tuple[Row, Row]]:
        """Each object with its latest version that has a body, or with each of its versions."""
        if query.versions:
            sql = "SELECT seq, observed_at, dictionary, body FROM versions WHERE object = ? AND seq > ? ORDER BY seq"
            for item in objects:
                for version in self._run(sql, (item[0], query.after_seq)):
                    yield item, version
            return
        for start in range(0, len(objects), _OBJECTS):
            part = objects[start : start + _OBJECTS]
            # In one statement: one for each object costs four times as much.
            found = self._run(
                "SELECT o.id, v.seq, v.observed_at, v.dictionary, v.body FROM objects o JOIN versions v ON v.seq ="
                " (SELECT max(seq) FROM versions WHERE object = o.id AND length(body) > 0)"
                f" WHERE o.id IN ({','.join('?' * len(part))})",
                [item[0] for item in part],
            )
            latest = {number: version for number, *version in found}
            for item in part:
                if item[0] in latest:
                    yield item, tuple(latest[item[0]])

    # ---- what is known of the recording itself

    def sources(self) -> list[SourceState]:
        """Each source: where it stands, and what it lacks."""
        with explained(self.path):
            return [
                SourceState(
                    cluster=self.decoder.texts[cluster],
                    resource=self.decoder.texts[resource],
                    state=state,
                    reason=reason,
                    position=position,
                    alive_at=alive_at,
                    last_event_at=last_event_at,
                    events=events,
                    missing_rights=tuple(missing.split("\n")) if missing else (),
                )
                for cluster, resource, state, reason, position, alive_at, last_event_at, events, missing in self._run(
                    "SELECT * FROM sources"
                )
            ]

    def gaps(self, cluster: str | None = None) -> list[Gap]:
        """The recorded gaps, oldest first."""
        with explained(self.path):
            found = [
                Gap(
                    cluster=self.decoder.texts[where],
                    resource=self.decoder.texts[resource],
                    since=since,
                    until=until,
                    reason=reason,
                    loss=loss,
                )
                for _, where, resource, since, until, reason, loss in self._run("SELECT * FROM gaps ORDER BY seq")
            ]
        return [gap for gap in found if cluster in (None, gap.cluster)]

    def totals(self, cluster: str, since: Micros) -> Iterator[tuple[str, int, Micros]]:
        """Each sight of a Kubernetes Event since then: its uid, or ``namespace/name`` without one; total; time."""
        with explained(self.path):
            number = self.db.execute("SELECT id FROM strings WHERE text = ?", (cluster,)).get
            if number is None:
                return
            for (segment,) in self._run("SELECT id FROM segments WHERE max_observed >= ? ORDER BY id", (since,)):
                behind: int | None = 0
                while behind is not None:
                    with self.snapshot():
                        page, behind = self._totals_page(segment, number, since, behind)
                    yield from page

    def _totals_page(
        self, segment: int, cluster: int, since: Micros, behind: int
    ) -> tuple[list[tuple[str, int, Micros]], int | None]:
        if not self._run("SELECT 1 FROM segments WHERE id = ?", (segment,)):
            return [], None
        found = self._run(
            f"SELECT seq, source_uid, source_name, about, total, at, estimated FROM events_{segment}"
            " WHERE seq > ? AND observed_at >= ? AND origin = 0 AND source_name NOTNULL AND cluster = ?"
            f" ORDER BY seq LIMIT {_TOTALS_PAGE}",
            (behind, since, cluster),
        )
        refs = self.decoder.refs(segment, [row[3] for row in found if not row[1]])
        page: list[tuple[str, int, Micros]] = []
        for _, uid, name, about, total, at, estimated in found:
            if uid:
                key = rows.unpack_uid(uid)
            else:
                # The Event of an object outside of namespaces is in namespace "default": the API wants it so.
                ref = refs[about]
                key = f"{ref.namespace or 'default'}/{rows.unpack_name(name, ref.name)}"
            page.append((key, total, 0 if estimated else at))
        return page, found[-1][0] if len(found) == _TOTALS_PAGE else None
