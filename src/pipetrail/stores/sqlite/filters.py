"""Queries as SQL: which rows of a segment, or which objects."""

import re
from collections.abc import Iterable
from typing import Any

import apsw
import msgspec

from pipetrail.model import ObjectQuery, Query
from pipetrail.stores.sqlite import rows
from pipetrail.stores.sqlite.schema import has_full_text

_FEW = 1_024  # events of a run that are named one by one


class Filter(msgspec.Struct):
    """Conditions that must all hold, with their values."""

    conditions: list[str] = msgspec.field(default_factory=list)
    bindings: tuple[Any, ...] = ()

    def add(self, condition: str, *values: Any) -> None:
        """One more condition."""
        self.conditions.append(condition)
        self.bindings += values

    def any_of(self, column: str, values: Iterable[Any]) -> None:
        """The column must have one of some values."""
        values = tuple(values)
        self.add(f"{column} IN ({','.join('?' * len(values))})", *values)

    def sql(self) -> str:
        """The WHERE clause, or nothing."""
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def _strings(db: apsw.Connection, texts: Iterable[str], ignore_case: bool = False) -> list[int]:
    """The numbers of some texts. Texts that the journal has never seen have none: then nothing matches."""
    condition = "lower(text) = lower(?)" if ignore_case else "text = ?"
    return [number for text in texts for (number,) in db.execute(f"SELECT id FROM strings WHERE {condition}", (text,))]


def event_filter(db: apsw.Connection, segment: int, query: Query) -> Filter:
    """The conditions of a query on the events (``e``) and messages (``m``) of a segment."""
    where = Filter()
    if query.since is not None:
        where.add("e.at >= ?", query.since)
    if query.until is not None:
        where.add("e.at < ?", query.until)
    if query.after_seq:
        where.add("e.seq > ?", query.after_seq)
    if query.raised_after:
        where.add(f"e.seq IN (SELECT event FROM raised WHERE seq > ? AND segment = {segment})", query.raised_after)
    if query.clusters:
        where.any_of("e.cluster", _strings(db, query.clusters))
    if query.reasons:
        where.any_of("e.reason", _strings(db, query.reasons, ignore_case=True))
    if query.severities:
        where.any_of("e.severity", (rows.SEVERITY_NUMBER[word] for word in query.severities))
    if query.origins:
        where.any_of("e.origin", (rows.ORIGIN_NUMBER.get(word, -1) for word in query.origins))
        if query.origins == ("verdict",):
            # They are few, and have no index of their own among the events.
            where.add("e.seq IN (SELECT seq FROM verdicts WHERE segment = ?)", segment)
    if query.runs:
        _of_runs(db, segment, query, where)
    about = Filter()
    if query.namespaces:
        about.any_of("namespace", _strings(db, query.namespaces))
    if query.kinds:
        about.any_of("kind", _strings(db, query.kinds, ignore_case=True))
    _names(about, query.names)
    if query.uids:
        about.any_of("uid", query.uids)
    if about.conditions:
        # An object's few events are found through the index; those of a namespace are a large part of all, and come
        # faster from the list by time (a + takes the column out of the planner's choice of index).
        column = "e.about" if query.names or query.uids else "+e.about"
        where.add(f"{column} IN (SELECT id FROM refs_{segment} {about.sql()})", *about.bindings)
    if query.text:
        words = query.text.replace("\0", " ").split()
        # The index knows letters and digits only: a word of others (an emoji, an arrow) is looked for in each message.
        indexed = [word for word in words if any(map(str.isalnum, word))] if has_full_text(db, segment) else []
        if indexed:
            where.add(
                f"e.message IN (SELECT rowid FROM fts_{segment} WHERE fts_{segment} MATCH ?)", match_words(indexed)
            )
        for word in words:
            if word not in indexed:
                where.add("instr(lower(m.text), lower(?)) > 0", word)  # unlike LIKE, it reads past a NUL
    return where


def _of_runs(db: apsw.Connection, segment: int, query: Query, where: Filter) -> None:
    """The events must be of the runs of a query. Of an open segment, which has no index by run, little is read."""
    runs = rows.listed(query.runs)
    given = "SELECT value FROM json_each(?)"
    of_runs = f"FROM links_{segment} WHERE run IN (SELECT id FROM runs WHERE run IN ({given}) OR name IN ({given}))"
    sets, values = f"SELECT id {of_runs}", (runs, runs)
    if not db.execute(f"SELECT EXISTS({sets})", values).get:
        where.add("0")
        return
    sealed = db.execute("SELECT sealed FROM segments WHERE id = ?", (segment,)).get
    narrow = query.since is not None or query.raised_after or query.origins == ("verdict",)
    if not sealed and not narrow:
        # In the order of arrival, from where these runs begin, the few are found at a fraction of what the index on
        # time costs, which leads to each event anew. Many are not: they would have to be sorted for each page.
        first: Any = db.execute(f"SELECT min(coalesce(first, 0)) {of_runs}", values).get
        found: list[Any] = db.execute(
            f"SELECT seq FROM events_{segment} WHERE seq >= ? AND run IN ({sets}) LIMIT {_FEW + 1}",
            (max(first, query.after_seq + 1), *values),
        ).fetchall()
        if len(found) <= _FEW:
            where.add("e.seq IN (SELECT value FROM json_each(?))", rows.listed(seq for (seq,) in found))
            return
    where.add(f"e.run IN ({sets})", *values)


def _names(where: Filter, names: Iterable[str]) -> None:
    """Names, of which one that ends in ``*`` stands for all that begin so."""
    parts: list[str] = []
    values: list[str] = []
    for name in names:
        if name.endswith("*"):
            parts.append("name GLOB ?")
            values.append(_literal(name[:-1]) + "*")
        else:
            parts.append("name = ?")
            values.append(name)
    if parts:
        where.add(f"({' OR '.join(parts)})", *values)


def _literal(text: str) -> str:
    """A text in which GLOB takes no character for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def match_words(words: Iterable[str]) -> str:
    """A person's words as an FTS5 query: each word must be there, as the beginning of one at least."""
    return " ".join('"' + word.replace('"', '""') + '"*' for word in words)


def object_filter(db: apsw.Connection, query: ObjectQuery) -> Filter:
    """The conditions of a query on the objects (``o``)."""
    where = Filter()
    if query.clusters:
        # A name is rarer than a cluster: a + leaves the index to it.
        column = "+o.cluster" if query.names and not query.uids else "o.cluster"
        where.any_of(column, _strings(db, query.clusters))
    if query.namespaces:
        where.any_of("o.namespace", _strings(db, query.namespaces))
    if query.kinds:
        where.any_of("o.kind", _strings(db, query.kinds, ignore_case=True))
    if query.uids:
        where.any_of("o.uid", query.uids)
    _names(where, query.names)
    if query.deleted is not None:
        where.add(f"o.deleted_at IS {'NOT ' if query.deleted else ''}NULL")
    if query.after_seq:
        where.add("o.id IN (SELECT object FROM versions WHERE seq > ?)", query.after_seq)
    return where
